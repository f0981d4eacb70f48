"""Numbers for people."""

from __future__ import annotations

from datetime import datetime


def duration(seconds: float | None) -> str:
    """`38 ms`, `4.2 s`, `3 min`, `5 h`, `2 days`; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def ago(moment: datetime | None, now: datetime) -> str:
    """`4.2 s ago`; `never` for None."""
    return "never" if moment is None else f"{duration(max(0.0, (now - moment).total_seconds()))} ago"


def amount(count: int | None) -> str:
    """`1,234`; a dash for None."""
    return "–" if count is None else f"{count:,}"
