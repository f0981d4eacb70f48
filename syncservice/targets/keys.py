"""The logical key of a row as text: what parking and dead letters go by."""

from __future__ import annotations

import polars as pl

from syncservice.plan import TablePlan


def key_texts(plan: TablePlan, rows: pl.DataFrame) -> list[str]:
    """`{"parcel_number":"12-3"}` for each row: target names, typed values."""
    names = zip(plan.source_key, plan.key, strict=True)
    columns = [_textual(pl.col(source), rows[source].dtype).alias(target) for source, target in names]
    return rows.select(pl.struct(columns).struct.json_encode().alias("key"))["key"].to_list()


def _textual(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return value.bin.encode("base64") if isinstance(dtype, pl.Binary) else value
