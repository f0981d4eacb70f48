"""Small files of the state folder: written whole or not at all, secrets readable by the owner alone."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace the file's content in one step; a crash leaves the old content or the new."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The file's JSON object; empty when the file is missing or damaged."""
    try:
        document = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON object whole, mode 600."""
    write_whole(path, json.dumps(document, indent=2) + "\n")


def kept_secret(path: Path, make: str) -> str:
    """The secret in the file; the first time, `make` is written there and returned."""
    if path.exists() and (text := path.read_text().strip()):
        path.chmod(0o600)
        return text
    write_whole(path, make + "\n")
    return make
