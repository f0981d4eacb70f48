"""TRUNCATE at the source: never silent. The connector routes it to a topic of its own (it has no key)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consumers.changes import SchemaLookup, op_and_source
from consumers.records import RawBatch, RawRecord
from syncservice.errors import Halt


@dataclass(frozen=True)
class TruncateGuard:
    """Halts a pair when one of its source tables (`schema.table` → target table) is truncated."""

    topic: str
    tables: Mapping[str, str]

    def check(self, raw: RawBatch, schemas: SchemaLookup) -> None:
        """Raises Halt when the batch holds a truncate of one of the tables."""
        for partition, records in raw.records.items():
            if partition.topic == self.topic:
                for record in records:
                    self._check(record, schemas)

    def _check(self, record: RawRecord, schemas: SchemaLookup) -> None:
        found = truncated(record, schemas)
        if found is not None and found[0] in self.tables:
            raise Halt(
                f"TRUNCATE of {found[0]} at the source (LSN {found[1]}): {self.tables[found[0]]} still holds the rows",
                code="truncated",
                remedy="Run a full sync (`terrafusion sync full PAIR`): it leaves out what was truncated.",
            )


def truncated(record: RawRecord, schemas: SchemaLookup) -> tuple[str, int] | None:
    """The source table and the LSN of a truncate event; None when the record is none."""
    found = op_and_source(record, schemas)
    if found is None or found[0] != "t":
        return None
    source = found[1]
    return f"{source['schema']}.{source['table']}", int(source["lsn"] or 0)
