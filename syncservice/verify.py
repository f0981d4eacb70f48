"""Verification in its simple form: both sides quiet, every row compared, by ranges of the key.

The source's chunk gives the range; the target's rows of the same range are read, so that rows that only the target
has are found too. Hashes first; only rows that differ are read in full.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from syncservice.catch_up import Report
from syncservice.errors import Cancelled
from syncservice.sources.reader import Key, Reader

CHUNK = 20_000
SHOWN = 100


@dataclass
class TableResult:
    """What comparing one table found; `differences` holds the first SHOWN of them."""

    table: str
    rows_source: int = 0
    rows_target: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.extra or self.different)


def verify_table(name: str, source: Reader, target: Reader, report: Report) -> TableResult:
    """Compare all rows of one table. Raises Cancelled and psycopg's errors."""
    result = TableResult(name)
    after: Key | None = None
    while True:
        if report.cancelled():
            raise Cancelled("the operation was cancelled")
        have = source.chunk(after, None, CHUNK)
        last = next(reversed(have)) if len(have) == CHUNK else None
        found = target.chunk(after, last, None)
        _compare(result, source, target, have, found)
        result.rows_source += len(have)
        result.rows_target += len(found)
        report.done(len(have))
        if last is None:
            return result
        after = last


def _compare(
    result: TableResult, source: Reader, target: Reader, have: dict[Key, int], found: dict[Key, int]
) -> None:
    if have == found:
        return
    suspects = {
        "missing": [key for key in have if key not in found],
        "extra": [key for key in found if key not in have],
        "different": [key for key, hash_ in have.items() if key in found and found[key] != hash_],
    }
    for kind, keys in suspects.items():
        setattr(result, kind, getattr(result, kind) + len(keys))
        shown = keys[: max(0, SHOWN - len(result.differences))]
        ours, theirs = source.rows(shown), target.rows(shown)
        names = target.side.columns
        for key in shown:
            result.differences.append(
                {
                    "key": dict(zip(target.side.key, key, strict=True)),
                    "kind": kind,
                    "columns": _columns(names, ours.get(key), theirs.get(key)),
                }
            )


def _columns(
    names: tuple[str, ...], ours: tuple[str | None, ...] | None, theirs: tuple[str | None, ...] | None
) -> dict[str, list[str | None]]:
    empty = (None,) * len(names)
    pairs = zip(names, ours or empty, theirs or empty, strict=True)
    return {name: [one, other] for name, one, other in pairs if one != other}


def result_of(tables: list[TableResult]) -> dict[str, Any]:
    """The operation's result."""
    return {
        "equal": all(table.equal for table in tables),
        "tables": [
            {
                "table": t.table,
                "rows_source": t.rows_source,
                "rows_target": t.rows_target,
                "missing": t.missing,
                "extra": t.extra,
                "different": t.different,
                "differences": t.differences,
            }
            for t in tables
        ],
    }
