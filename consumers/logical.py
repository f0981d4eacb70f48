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
_DAY_US = 86_400_000_000
_FIRST_US, _LAST_US = -210_866_803_200_000_000, 2**63 - 2  # 4713 BC; the last number stands for infinity
_DAYS = (-2_440_588, 2_145_031_948)  # 4713 BC to 5874897
_LIMITS: dict[str, tuple[int, int]] = {
    "io.debezium.time.Date": _DAYS,
    "org.apache.kafka.connect.data.Date": _DAYS,
    "date": _DAYS,
    "io.debezium.time.Timestamp": (_FIRST_US // 1000, _LAST_US // 1000 - 1),
    "org.apache.kafka.connect.data.Timestamp": (_FIRST_US // 1000, _LAST_US // 1000 - 1),
    "timestamp-millis": (_FIRST_US // 1000, _LAST_US // 1000 - 1),
    "io.debezium.time.MicroTimestamp": (_FIRST_US, _LAST_US),
    "timestamp-micros": (_FIRST_US, _LAST_US),
    "io.debezium.time.NanoTimestamp": (-(2**63) + 1, 2**63 - 2),
    "io.debezium.time.Time": (0, _DAY_US // 1000 - 1),
    "org.apache.kafka.connect.data.Time": (0, _DAY_US // 1000 - 1),
    "time-millis": (0, _DAY_US // 1000 - 1),
    "io.debezium.time.MicroTime": (0, _DAY_US - 1),
    "time-micros": (0, _DAY_US - 1),
    "io.debezium.time.NanoTime": (0, _DAY_US * 1000 - 1),
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


def in_range(column: Column, value: pl.Expr) -> pl.Expr | None:
    """True where a temporal `value` (of `column.dtype`) is one that both sides can hold; None for other types.

    Debezium spells ±infinity as the ends of the integer type; PostgreSQL's own ranges are narrower.
    """
    if column.items is not None:
        inner = in_range(column.items, pl.element())
        return None if inner is None else value.list.eval(inner).list.all()
    limits = _LIMITS.get(column.semantic)
    return None if limits is None else value.is_between(*limits)


def _plain(column: Column) -> bool:
    if column.items is not None:
        return _plain(column.items)
    named = column.semantic in _CASTS or column.semantic in _NANOSECONDS
    return not named and not isinstance(column.dtype, pl.Enum)
