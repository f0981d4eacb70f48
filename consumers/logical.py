"""Connect's and Debezium's logical types, re-applied to decoded columns.

A type that has no columnar form of its own (zoned timestamps, numeric, json, interval, inet, enums of the
database, …) stays text exactly as Debezium spelled it: the target's database casts it, so no value passes
through a type that could round it.
"""

from __future__ import annotations

import polars as pl

from consumers.schema import Column

_CASTS: dict[str, pl.DataType] = {
    "io.debezium.time.Date": pl.Date(),
    "org.apache.kafka.connect.data.Date": pl.Date(),
    "date": pl.Date(),
    "io.debezium.time.Timestamp": pl.Datetime("ms"),
    "io.debezium.time.MicroTimestamp": pl.Datetime("us"),
    "io.debezium.time.NanoTimestamp": pl.Datetime("ns"),
    "org.apache.kafka.connect.data.Timestamp": pl.Datetime("ms"),
    "timestamp-millis": pl.Datetime("ms"),
    "timestamp-micros": pl.Datetime("us"),
}
_NANOSECONDS: dict[str, int] = {
    "io.debezium.time.Time": 1_000_000,
    "io.debezium.time.MicroTime": 1_000,
    "io.debezium.time.NanoTime": 1,
    "org.apache.kafka.connect.data.Time": 1_000_000,
    "time-millis": 1_000_000,
    "time-micros": 1_000,
}
_UNREADABLE = {
    "decimal": "a binary decimal (set decimal.handling.mode=string on the connector)",
    "org.apache.kafka.connect.data.Decimal": "a binary decimal (set decimal.handling.mode=string)",
    "io.debezium.time.MicroDuration": "an interval in microseconds (set interval.handling.mode=string)",
    "io.debezium.data.Bits": "a bit string of more than one bit",
}


def unreadable(column: Column) -> str | None:
    """Why the column cannot be read yet, or None."""
    if column.items is not None:
        return unreadable(column.items)
    if isinstance(column.dtype, pl.Struct):
        return f"a structured value ({column.semantic})"
    return _UNREADABLE.get(column.semantic)


def typed(column: Column, value: pl.Expr) -> pl.Expr:
    """The expression that gives `value` (of `column.dtype`) its logical type."""
    if column.items is not None:
        if _plain(column.items):
            return value
        return value.list.eval(typed(column.items, pl.element()))
    if column.semantic in _NANOSECONDS:
        return (value.cast(pl.Int64) * _NANOSECONDS[column.semantic]).cast(pl.Time)
    if column.semantic in _CASTS:
        return value.cast(_CASTS[column.semantic])
    if isinstance(column.dtype, pl.Enum):
        return value.cast(pl.String)
    return value


def _plain(column: Column) -> bool:
    if column.items is not None:
        return _plain(column.items)
    named = column.semantic in _CASTS or column.semantic in _NANOSECONDS
    return not named and not isinstance(column.dtype, pl.Enum)
