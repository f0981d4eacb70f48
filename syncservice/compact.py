"""The last change per key: what a batch leaves of many changes of one row.

Pure functions over the frames of `consumers.changes`; no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from consumers.changes import OFFSET, OP, UNAVAILABLE

MASK = "@mask"  # the names of a row's unavailable columns, joined by \x1f; "" when it is whole


def with_masks(changes: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The changes with a `@mask` column instead of flags.

    An unavailable value (unchanged TOAST) takes the value an earlier change of the same key in this batch
    gave it; where there is none it stays unavailable and the row's mask says so.
    """
    flags = [c for c in changes.columns if c.startswith(UNAVAILABLE)]
    if flags:
        changes = _fill_from_history(changes, key, flags)
    return changes.with_columns(_mask(flags)).drop(flags)


def last_per_key(changes: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The last change of each key, in offset order."""
    return changes.unique(subset=list(key), keep="last", maintain_order=True)


def _fill_from_history(changes: pl.DataFrame, key: Sequence[str], flags: Sequence[str]) -> pl.DataFrame:
    """Carry values forward within a key's life (a delete ends one)."""
    changes = changes.with_columns((pl.col(OP) == "d").cum_sum().over(key).alias("@life")).with_row_index(
        "@row"
    )
    life = [*key, "@life"]
    for flag in flags:
        column = flag.removeprefix(UNAVAILABLE)
        known = pl.when(~pl.col(flag) & (pl.col(OP) == "u")).then(pl.col("@row"))
        source = changes.select(known.forward_fill().over(life))["@row"]
        value = changes[column].gather(source)
        changes = changes.with_columns(value.alias(column), (pl.col(flag) & source.is_null()).alias(flag))
    return changes.drop("@row", "@life")


def _mask(flags: Sequence[str]) -> pl.Expr:
    if not flags:
        return pl.lit("").alias(MASK)
    names = [pl.when(pl.col(flag)).then(pl.lit(flag.removeprefix(UNAVAILABLE))) for flag in sorted(flags)]
    return pl.concat_str(names, separator="\x1f", ignore_nulls=True).alias(MASK)


def unavailable_columns(mask: str) -> tuple[str, ...]:
    """The source columns that a `@mask` value names."""
    return tuple(mask.split("\x1f")) if mask else ()


__all__ = ["MASK", "OFFSET", "OP", "last_per_key", "unavailable_columns", "with_masks"]
