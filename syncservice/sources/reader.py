"""Rows of a table in key order, as text and as hashes: the same SQL on both sides of a comparison.

Values are compared as the database spells them under fixed settings (UTC, ISO dates, shortest exact floats), so
numeric(12,2) against numeric, or integer against bigint, compare equal when the values are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

Key = tuple[str, ...]
_TEXTUAL = frozenset({"text", "character varying", "character", "citext"})


@dataclass(frozen=True)
class Side:
    """One side: its table, and the compared columns and the key in the same order as the other side's.

    `key_types` are the key columns' base types: texts are ordered by bytes, because collations differ. `casts`
    names, per column, a wider type that the other side has, or "".
    """

    schema: str
    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    casts: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """Reads one side over a connection of its own."""

    connection: psycopg.Connection[tuple[Any, ...]]
    side: Side

    def chunk(self, after: Key | None, upto: Key | None, limit: int | None) -> dict[Key, int]:
        """Key → hash of the row, for keys in (after, upto], at most `limit`, in key order.

        Columns are qualified in ORDER BY: a bare name there would mean the text in the select list.
        """
        side = self.side
        row = sql.SQL("ROW({})::text").format(self._values())
        query = sql.SQL("SELECT hashtextextended({}, 0), {} FROM {} t").format(
            row, self._texts(side.key), sql.Identifier(side.schema, side.table)
        )
        bounds = [(sql.SQL("{} > {}"), after), (sql.SQL("{} <= {}"), upto)]
        conditions = [self._bound(form, key) for form, key in bounds if key is not None]
        if conditions:
            query += sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions)
        query += sql.SQL(" ORDER BY {}").format(self._ordered())
        if limit is not None:
            query += sql.SQL(" LIMIT {}").format(limit)
        return {tuple(found[1:]): found[0] for found in self.connection.execute(query)}

    def rows(self, keys: Sequence[Key]) -> dict[Key, tuple[str | None, ...]]:
        """Key → the compared columns as text, for these keys."""
        side, found = self.side, {}
        query = sql.SQL("SELECT {}, {} FROM {} WHERE {}").format(
            self._texts(side.key),
            self._values(),
            sql.Identifier(side.schema, side.table),
            sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(sql.Identifier(k), self._typed(i)) for i, k in enumerate(side.key)
            ),
        )
        for key in keys:
            for row in self.connection.execute(query, key):
                found[tuple(row[: len(key)])] = tuple(row[len(key) :])
        return found

    def _values(self) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL("{}" + (f"::{cast}" if cast else "") + "::text").format(sql.Identifier(column))
            for column, cast in zip(self.side.columns, self.side.casts, strict=True)
        )

    def _texts(self, columns: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c)) for c in columns)

    def _ordered(self) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL("t.{}" + self._collation(i)).format(sql.Identifier(k))
            for i, k in enumerate(self.side.key)
        )

    def _bound(self, form: sql.SQL, key: Key) -> sql.Composed:
        values = [
            sql.SQL("{}::{}" + self._collation(i)).format(sql.Literal(value), self._key_type(i))
            for i, value in enumerate(key)
        ]
        return form.format(
            sql.SQL("({})").format(self._ordered()), sql.SQL("({})").format(sql.SQL(", ").join(values))
        )

    def _typed(self, index: int) -> sql.Composed:
        return sql.SQL("%s::{}").format(self._key_type(index))

    def _key_type(self, index: int) -> sql.SQL:
        """The type to cast a key to; bare `character` would mean character(1)."""
        name = self.side.key_types[index]
        return sql.SQL("bpchar" if name == "character" else name)

    def _collation(self, index: int) -> str:
        return ' COLLATE "C"' if self.side.key_types[index] in _TEXTUAL else ""
