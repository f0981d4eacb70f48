"""Rows that go straight into their table by binary COPY, without staging: what an empty shadow allows.

Every column must have a binary form that is the target type's own. Where one has not, or a value does not take
it (an infinite timestamp, NaN in a numeric), there is no direct form and the rows take the road through staging,
whose casts know every spelling.
"""

from __future__ import annotations

import re

import polars as pl

from syncservice.plan import ColumnPlan, TablePlan
from syncservice.targets.staging import Staged, encode

# Types whose binary form is the text itself; PostgreSQL checks length, label or syntax when it reads them.
_TEXTUAL = frozenset({"text", "character varying", "character", "citext", "json"})
_SAME: dict[str, pl.DataType] = {
    "boolean": pl.Boolean(),
    "smallint": pl.Int16(),
    "integer": pl.Int32(),
    "bigint": pl.Int64(),
    "real": pl.Float32(),
    "double precision": pl.Float64(),
    "bytea": pl.Binary(),
    "date": pl.Date(),
    "time without time zone": pl.Time(),
    "timestamp without time zone": pl.Datetime("us"),
    "text[]": pl.List(pl.String()),
    "smallint[]": pl.List(pl.Int16()),
    "integer[]": pl.List(pl.Int32()),
    "bigint[]": pl.List(pl.Int64()),
    "boolean[]": pl.List(pl.Boolean()),
    "double precision[]": pl.List(pl.Float64()),
}
_MAX_DIGITS = 38


def direct(plan: TablePlan, changes: pl.DataFrame) -> Staged | None:
    """Encode whole rows for COPY into `plan`'s table; None where some column has no direct form."""
    forms = [_form(column, changes[column.source].dtype) for column in plan.columns]
    found = [form for form in forms if form is not None]
    if len(found) < len(forms):
        return None
    try:
        frame = changes.select(
            form.alias(column.target) for form, column in zip(found, plan.columns, strict=True)
        )
    except pl.exceptions.PolarsError:
        return None
    return encode(frame)


def _form(column: ColumnPlan, dtype: pl.DataType) -> pl.Expr | None:
    """The expression whose encoding is `column.type`'s binary form."""
    value = pl.col(column.source)
    same = _SAME.get(column.type)
    if same is not None and (dtype == same or _widens(dtype, same)):
        return value.cast(same, strict=True)
    if not isinstance(dtype, pl.String):
        return None
    if column.type in _TEXTUAL:
        return value
    if column.type == "jsonb":
        return pl.lit("\x01") + value  # the version of the binary form
    if column.type == "uuid":
        digits = value.str.replace_all("-", "", literal=True)
        other = digits.str.len_bytes() != 32  # a length that COPY would take for a broken message
        return pl.when(other).then(pl.lit("?")).otherwise(digits).str.decode("hex", strict=True)
    if column.type == "timestamp with time zone":
        return value.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=True)
    return _decimal(value, column.full_type) if column.type == "numeric" else None


def _decimal(value: pl.Expr, full_type: str) -> pl.Expr | None:
    """numeric(p,s) with up to 38 digits; bare numeric keeps each value's own scale, which a column cannot."""
    found = re.fullmatch(r"numeric\((\d+),(\d+)\)", full_type)
    if found is None or int(found[1]) > _MAX_DIGITS or int(found[2]) > int(found[1]):
        return None
    return value.cast(pl.Decimal(int(found[1]), int(found[2])), strict=True)


def _widens(have: pl.DataType, want: pl.DataType) -> bool:
    if have.is_integer() and want.is_integer():
        return True  # a strict cast refuses what does not fit; smallint arrives as an Avro int
    return isinstance(have, pl.Datetime) and isinstance(want, pl.Datetime)
