"""The password file that Kafka Connect's FileConfigProvider reads: `<folder>/<name>.properties`, mode 600."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def secret_path(folder: Path, name: str) -> Path:
    """Where the file of `name` lies."""
    return folder / f"{name}.properties"


def write_secret(folder: Path, name: str, password: str) -> bool:
    """Write `password=…` atomically; whether it differs from what was there (the connector then needs a restart)."""
    path = secret_path(folder, name)
    content = f"password={_escaped(password)}\n".encode("ascii")
    if _current(path) == content and path.stat().st_mode & 0o777 == 0o600:
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")  # mode 600 from the start
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def remove_secret(folder: Path, name: str) -> None:
    """Delete the file; missing is fine."""
    secret_path(folder, name).unlink(missing_ok=True)


def _current(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _escaped(text: str) -> str:
    r"""Java properties spelling: everything but ASCII letters and digits as \uXXXX."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 and chr(code).isalnum() else f"\\u{code:04x}" for code in codes)
