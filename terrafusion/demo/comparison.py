"""Compares source and target without the product: each server hashes its own rows, only the sums travel.

Rows are written as text in the same column order, session time zone and float format on both sides; a table's
fingerprint is its row count and two 64-bit hashes of each row summed up. Both sides must be quiet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from terrafusion.demo.manifests import MappedTable

SESSION = "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1; SET bytea_output = 'hex'"


@dataclass(frozen=True)
class Fingerprint:
    """A table's content: number of rows, and two sums of row hashes (order does not matter, content does)."""

    rows: int
    first: int
    second: int


@dataclass(frozen=True)
class ComparedTable:
    """One table on both sides. `differences` counts keys that are missing, extra or hold other values."""

    source: str
    target: str
    rows_source: int
    rows_target: int
    differences: int
    examples: tuple[str, ...]


def compare(source_dsn: str, target_dsn: str, tables: Sequence[MappedTable]) -> list[ComparedTable]:
    """Compare every table; rows are looked at one by one only where the fingerprints differ."""
    with (
        psycopg.connect(source_dsn, autocommit=True) as source,
        psycopg.connect(target_dsn, autocommit=True) as target,
    ):
        source.execute(SESSION)
        target.execute(SESSION)
        return [_compare_table(source, target, table) for table in tables]


def _compare_table(
    source: psycopg.Connection, target: psycopg.Connection, table: MappedTable
) -> ComparedTable:
    at_source = fingerprint(source, table.source, table.columns.values())
    at_target = fingerprint(target, table.target, table.columns)
    differing: list[str] = []
    if at_source != at_target:
        differing = _differing_keys(source, target, table)
    return ComparedTable(
        table.source, table.target, at_source.rows, at_target.rows, len(differing), tuple(differing[:5])
    )


def fingerprint(connection: psycopg.Connection, table: str, columns: Iterable[str]) -> Fingerprint:
    """Hash all rows of `schema.table` over the columns, in the order given, on the server."""
    query = sql.SQL(
        "SELECT count(*), coalesce(sum(hashtextextended(line, 1)::numeric), 0),"
        " coalesce(sum(hashtextextended(line, 2)::numeric), 0) FROM (SELECT ROW({})::text AS line FROM {}) AS lines"
    ).format(_names(columns), _table(table))
    [(rows, first, second)] = connection.execute(query).fetchall()
    return Fingerprint(int(rows), int(first), int(second))


def _differing_keys(source: psycopg.Connection, target: psycopg.Connection, table: MappedTable) -> list[str]:
    source_key = [table.columns[name] for name in table.key]
    at_source = _hash_by_key(source, table.source, source_key, table.columns.values())
    at_target = _hash_by_key(target, table.target, table.key, table.columns)
    return sorted(
        key for key in at_source.keys() | at_target.keys() if at_source.get(key) != at_target.get(key)
    )


def _hash_by_key(
    connection: psycopg.Connection, table: str, key: Iterable[str], columns: Iterable[str]
) -> dict[str, int]:
    query = sql.SQL("SELECT ROW({})::text, hashtextextended(ROW({})::text, 1) FROM {}").format(
        _names(key), _names(columns), _table(table)
    )
    return dict(connection.execute(query).fetchall())


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _table(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split("."))
