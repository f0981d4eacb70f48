"""Change events as Debezium and our converter write them: schemas, Avro values, JSON keys, logs, and table plans.

The shapes are those of real records (Debezium 3.7, Apicurio's converter): an envelope with `before` and `after` of
one named record, a nullable field is `["null", type]`, a decorated type carries `connect.name`.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import fastavro

from consumers.records import RawBatch, RawRecord, TopicPartition
from consumers.schemas import Schemas
from consumers.source import MemorySource, Positions
from schemas.registry import MemoryRegistry, UnknownSchema
from syncservice.plan import ColumnPlan, TablePlan

PLACEHOLDER = "__unavailable_49b5e6c8b2182079d30d0f6e070b05cc"
Row = dict[str, Any]
Logs = Mapping[TopicPartition, Sequence[RawRecord]]


@dataclass(frozen=True)
class Col:
    """A source column: its Avro type, Connect's name for it, and PostgreSQL's type on both sides."""

    name: str
    avro: Any = "string"
    pg: str = "text"
    semantic: str | None = None
    nullable: bool = True

    def field(self) -> dict[str, Any]:
        """The field of the Avro record."""
        decorated: dict[str, Any] = {"type": self.avro} if isinstance(self.avro, str) else dict(self.avro)
        decorated["connect.parameters"] = {"__debezium.source.column.name": self.name}
        if self.semantic:
            decorated |= {"connect.version": 1, "connect.name": self.semantic}
        if not self.nullable:
            return {"name": self.name, "type": decorated}
        return {"name": self.name, "type": ["null", decorated], "default": None}


def array(items: Any) -> dict[str, Any]:
    """An Avro array whose items may be null, as Debezium writes every array."""
    return {"type": "array", "items": ["null", items]}


SOURCE = {
    "type": "record",
    "name": "Source",
    "namespace": "io.debezium.connector.postgresql",
    "fields": [
        {"name": "version", "type": "string"},
        {"name": "connector", "type": "string"},
        {"name": "name", "type": "string"},
        {"name": "ts_ms", "type": "long"},
        {
            "name": "snapshot",
            "type": [
                {"type": "string", "connect.default": "false", "connect.name": "io.debezium.data.Enum"},
                "null",
            ],
            "default": "false",
        },
        {"name": "db", "type": "string"},
        {"name": "sequence", "type": ["null", "string"], "default": None},
        {"name": "schema", "type": "string"},
        {"name": "table", "type": "string"},
        {"name": "txId", "type": ["null", "long"], "default": None},
        {"name": "lsn", "type": ["null", "long"], "default": None},
    ],
    "connect.version": 1,
    "connect.name": "io.debezium.connector.postgresql.Source",
}
BLOCK = {
    "type": "record",
    "name": "block",
    "namespace": "event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "total_order", "type": "long"},
        {"name": "data_collection_order", "type": "long"},
    ],
    "connect.name": "event.block",
}


def envelope(columns: Sequence[Col], namespace: str = "pacs_1.public.parcel") -> dict[str, Any]:
    """The envelope's schema; `after` mentions the row's record by its name."""
    row = {"type": "record", "name": "Value", "fields": [c.field() for c in columns]}
    return {
        "type": "record",
        "name": "Envelope",
        "namespace": namespace,
        "fields": [
            {"name": "before", "type": ["null", row], "default": None},
            {"name": "after", "type": ["null", "Value"], "default": None},
            {"name": "source", "type": SOURCE},
            {"name": "transaction", "type": ["null", BLOCK], "default": None},
            {"name": "op", "type": "string"},
            {"name": "ts_ms", "type": ["null", "long"], "default": None},
        ],
        "connect.version": 1,
        "connect.name": f"{namespace}.Envelope",
    }


@dataclass(frozen=True)
class Writer:
    """Writes the values of one table under one schema id."""

    schema_id: int
    columns: tuple[Col, ...]
    key: tuple[str, ...] = ("id",)
    table: str = "parcel"

    @cached_property
    def schema(self) -> dict[str, Any]:
        """As the registry gives it."""
        return envelope(self.columns, f"pacs_1.public.{self.table}")

    @cached_property
    def _parsed(self) -> Any:
        return fastavro.parse_schema(self.schema)

    @property
    def topic(self) -> str:
        """The table's topic."""
        return f"pacs-1.public.{self.table}"

    def value(
        self,
        op: str,
        after: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        lsn: int | None = 1000,
        ts_ms: int = 1_795_499_779_281,
    ) -> bytes:
        """The record's value in the Confluent wire format."""
        source = {
            "version": "3.7.0.Final",
            "connector": "postgresql",
            "name": "pacs-1",
            "ts_ms": ts_ms,
            "snapshot": "false",
            "db": "pacs",
            "schema": "public",
            "table": self.table,
            "txId": 806,
            "lsn": lsn,
        }
        event = {"before": before, "after": after, "source": source, "op": op, "ts_ms": ts_ms + 3}
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self._parsed, event)
        return b"\x00" + self.schema_id.to_bytes(4) + stream.getvalue()

    def key_of(self, row: Mapping[str, Any]) -> bytes:
        """The record's key: schemaless JSON, bytes in base64."""
        key = {name: row[name] for name in self.key}
        return json.dumps(
            {n: base64.b64encode(v).decode() if isinstance(v, bytes) else v for n, v in key.items()},
            separators=(",", ":"),
        ).encode()

    def plan(self, schema: str = "cama", table: str | None = None) -> TablePlan:
        """Every column under its own name."""
        columns = tuple(ColumnPlan(c.name, c.name, c.pg) for c in self.columns)
        return TablePlan(self.topic, schema, table or self.table, columns, self.key, PLACEHOLDER)


@dataclass
class Log:
    """A topic's only partition, written event by event. `gap` leaves offsets out, as compaction does."""

    writer: Writer
    records: list[RawRecord] = field(default_factory=list)
    next: int = 0

    @property
    def partition(self) -> TopicPartition:
        """Where it stands."""
        return TopicPartition(self.writer.topic, 0)

    def raw(self, key: bytes | None, value: bytes | None) -> RawRecord:
        """Any bytes."""
        record = RawRecord(self.next, key, value)
        self.records.append(record)
        self.next += 1
        return record

    def upsert(self, row: Row, op: str = "u", before: Row | None = None) -> RawRecord:
        """A create, update or read."""
        return self.raw(self.writer.key_of(row), self.writer.value(op, row, before, lsn=1000 + self.next * 8))

    def delete(self, row: Row, tombstone: bool = True) -> RawRecord:
        """A delete and, as Debezium does, its tombstone."""
        key = self.writer.key_of(row)
        record = self.raw(key, self.writer.value("d", None, row, lsn=1000 + self.next * 8))
        if tombstone:
            self.raw(key, None)
        return record

    def tombstone(self, row: Row) -> RawRecord:
        """A bare tombstone."""
        return self.raw(self.writer.key_of(row), None)

    def move(self, old: Row, new: Row) -> None:
        """A change of the key: delete, tombstone, create."""
        self.delete(old)
        self.upsert(new, "c")

    def gap(self, size: int = 1) -> None:
        """Offsets that hold nothing (any more)."""
        self.next += size


class TopicRegistry(MemoryRegistry):
    """A registry that knows these writers' schemas, each under its own topic."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        super().__init__({w.schema_id: w.schema for w in writers})
        self._newest = {f"{w.topic}-value": w.schema_id for w in sorted(writers, key=lambda w: w.schema_id)}

    def latest(self, subject: str) -> int:
        """See Registry.latest."""
        if subject not in self._newest:
            raise UnknownSchema(f"the registry does not know subject {subject}")
        return self._newest[subject]


def registry(*writers: Writer) -> Schemas:
    """The prepared schemas of these writers."""
    return Schemas(TopicRegistry(writers))


def batch_of(
    logs: Logs,
    start: Mapping[TopicPartition, int] | None = None,
    end: Mapping[TopicPartition, int] | None = None,
) -> RawBatch:
    """One batch of everything in the logs; `start` defaults to 0, `end` to behind the last record."""
    after = {tp: records[-1].offset + 1 if records else 0 for tp, records in logs.items()}
    return RawBatch(logs, dict.fromkeys(logs, 0) | dict(start or {}), after | dict(end or {}))


def cut(logs: Logs, sizes: Callable[[], int]) -> Iterator[RawBatch]:
    """Batches that take `sizes()` records of each partition in turn, until everything is read."""
    position = dict.fromkeys(logs, 0)
    left = {tp: list(records) for tp, records in logs.items()}
    while any(left.values()):
        records: dict[TopicPartition, list[RawRecord]] = {}
        for tp, waiting in left.items():
            size = sizes()
            if waiting[:size]:
                records[tp], left[tp] = waiting[:size], waiting[size:]
        if records:
            moved = {tp: found[-1].offset + 1 for tp, found in records.items()}
            yield RawBatch(records, {tp: position[tp] for tp in moved}, moved)
            position |= moved


class CutSource:
    """A MemorySource that cuts its batches as `sizes` says and reports its reads to `ended` at the end."""

    def __init__(self, logs: Logs, sizes: Callable[[], int], idle: Callable[[], None] = lambda: None) -> None:
        self._inner, self._sizes, self._idle = MemorySource(logs), sizes, idle

    def seek(self, positions: Positions) -> None:
        """See EventSource.seek."""
        self._inner.seek(positions)

    def poll(self, timeout: float, max_records: int) -> RawBatch | None:
        """See EventSource.poll."""
        found = self._inner.poll(0.001, max(1, min(max_records, self._sizes())))
        if found is None:
            self._idle()
        return found

    def close(self) -> None:
        """See EventSource.close."""
        self._inner.close()


def renamed(plan: TablePlan, table: str) -> TablePlan:
    """The same plan for another target table."""
    return replace(plan, table=table)
