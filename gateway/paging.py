"""Lists in pages: `limit` of at most 200, and a cursor that callers only hand back."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from catalog.manifest import ManifestProblem
from catalog.problems import invalid

T = TypeVar("T")
Json = dict[str, Any]


def cursor_of(last: str | int) -> str:
    """A cursor that goes on after `last`."""
    return base64.urlsafe_b64encode(json.dumps([last]).encode()).decode().rstrip("=")


def after(cursor: str | None, kind: type[T]) -> T | None:
    """What a cursor goes on after, None without one. Raises ProblemError (422) for one that we did not give."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = json.loads(raw)
    except (ValueError, binascii.Error, RecursionError):
        values = None
    if not isinstance(values, list) or len(values) != 1 or type(values[0]) is not kind:
        raise invalid(
            [ManifestProblem("cursor", "is not one that this list gave", "next_cursor of the last page")]
        )
    found: T = values[0]
    return found


def page(items: Sequence[Json], limit: int, key: str) -> Json:
    """{"items", "next_cursor"} of up to `limit` + 1 items: the one too many says that there is more."""
    shown = list(items[:limit])
    more = len(items) > limit
    return {"items": shown, "next_cursor": cursor_of(shown[-1][key]) if more else None}


def page_by_name(
    items: Sequence[T], name: Callable[[T], str], cursor: str | None, limit: int
) -> tuple[list[T], str | None]:
    """A page of a list that is held whole, ordered by name."""
    last = after(cursor, str)
    rest = [item for item in items if last is None or name(item) > last]
    return rest[:limit], cursor_of(name(rest[limit - 1])) if len(rest) > limit else None
