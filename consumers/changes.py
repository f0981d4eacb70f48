"""Records of one topic become one typed frame of changes.

The frame has a row a change, in offset order, with
  `@offset`  Int64    the record's offset
  `@op`      String   "u" upsert (create, update, read) or "d" delete (delete, bare tombstone)
  and the wanted columns of the source table, typed. Of a delete only the key columns are set.
A column some row of which is *unavailable* (unchanged TOAST) comes with `@unavailable:<column>` (Boolean).

A delete's key comes from the record's key: its JSON is stable where Avro keys are not, and `before` need
not be decoded at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

import polars as pl

from consumers.decode import decode, decode_event, decode_rows, schema_id_of
from consumers.errors import BadRecord, UnsupportedSchema
from consumers.logical import typed, unreadable
from consumers.records import RawRecord
from consumers.schema import Column, WriterSchema

OFFSET, OP, UNAVAILABLE = "@offset", "@op", "@unavailable:"


class SchemaLookup(Protocol):
    """Prepared schemas by id, and the newest of a topic (`consumers.schemas.Schemas`)."""

    def __call__(self, schema_id: int) -> WriterSchema:
        """The schema with this id."""
        ...

    def latest(self, topic: str) -> WriterSchema:
        """The newest schema of the topic's values."""
        ...


@dataclass(frozen=True)
class SourcePosition:
    """Where and when a change happened at its source: LSN and milliseconds since 1970."""

    lsn: int | None
    ts_ms: int | None
    transaction: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a reader wants of a topic: columns, the key among them, and Debezium's placeholder."""

    columns: tuple[str, ...]
    key: tuple[str, ...]
    placeholder: str


@dataclass(frozen=True)
class Bad:
    """A record that cannot be decoded."""

    record: RawRecord
    error: BadRecord


@dataclass(frozen=True)
class Changes:
    """The typed frame, the records that did not make it, and the newest source position seen."""

    frame: pl.DataFrame
    bad: list[Bad] = field(default_factory=list)
    newest: SourcePosition | None = None


class KeyShape:
    """How the record's key (schemaless JSON) becomes the key columns of a writer's schema."""

    def __init__(self, schema: WriterSchema, key: Sequence[str]) -> None:
        columns = [schema.column(name) for name in key]
        missing = [name for name, column in zip(key, columns, strict=True) if column is None]
        if missing:
            raise UnsupportedSchema(f"key column {missing[0]} is not in schema {schema.schema_id}")
        self.columns: list[Column] = [column for column in columns if column is not None]

    def frame(self, keys: Sequence[bytes | None]) -> pl.DataFrame:
        """Typed key columns, a row a key. Raises BadRecord when one does not fit."""
        rows = [self._row(key) for key in keys]
        data = [
            pl.Series(c.name, [row[i] for row in rows], dtype=c.dtype, strict=True)
            for i, c in enumerate(self.columns)
        ]
        return pl.DataFrame(data).select(typed(c, pl.col(c.name)) for c in self.columns)

    def _row(self, key: bytes | None) -> list[Any]:
        try:
            parsed = json.loads(key or b"", parse_float=Decimal)
            return [self._value(column, parsed[column.name]) for column in self.columns]
        except (ValueError, KeyError, TypeError) as error:
            raise BadRecord("bad_key", f"the key {key!r} does not hold {self._names()}: {error!r}") from error

    def _value(self, column: Column, value: Any) -> Any:
        if value is None or isinstance(value, bool) != isinstance(column.dtype, pl.Boolean):
            raise TypeError(f"{column.name} is {value!r}")
        if isinstance(column.dtype, pl.Binary):
            return base64.b64decode(value, validate=True)
        if isinstance(column.dtype, pl.String) and not isinstance(value, str):
            return str(value)
        return float(value) if isinstance(value, Decimal) else value

    def _names(self) -> str:
        return ", ".join(c.name for c in self.columns)


def read_changes(topic: str, records: Sequence[RawRecord], wanted: Wanted, schemas: SchemaLookup) -> Changes:
    """Decode the records of one topic (offset order).

    Raises UnsupportedSchema, and whatever `schemas` raises when the registry cannot answer: then no record is
    at fault.
    """
    by_schema: dict[int, list[RawRecord]] = {}
    tombstones: list[RawRecord] = []
    bad: list[Bad] = []
    for record in records:
        if record.value is None:
            tombstones.append(record)
            continue
        try:
            by_schema.setdefault(schema_id_of(record.value), []).append(record)
        except BadRecord as error:
            bad.append(Bad(record, error))
    frames: list[pl.DataFrame] = []
    for schema_id, group in by_schema.items():
        frames.append(_upserts_and_deletes(group, wanted, schemas(schema_id), bad))
    if tombstones:
        schema = schemas(next(reversed(by_schema))) if by_schema else schemas.latest(topic)
        frames.append(_keys(tombstones, KeyShape(schema, wanted.key), bad))
    frame = (
        frames[0]
        if len(frames) == 1
        else pl.concat(frames, how="diagonal_relaxed")
        if frames
        else pl.DataFrame()
    )
    if len(frames) > 1:
        flags = [pl.col(c).fill_null(False) for c in frame.columns if c.startswith(UNAVAILABLE)]
        frame = frame.sort(OFFSET).with_columns(flags)
    return Changes(frame, bad, newest_position(records, schemas))


def newest_position(records: Sequence[RawRecord], schemas: SchemaLookup) -> SourcePosition | None:
    """The source position of the last record that has one."""
    for record in reversed(records):
        if record.value is not None:
            try:
                return source_position(record.value, schemas(schema_id_of(record.value)))
            except BadRecord:
                continue
    return None


def source_position(value: bytes, schema: WriterSchema) -> SourcePosition:
    """The source position inside an envelope. Raises BadRecord."""
    source = decode_event(value, schema).get("source")
    if not isinstance(source, Mapping):
        return SourcePosition(None, None)
    transaction = source.get("txId")
    return SourcePosition(
        source.get("lsn"), source.get("ts_ms"), None if transaction is None else str(transaction)
    )


def _upserts_and_deletes(
    group: list[RawRecord], wanted: Wanted, schema: WriterSchema, bad: list[Bad]
) -> pl.DataFrame:
    columns = [_readable(schema, name) for name in wanted.columns]
    good, envelope = _whole(*_decoded(group, schema, bad), bad)
    offsets = pl.Series(OFFSET, [record.offset for record in good], dtype=pl.Int64)
    frame = envelope.select(
        offsets,
        pl.when(pl.col("op") == "d").then(pl.lit("d")).otherwise(pl.lit("u")).alias(OP),
        *(pl.col("after").struct.field(c.name) for c in columns),
    )
    frame = _flag_unavailable(frame, columns, wanted.placeholder)
    frame = frame.with_columns(typed(c, pl.col(c.name)) for c in columns)
    if "d" not in frame[OP]:
        return frame
    deletes = [record for record, op in zip(good, frame[OP], strict=True) if op == "d"]
    keys = _keys(deletes, KeyShape(schema, wanted.key), bad)
    flags = [pl.col(c).fill_null(False) for c in frame.columns if c.startswith(UNAVAILABLE)]
    kept = frame.filter(pl.col(OP) == "u")
    return pl.concat([kept, keys], how="diagonal").sort(OFFSET).with_columns(flags)


def _decoded(
    group: list[RawRecord], schema: WriterSchema, bad: list[Bad]
) -> tuple[list[RawRecord], pl.DataFrame]:
    """The records that decode, and their envelopes; the others go to `bad`."""
    try:
        return group, decode([r.value for r in group if r.value is not None], schema)
    except BadRecord:
        good: list[RawRecord] = []
        for record in group:
            try:
                decode_event(record.value or b"", schema)
                good.append(record)
            except BadRecord as error:
                bad.append(Bad(record, error))
        return good, decode_rows([r.value for r in good if r.value is not None], schema)


def _whole(
    records: list[RawRecord], envelope: pl.DataFrame, bad: list[Bad]
) -> tuple[list[RawRecord], pl.DataFrame]:
    """Without the events that are neither an upsert with `after` nor a delete."""
    op, after = pl.col("op"), pl.col("after")
    fine = envelope.select((op == "d") | (op.is_in(["c", "u", "r"]) & after.is_not_null()))["op"]
    if fine.all():
        return records, envelope
    for record, one, ok in zip(records, envelope["op"], fine, strict=True):
        if not ok:
            bad.append(Bad(record, BadRecord("unexpected_op", f"an event with op {one!r} and no row")))
    return [r for r, ok in zip(records, fine, strict=True) if ok], envelope.filter(fine)


def _readable(schema: WriterSchema, name: str) -> Column:
    column = schema.column(name)
    if column is None:
        raise UnsupportedSchema(
            f"column {name} is not in the change events any more (schema {schema.schema_id}): it was dropped "
            "or renamed at the source; change the sync pair's columns"
        )
    if why := unreadable(column):
        raise UnsupportedSchema(f"column {name} is {why}, which is not supported yet")
    return column


def _keys(records: list[RawRecord], shape: KeyShape, bad: list[Bad]) -> pl.DataFrame:
    """Deletes as a frame: offset, op and key columns."""
    try:
        keys = shape.frame([record.key for record in records])
    except (BadRecord, pl.exceptions.PolarsError, TypeError, OverflowError):
        good: list[RawRecord] = []
        for record in records:
            try:
                shape.frame([record.key])
                good.append(record)
            except (BadRecord, pl.exceptions.PolarsError, TypeError, OverflowError) as error:
                cause = (
                    error
                    if isinstance(error, BadRecord)
                    else BadRecord(
                        "bad_key", f"the key {record.key!r} does not fit: {str(error).splitlines()[0]}"
                    )
                )
                bad.append(Bad(record, cause))
        records, keys = good, shape.frame([record.key for record in good])
    offsets = pl.Series(OFFSET, [record.offset for record in records], dtype=pl.Int64)
    return keys.select(offsets, pl.lit("d").alias(OP), pl.all())


def _flag_unavailable(frame: pl.DataFrame, columns: Sequence[Column], placeholder: str) -> pl.DataFrame:
    """Add a flag for each column in which some value is Debezium's placeholder, and null those values."""
    flags: list[pl.Expr] = []
    for column in columns:
        test = is_placeholder(column, placeholder)
        if test is not None and frame.select(test.any()).item():
            flags.append(test.fill_null(False).alias(UNAVAILABLE + column.name))
    if not flags:
        return frame
    frame = frame.with_columns(flags)
    hidden = [flag.meta.output_name() for flag in flags]
    return frame.with_columns(
        pl.when(pl.col(flag))
        .then(None)
        .otherwise(pl.col(flag.removeprefix(UNAVAILABLE)))
        .alias(flag.removeprefix(UNAVAILABLE))
        for flag in hidden
    )


def is_placeholder(column: Column, placeholder: str) -> pl.Expr | None:
    """An expression that is true where the column holds the placeholder; None for types that never do."""
    value = pl.col(column.name)
    if isinstance(column.dtype, pl.String):
        return value == placeholder
    if isinstance(column.dtype, pl.Binary):
        return value == placeholder.encode()
    if column.items is None:
        return None
    if isinstance(column.items.dtype, pl.String):
        return (value.list.len() == 1) & value.list.first().is_in([placeholder, _as_uuid(placeholder)])
    if isinstance(column.items.dtype, pl.Binary):
        return (value.list.len() == 1) & (value.list.first() == placeholder.encode())
    if column.items.dtype in (pl.Int32(), pl.Int64()):
        spelled = pl.lit(pl.Series([list(placeholder.encode())], dtype=column.dtype)).first()
        return (value.list.len() == len(placeholder.encode())) & (value == spelled)
    return None


def _as_uuid(placeholder: str) -> str:
    """What Debezium writes for a uuid[]: the placeholder's name-based UUID (docs/adr/0003)."""
    return str(uuid.UUID(bytes=hashlib.md5(placeholder.encode(), usedforsecurity=False).digest(), version=3))
