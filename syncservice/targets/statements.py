"""The SQL of the apply: staging table, merge, partial update. Identifiers are quoted by the driver."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from syncservice.plan import ColumnPlan, TablePlan

_SAME = {
    "BOOL": "boolean",
    "INT2": "smallint",
    "INT4": "integer",
    "INT8": "bigint",
    "FLOAT4": "real",
    "FLOAT8": "double precision",
    "TEXT": "text",
    "BYTEA": "bytea",
    "DATE": "date",
    "TIME": "time without time zone",
    "TIMESTAMP": "timestamp without time zone",
}


@dataclass(frozen=True)
class Merge:
    """The statements that bring a staged batch into a table; `insert` is for rows known to be new.

    They have no parameters: psycopg would take a % in an identifier for one.
    """

    delete: sql.Composed
    upsert: sql.Composed
    insert: sql.Composed


def table_name(schema: str, table: str) -> sql.Identifier:
    """A qualified name."""
    return sql.Identifier(schema, table)


Columns = Sequence[tuple[str, str]]


def staging_name(plan: TablePlan, columns: Columns) -> sql.Identifier:
    """The temporary table that batches of this shape go through; a table has one for each shape it has seen."""
    shape = f"{plan.name} {columns!r}"
    return sql.Identifier("pg_temp", f"stage_{hashlib.sha256(shape.encode()).hexdigest()[:16]}")


def create_staging(name: sql.Identifier, columns: Sequence[tuple[str, str]]) -> sql.Composed:
    """The staging table, emptied by each commit."""
    ddl = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in columns)
    return sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} ({}) ON COMMIT DELETE ROWS").format(name, ddl)


def copy_in(name: sql.Identifier, columns: Sequence[tuple[str, str]]) -> sql.Composed:
    """Binary COPY into a table."""
    names = sql.SQL(", ").join(sql.Identifier(n) for n, _ in columns)
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(name, names)


def cast(value: sql.Composable, staged: str, target: str) -> sql.Composable:
    """`value` (of the staged type) as the target's type, without its length."""
    if _SAME.get(staged) == target:
        return value
    if target == "bit":
        via = "int" if staged == "BOOL" else "varbit"
        return sql.SQL("{}::" + via + ("::bit(1)" if staged == "BOOL" else "")).format(value)
    if target == "money":
        return sql.SQL("{}::numeric::money").format(value)
    return sql.SQL("{}::" + _bare(target)).format(value)


def _bare(target: str) -> str:
    """A type name that carries no implicit length: bare `character` would mean character(1)."""
    return {"character": "bpchar", "character[]": "bpchar[]", "bit[]": "varbit[]"}.get(target, target)


def merge(plan: TablePlan, target: sql.Identifier, staged: Sequence[tuple[str, str]]) -> Merge:
    """Compile the statements for one staged shape."""
    types = dict(staged)
    stage = staging_name(plan, staged)
    values = {c.target: cast(_staged(i), types[f"c{i}"], c.type) for i, c in enumerate(plan.columns)}
    names = _join(sql.Identifier(c.target) for c in plan.columns)
    rows = "INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {stage} s WHERE s.mask = ''"
    parts = {"target": target, "names": names, "values": _join(values.values()), "stage": stage}
    insert = sql.SQL(rows + " AND s.op = 'n'").format(**parts)
    upsert = sql.SQL(rows + " AND s.op = 'u'").format(**parts) + _on_conflict(plan)
    delete = sql.SQL("DELETE FROM {target} t USING {stage} s WHERE s.op = 'd' AND {same}").format(
        target=target, stage=stage, same=_same_key(plan, values)
    )
    return Merge(delete=delete, insert=insert, upsert=upsert)


def partial_update(
    plan: TablePlan, target: sql.Identifier, staged: Columns, unavailable: Sequence[str], mask: str
) -> sql.Composed:
    """Update all but the unavailable columns of the rows with this mask; returns the seqs updated."""
    types = dict(staged)
    values = {c.target: cast(_staged(i), types[f"c{i}"], c.type) for i, c in enumerate(plan.columns)}
    sets = [
        sql.SQL("{} = {}").format(sql.Identifier(c.target), values[c.target])
        for c in plan.columns
        if c.source not in unavailable
    ]
    return sql.SQL(
        "UPDATE {target} t SET {sets} FROM {stage} s WHERE s.op = 'u' AND s.mask = {mask} AND {same} RETURNING s.seq"
    ).format(
        target=target,
        sets=_join(sets),
        stage=staging_name(plan, staged),
        mask=sql.Literal(mask),
        same=_same_key(plan, values),
    )


def _on_conflict(plan: TablePlan) -> sql.Composed:
    key = _join(sql.Identifier(name) for name in plan.key)
    rest: list[ColumnPlan] = [c for c in plan.columns if c.target not in plan.key]
    if not rest:
        return sql.SQL(" ON CONFLICT ({}) DO NOTHING").format(key)
    sets = _join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(c.target)) for c in rest)
    return sql.SQL(" ON CONFLICT ({}) DO UPDATE SET {}").format(key, sets)


def _same_key(plan: TablePlan, values: dict[str, sql.Composable]) -> sql.Composed:
    pairs = [sql.SQL("t.{} = {}").format(sql.Identifier(name), values[name]) for name in plan.key]
    return sql.SQL(" AND ").join(pairs)


def _staged(index: int) -> sql.Composed:
    return sql.SQL("s.{}").format(sql.Identifier(f"c{index}"))


def _join(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
