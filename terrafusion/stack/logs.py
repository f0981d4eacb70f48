"""The end of a log file."""

from __future__ import annotations

from pathlib import Path

LOG_LINES = 25
LONGEST_LINE_BYTES = 1000


def last_lines(log: Path, count: int = LOG_LINES) -> str:
    """The end of a log."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - count * LONGEST_LINE_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])
