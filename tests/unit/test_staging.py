"""COPY bytes and the SQL around them, without a database (tests/contract has one)."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from psycopg import sql

from syncservice.compact import MASK, OFFSET, OP
from syncservice.plan import ColumnPlan
from syncservice.targets.staging import encode, stage
from syncservice.targets.statements import cast, merge, partial_update, staging_name
from tests.histories import PARCEL


def test_staged_columns_are_numbered_in_the_plans_order() -> None:
    plan = PARCEL.plan()
    row = {
        OFFSET: [5],
        OP: ["u"],
        MASK: [""],
        "area": [1],
        "id": [2],
        "name": ["x"],
        "note": ["y"],
        "tags": [["z"]],
    }
    staged = stage(plan, pl.DataFrame(row, schema_overrides={"id": pl.Int32}))
    assert staged.columns == (
        ("seq", "INT8"),
        ("op", "TEXT"),
        ("mask", "TEXT"),
        ("c0", "INT4"),
        ("c1", "TEXT"),
        ("c2", "TEXT"),
        ("c3", "TEXT[]"),
        ("c4", "INT8"),
    )
    assert staged.rows == 1
    assert staged.payload.startswith(b"PGCOPY\n\xff\r\n\x00")
    assert staged.payload.endswith(b"\xff\xff")


@pytest.mark.parametrize(
    ("series", "pg"),
    [
        (pl.Series("v", [dt.time(12)]), "TIME"),
        (pl.Series("v", [dt.date(2024, 1, 1)]), "DATE"),
        (pl.Series("v", [dt.datetime(2024, 1, 1)]), "TIMESTAMP"),  # noqa: DTZ001
        (pl.Series("v", [b"x"]), "BYTEA"),
        (pl.Series("v", [1.5], dtype=pl.Float32), "FLOAT4"),
        (pl.Series("v", [None], dtype=pl.Null), "TEXT"),
    ],
)
def test_every_column_has_an_exact_encoding(series: pl.Series, pg: str) -> None:
    assert encode(series.to_frame()).columns == (("v", pg),)


def test_an_empty_frame_can_be_encoded() -> None:
    assert encode(pl.DataFrame({"v": pl.Series([], dtype=pl.Int64)})).rows == 0


@pytest.mark.parametrize(
    ("staged", "target", "wanted"),
    [
        ("INT4", "integer", "v"),
        ("INT4", "bigint", "v::bigint"),
        ("TEXT", "numeric", "v::numeric"),
        ("TEXT", "character", "v::bpchar"),
        ("TEXT", "money", "v::numeric::money"),
        ("BOOL", "bit", "v::int::bit(1)"),
        ("TEXT[]", "numeric[]", "v::numeric[]"),
        ("TIMESTAMP", "timestamp without time zone", "v"),
    ],
)
def test_casts_carry_no_length(staged: str, target: str, wanted: str) -> None:
    assert cast(sql.SQL("v"), staged, target).as_string() == wanted


def test_a_partial_update_leaves_the_unavailable_columns_out() -> None:
    plan = PARCEL.plan()
    staged = stage(
        plan,
        pl.DataFrame(
            schema={
                OFFSET: pl.Int64,
                OP: pl.String,
                MASK: pl.String,
                "id": pl.Int32,
                "name": pl.String,
                "note": pl.String,
                "tags": pl.List(pl.String),
                "area": pl.Int64,
            }
        ),
    )
    text = partial_update(
        plan, sql.Identifier("cama", "parcel"), staged.columns, ("note", "tags"), "note\x1ftags"
    ).as_string()
    assert '"name" = s."c1"' in text
    assert "c2" not in text
    assert "c3" not in text


def test_a_table_of_keys_alone_does_nothing_on_conflict() -> None:
    plan = PARCEL.plan()
    keyed = type(plan)(plan.topic, plan.schema, plan.table, (ColumnPlan("id", "id", "integer"),), ("id",), "")
    text = merge(keyed, sql.Identifier("cama", "parcel"), (("c0", "INT4"),)).upsert.as_string()
    assert text.endswith('ON CONFLICT ("id") DO NOTHING')


def test_case_55_staging_names_are_short_whatever_the_tables_name() -> None:
    plan, columns = PARCEL.plan(table='"' * 63), (("c0", "INT4"),)
    assert len(staging_name(plan, columns).as_string()) < 63
    assert staging_name(plan, columns) != staging_name(PARCEL.plan(), columns)
    assert staging_name(plan, columns) != staging_name(plan, (("c0", "TEXT"),))
