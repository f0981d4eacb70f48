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
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

import polars as pl

from consumers.decode import decode, decode_event, decode_rows, schema_id_of
from consumers.errors import BadRecord, UnsupportedSchema
from consumers.logical import in_range, typed, unreadable
from consumers.records import RawRecord, Records
from consumers.schema import HEADER_BYTES, Column, WriterSchema

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
        try:
            data = [
                pl.Series(c.name, [row[i] for row in rows], dtype=c.dtype, strict=True)
                for i, c in enumerate(self.columns)
            ]
            return pl.DataFrame(data).select(typed(c, pl.col(c.name)) for c in self.columns)
        except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
            reason = str(error).splitlines()[0]
            raise BadRecord(
                "bad_key", f"the key {keys[0]!r} does not fit {self._names()}: {reason}"
            ) from error

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
    bad: list[Bad] = []
    groups, tombstones = _by_schema(Records.of(records), bad)
    frames = [_upserts_and_deletes(group, wanted, schemas(id_), bad) for id_, group in groups.items()]
    if tombstones:
        schema = schemas(next(reversed(groups))) if groups else schemas.latest(topic)
        frames.append(_keys(tombstones, KeyShape(schema, wanted.key), bad))
    return Changes(_joined(frames), bad, newest_position(records, schemas))


def _by_schema(records: Records, bad: list[Bad]) -> tuple[dict[int, Records], Records]:
    """The records of each schema id, and the tombstones. Most batches are one group, found without a loop."""
    if (
        records
        and None not in records.values
        and len({(value or b"")[:HEADER_BYTES] for value in records.values}) == 1
    ):
        with suppress(BadRecord):
            return {schema_id_of(records.values[0] or b""): records}, Records([], [], [])
    groups: dict[int, list[int]] = {}
    tombstones: list[int] = []
    for index, value in enumerate(records.values):
        if value is None:
            tombstones.append(index)
            continue
        try:
            groups.setdefault(schema_id_of(value), []).append(index)
        except BadRecord as error:
            bad.append(Bad(records[index], error))
    return {id_: records.take(found) for id_, found in groups.items()}, records.take(tombstones)


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One frame in offset order; rows of a frame that had nothing unavailable get false flags."""
    if len(frames) <= 1:
        return frames[0] if frames else pl.DataFrame()
    frame = pl.concat(frames, how="diagonal_relaxed").sort(OFFSET)
    return frame.with_columns(pl.col(c).fill_null(False) for c in frame.columns if c.startswith(UNAVAILABLE))


def newest_position(records: Sequence[RawRecord], schemas: SchemaLookup) -> SourcePosition | None:
    """The source position of the last record that has one."""
    for record in reversed(records):
        if record.value is not None:
            try:
                return source_position(record.value, schemas(schema_id_of(record.value)))
            except BadRecord:
                continue
    return None


def op_and_source(record: RawRecord, schemas: SchemaLookup) -> tuple[object, Mapping[str, Any]] | None:
    """The kind letter and the source block of an event; None for a tombstone and for what cannot be decoded."""
    if record.value is None:
        return None
    try:
        event = decode_event(record.value, schemas(schema_id_of(record.value)))
    except BadRecord:
        return None
    source = event.get("source")
    return (event.get("op"), source) if isinstance(source, Mapping) else None


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
    group: Records, wanted: Wanted, schema: WriterSchema, bad: list[Bad]
) -> pl.DataFrame:
    columns = [_readable(schema, name) for name in wanted.columns]
    good, envelope = _decoded(group, schema, bad)
    good, envelope = _without(good, envelope, _SOUND, bad, "unexpected_op", "an event that is no row")
    frame = envelope.select(
        pl.Series(OFFSET, good.offsets, dtype=pl.Int64),
        pl.when(pl.col("op") == "d").then(pl.lit("d")).otherwise(pl.lit("u")).alias(OP),
        *(pl.col("after").struct.field(c.name) for c in columns),
    )
    for column in columns:
        if (test := in_range(column, pl.col(column.name))) is not None:
            what = f"the value of {column.name} is infinite or outside what {column.semantic} can hold"
            good, frame = _without(good, frame, test, bad, "out_of_range", what)
    frame = _flag_unavailable(frame, columns, wanted.placeholder)
    frame = frame.with_columns(typed(c, pl.col(c.name)) for c in columns)
    if not (frame[OP] == "d").any():
        return frame
    deletes = good.take((frame[OP] == "d").arg_true().to_list())
    keys = _keys(deletes, KeyShape(schema, wanted.key), bad)
    return _joined([frame.filter(pl.col(OP) == "u"), keys])


_SOUND = (pl.col("op") == "d") | (pl.col("op").is_in(["c", "u", "r"]) & pl.col("after").is_not_null())


def _without(
    records: Records, frame: pl.DataFrame, sound: pl.Expr, bad: list[Bad], code: str, reason: str
) -> tuple[Records, pl.DataFrame]:
    """Without the rows for which `sound` is false: those go to `bad`."""
    fine = frame.select(sound.fill_null(True).alias("fine"))["fine"]
    if fine.all():
        return records, frame
    bad.extend(Bad(records[i], BadRecord(code, reason)) for i in (~fine).arg_true())
    return records.take(fine.arg_true().to_list()), frame.filter(fine)


def _decoded(group: Records, schema: WriterSchema, bad: list[Bad]) -> tuple[Records, pl.DataFrame]:
    """The records that decode, and their envelopes; the others go to `bad`."""
    try:
        return group, decode(_values(group), schema)
    except BadRecord:
        good: list[int] = []
        for index, value in enumerate(_values(group)):
            try:
                decode_event(value, schema)
                good.append(index)
            except BadRecord as error:
                bad.append(Bad(group[index], error))
        sound = group.take(good)
        return sound, decode_rows(_values(sound), schema)


def _values(records: Records) -> list[bytes]:
    return [value for value in records.values if value is not None]


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


def _keys(records: Records, shape: KeyShape, bad: list[Bad]) -> pl.DataFrame:
    """Deletes as a frame: offset, op and key columns."""
    try:
        keys = shape.frame(records.keys)
    except BadRecord:
        good: list[int] = []
        for index, key in enumerate(records.keys):
            try:
                shape.frame([key])
                good.append(index)
            except BadRecord as error:
                bad.append(Bad(records[index], error))
        records = records.take(good)
        keys = shape.frame(records.keys)
    offsets = pl.Series(OFFSET, records.offsets, dtype=pl.Int64)
    return keys.select(offsets, pl.lit("d").alias(OP), pl.all())


def _flag_unavailable(frame: pl.DataFrame, columns: Sequence[Column], placeholder: str) -> pl.DataFrame:
    """Add a flag for each column in which some value is Debezium's placeholder, and null those values."""
    tests = {c.name: is_placeholder(c, placeholder) for c in columns}
    asked = {name: test.fill_null(False) for name, test in tests.items() if test is not None}
    if not asked:
        return frame
    any_ = frame.select(test.any().alias(name) for name, test in asked.items()).row(0, named=True)
    hidden = {name: test for name, test in asked.items() if any_[name]}
    if not hidden:
        return frame
    frame = frame.with_columns(test.alias(UNAVAILABLE + name) for name, test in hidden.items())
    return frame.with_columns(
        pl.when(pl.col(UNAVAILABLE + name)).then(None).otherwise(pl.col(name)).alias(name) for name in hidden
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
