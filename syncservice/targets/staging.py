"""A frame of changes as PostgreSQL's binary COPY, and the staging table it goes into.

Staging columns have the encoder's own types (never the target's) and short names `c0 … cn`, in the order
of the plan's columns; `seq` numbers the rows, `op` is "u" (upsert), "n" (new: no such key before) or "d", `mask` names unavailable columns.
The merge casts to the target's types.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder

from syncservice.compact import MASK, OFFSET, OP
from syncservice.plan import TablePlan


@dataclass(frozen=True)
class Staged:
    """COPY bytes and the columns (name, PostgreSQL type) they are for."""

    columns: tuple[tuple[str, str], ...]
    payload: bytes
    rows: int


def stage(plan: TablePlan, changes: pl.DataFrame) -> Staged:
    """Encode compacted changes; `seq` is the record's offset."""
    frame = changes.select(
        pl.col(OFFSET).alias("seq"),
        pl.col(OP).alias("op"),
        pl.col(MASK).alias("mask"),
        *(
            _encodable(pl.col(c.source), changes[c.source].dtype).alias(f"c{i}")
            for i, c in enumerate(plan.columns)
        ),
    )
    return encode(frame)


def encode(frame: pl.DataFrame) -> Staged:
    """Encode a frame as it is."""
    table = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.cast(pa.schema([_encodable_field(field) for field in table.schema]))
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    types = [str(column.data_type.ddl()) for column in encoder.schema().columns]
    parts = [encoder.write_header()]
    parts += [encoder.write_batch(batch) for batch in table.combine_chunks().to_batches()]
    parts.append(encoder.finish())
    return Staged(tuple(zip(frame.columns, types, strict=True)), b"".join(parts), frame.height)


def _encodable(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        return value.cast(pl.Datetime("us"))
    return value


def _encodable_field(field: pa.Field) -> pa.Field:
    """Types pgpq has no encoder for, in the nearest that holds them exactly."""
    if pa.types.is_time(field.type):
        return pa.field(field.name, pa.time64("us"))
    if pa.types.is_null(field.type):
        return pa.field(field.name, pa.large_string())
    return field
