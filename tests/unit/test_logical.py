"""Connect's types, put back on decoded columns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from consumers.logical import typed, unreadable
from consumers.schema import Column


def column(semantic: str, dtype: pl.DataType, items: Column | None = None) -> Column:
    return Column("v", semantic, dtype, True, {}, items)


def apply(kind: Column, values: list[Any]) -> list[Any]:
    return (
        pl.DataFrame({"v": pl.Series(values, dtype=kind.dtype)})
        .select(typed(kind, pl.col("v")))["v"]
        .to_list()
    )


@pytest.mark.parametrize(
    ("semantic", "dtype", "value", "wanted"),
    [
        ("io.debezium.time.Date", pl.Int32(), -1, dt.date(1969, 12, 31)),
        ("org.apache.kafka.connect.data.Date", pl.Int32(), 0, dt.date(1970, 1, 1)),
        ("io.debezium.time.Time", pl.Int32(), 1, dt.time(0, 0, 0, 1000)),
        ("io.debezium.time.MicroTime", pl.Int64(), 86_399_999_999, dt.time(23, 59, 59, 999_999)),
        ("io.debezium.time.NanoTime", pl.Int64(), 1_000, dt.time(0, 0, 0, 1)),
        ("io.debezium.time.Timestamp", pl.Int64(), -1, dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)),  # noqa: DTZ001
        ("io.debezium.time.MicroTimestamp", pl.Int64(), 1, dt.datetime(1970, 1, 1, 0, 0, 0, 1)),  # noqa: DTZ001
        ("io.debezium.time.ZonedTimestamp", pl.String(), "infinity", "infinity"),
        ("io.debezium.data.Json", pl.String(), '{"a": 1}', '{"a": 1}'),
        ("string", pl.String(), "12.30", "12.30"),
    ],
)
def test_case_2_values_get_their_types(semantic: str, dtype: pl.DataType, value: Any, wanted: Any) -> None:
    assert apply(column(semantic, dtype), [value, None]) == [wanted, None]


def test_items_of_arrays_get_their_types() -> None:
    items = column("io.debezium.time.Date", pl.Int32())
    days = column("array", pl.List(pl.Int32()), items)
    assert apply(days, [[0, None], None, []]) == [[dt.date(1970, 1, 1), None], None, []]


@pytest.mark.parametrize(
    ("kind", "readable"),
    [
        (column("string", pl.String()), True),
        (column("io.debezium.data.Bits", pl.Binary()), False),
        (column("org.apache.kafka.connect.data.Decimal", pl.Binary()), False),
        (column("decimal", pl.Binary()), False),
        (column("io.debezium.time.MicroDuration", pl.Int64()), False),
        (column("point", pl.Struct({"x": pl.Float64()})), False),
        (column("array", pl.List(pl.Binary()), column("decimal", pl.Binary())), False),
    ],
)
def test_what_would_not_be_exact_is_refused(kind: Column, readable: bool) -> None:
    assert (unreadable(kind) is None) is readable
