"""The shapes of names and durations in manifests, and how a path in a document is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

NAME = r"^[a-z][a-z0-9-]{0,39}$"
NAME_ALLOWED = "a lower-case letter, then up to 39 lower-case letters, digits or hyphens"
COLUMN_ALLOWED = "a plain column name of at most 63 bytes"
TABLE_ALLOWED = "schema.table, two plain names"
DURATION_ALLOWED = "a whole number with a unit: 500ms, 60s, 5m, 2h or 7d, at most 366d"

_IDENTIFIER = re.compile(r"[^\W\d][\w$]*")
_DURATION = re.compile(r"([1-9][0-9]{0,5})(ms|s|m|h|d)")
_LONGEST = timedelta(days=366)
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def is_identifier(text: str) -> bool:
    """Whether `text` is a plain SQL name (letters of any script, digits, `_`, `$`; at most 63 bytes)."""
    return bool(_IDENTIFIER.fullmatch(text)) and len(text.encode("utf-8", "replace")) <= 63


def is_table(text: str) -> bool:
    """Whether `text` is `schema.table`."""
    parts = text.split(".")
    return len(parts) == 2 and all(is_identifier(part) for part in parts)


def parse_duration(text: str) -> timedelta | None:
    """`"60s"` → 60 seconds; None for anything else."""
    match = _DURATION.fullmatch(text)
    if not match:
        return None
    duration = int(match[1]) * _UNITS[match[2]]
    return duration if duration <= _LONGEST else None


def format_duration(value: timedelta) -> str:
    """The shortest exact spelling with one unit; the inverse of `parse_duration`."""
    for unit in ("d", "h", "m", "s"):
        if value >= _UNITS[unit] and value % _UNITS[unit] == timedelta(0):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value // _UNITS['ms']}ms"


def format_path(loc: Sequence[str | int]) -> str:
    """`("spec", "tables", 0, "from")` → `spec.tables[0].from`."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return path
