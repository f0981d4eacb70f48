"""Which server and which key: flags, then the environment, then the file that `terrafusion stack up` writes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:5000"
FILE = Path(".terrafusion") / "env.json"


@dataclass(frozen=True)
class Address:
    """A gateway and a key for it ("" when none is known)."""

    url: str
    key: str


def address(server: str | None, key: str | None) -> Address:
    """What the flags say, else TERRAFUSION_URL and TERRAFUSION_API_KEY, else the stack's file. The stack's key is
    never sent to another server than the stack's."""
    kept = _kept()
    url = (server or os.environ.get("TERRAFUSION_URL") or kept.get("TERRAFUSION_URL") or DEFAULT_URL).rstrip(
        "/"
    )
    own = kept.get("TERRAFUSION_API_KEY", "") if url == kept.get("TERRAFUSION_URL", "").rstrip("/") else ""
    return Address(url, key or os.environ.get("TERRAFUSION_API_KEY") or own)


def _kept() -> dict[str, str]:
    """The stack's variables: of $TERRAFUSION_HOME, else of the nearest folder upwards that has them."""
    home = os.environ.get("TERRAFUSION_HOME")
    here = Path.cwd()
    files = [Path(home) / "env.json"] if home else [folder / FILE for folder in (here, *here.parents)]
    for file in files:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if isinstance(value, str)}
    return {}
