"""The shadow of a target table: made like it, filled beside it, and put into its place.

A table that has anything a rename would lose or break (views, foreign keys, triggers, identity columns, columns
that are not the pair's, …) is not replaced: the difference is merged into it instead (invariant 7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from syncservice.plan import TablePlan
from syncservice.targets.statements import table_name
from syncservice.targets.tables import quoted_name

Connection = psycopg.Connection[Any]

_INDEXES = """
SELECT c.relname, pg_get_indexdef(i.indexrelid), k.conname, pg_get_constraintdef(k.oid),
       obj_description(c.oid, 'pg_class'), obj_description(k.oid, 'pg_constraint')
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = %s::regclass ORDER BY i.indisprimary DESC, i.indexrelid
"""
_GRANTS = """
SELECT g.privilege_type, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END, g.is_grantable
  FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee
 WHERE c.oid = %s::regclass AND g.grantee <> c.relowner
"""
# Compared as text: types without an equality operator, and those whose equal values have several spellings (1.0 and
# 1.00 of a bare numeric, 0 and -0): verification tells these apart, so a full sync must bring them.
_AS_TEXT = frozenset({"json", "xml", "point", "json[]", "xml[]", "point[]", "citext", "jsonb", "interval"})
_AS_TEXT |= {"real", "double precision", "double precision[]", "numeric", "numeric[]"}


@dataclass(frozen=True)
class Difference:
    """What a full sync changed, against what was there before."""

    inserted: int
    updated: int
    deleted: int
    unchanged: int


def shadow_of(plan: TablePlan, operation: str) -> TablePlan:
    """The plan that fills the shadow. Its name is bounded and belongs to the operation."""
    mark = hashlib.sha256(f"{plan.name} {operation}".encode()).hexdigest()[:12]
    return replace(plan, table=f"{plan.table.encode()[:32].decode(errors='ignore')}__tf_{mark}")


def create(connection: Connection, plan: TablePlan, shadow: TablePlan) -> None:
    """An empty table like the live one, without its indexes: they are built when the rows are in."""
    drop(connection, shadow)
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(
            _identifier(shadow), _identifier(plan)
        )
    )
    made = quoted_name(connection, shadow.schema, shadow.table)
    for _, role, _ in connection.execute(
        _GRANTS, (made,)
    ).fetchall():  # default privileges: not the live table's
        connection.execute(sql.SQL(f"REVOKE ALL ON {{}} FROM {role}").format(_identifier(shadow)))


def drop(connection: Connection, table: TablePlan) -> None:
    """Drop it if it exists."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_identifier(table)))


def add_key(connection: Connection, shadow: TablePlan) -> None:
    """The unique index over the key that merging into the shadow needs; dropped again by `build_indexes`."""
    connection.execute(
        sql.SQL("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})").format(
            _key_index(shadow), _identifier(shadow), sql.SQL(", ").join(map(sql.Identifier, shadow.key))
        )
    )


def build_indexes(connection: Connection, plan: TablePlan, shadow: TablePlan) -> list[tuple[str, str]]:
    """Give the shadow the live table's indexes and constraints; (name now, name after the swap) of each.

    Raises psycopg.errors.UniqueViolation when rows that the live table would refuse are in the shadow.
    """
    with connection.transaction():
        _drop_key(connection, shadow)
        renames: list[tuple[str, str]] = []
        live = quoted_name(connection, plan.schema, plan.table)
        rows = connection.execute(_INDEXES, (live,)).fetchall()
        for number, (name, definition, constraint, constraint_definition, *comments) in enumerate(rows):
            temporary = f"{shadow.table}_{number}"
            if constraint:
                statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    _identifier(shadow), sql.Identifier(temporary), sql.SQL(constraint_definition)
                )
            else:
                statement = _like(definition, temporary, shadow)
            connection.execute(statement)
            for form, text in zip(("INDEX {0}", "CONSTRAINT {1} ON {2}"), comments, strict=True):
                if text is not None:
                    names = (
                        sql.Identifier(shadow.schema, temporary),
                        sql.Identifier(temporary),
                        _identifier(shadow),
                    )
                    connection.execute(
                        sql.SQL("COMMENT ON " + form + " IS {3}").format(*names, sql.Literal(text))
                    )
            renames.append((temporary, str(name)))
        connection.execute(sql.SQL("ANALYZE {}").format(_identifier(shadow)))
    return renames


def _like(definition: str, name: str, shadow: TablePlan) -> sql.Composed:
    """`CREATE [UNIQUE] INDEX name ON schema.table USING …`: the tail is kept, the names are ours."""
    unique = "UNIQUE " if definition.startswith("CREATE UNIQUE") else ""
    tail = definition[definition.index(" USING ") :]
    return sql.SQL("CREATE " + unique + "INDEX {} ON {}").format(
        sql.Identifier(name), _identifier(shadow)
    ) + sql.SQL(tail)


def difference(connection: Connection, plan: TablePlan, shadow: TablePlan) -> Difference:
    """Compare the shadow with the live table over the pair's columns."""
    query = sql.SQL(
        "SELECT count(*) FILTER (WHERE t.{mark} IS NULL), count(*) FILTER (WHERE t.{mark} AND s.{mark} AND {differs}), "
        "count(*) FILTER (WHERE s.{mark} IS NULL), count(*) FILTER (WHERE t.{mark} AND s.{mark} AND NOT {differs}) "
        "FROM (SELECT *, true AS {mark} FROM {live}) t FULL JOIN (SELECT *, true AS {mark} FROM {shadow}) s ON {same}"
    ).format(
        mark=sql.Identifier("@present"),
        differs=_differs(plan),
        live=_identifier(plan),
        shadow=_identifier(shadow),
        same=_same(plan),
    )
    row = connection.execute(query).fetchone()
    return Difference(*(int(n) for n in row)) if row else Difference(0, 0, 0, 0)


def swap(
    connection: Connection, plan: TablePlan, shadow: TablePlan, renames: Sequence[tuple[str, str]]
) -> None:
    """Inside the cut-over transaction: the shadow takes the live table's name, grants, comment and index names."""
    live = quoted_name(connection, plan.schema, plan.table)
    for privilege, role, grantable in connection.execute(_GRANTS, (live,)).fetchall():
        option = " WITH GRANT OPTION" if grantable else ""
        connection.execute(
            sql.SQL(f"GRANT {privilege} ON {{}} TO {role}{option}").format(_identifier(shadow))
        )
    comment = connection.execute("SELECT obj_description(%s::regclass, 'pg_class')", (live,)).fetchone()
    if comment and comment[0] is not None:
        connection.execute(
            sql.SQL("COMMENT ON TABLE {} IS {}").format(_identifier(shadow), sql.Literal(comment[0]))
        )
    _drop_key(connection, shadow)  # the drain may have made it again
    connection.execute(sql.SQL("DROP TABLE {}").format(_identifier(plan)))
    connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(_identifier(shadow), sql.Identifier(plan.table))
    )
    for temporary, name in renames:
        index = sql.Identifier(plan.schema, temporary)
        connection.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(index, sql.Identifier(name)))


def merge_delete(connection: Connection, plan: TablePlan, shadow: TablePlan) -> None:
    """Delete live rows that the shadow does not have (children first, called by the cut-over)."""
    connection.execute(
        sql.SQL("DELETE FROM {} t WHERE NOT EXISTS (SELECT FROM {} s WHERE {})").format(
            _identifier(plan), _identifier(shadow), _same(plan)
        )
    )


def merge_upsert(connection: Connection, plan: TablePlan, shadow: TablePlan) -> None:
    """Update the rows that differ and insert those that are missing (parents first)."""
    names = [c.target for c in plan.columns]
    rest = [name for name in names if name not in plan.key]
    if rest:
        sets = sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(name)) for name in rest)
        connection.execute(
            sql.SQL("UPDATE {} t SET {} FROM {} s WHERE {} AND {}").format(
                _identifier(plan), sets, _identifier(shadow), _same(plan), _differs(plan)
            )
        )
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    connection.execute(
        sql.SQL(
            "INSERT INTO {live} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {shadow} s "
            "WHERE NOT EXISTS (SELECT FROM {live} t WHERE {same})"
        ).format(live=_identifier(plan), shadow=_identifier(shadow), columns=columns, same=_same(plan))
    )


def _differs(plan: TablePlan) -> sql.Composable:
    rest = [c for c in plan.columns if c.target not in plan.key]
    if not rest:
        return sql.SQL("false")
    tests = []
    for column in rest:
        as_text = "::text" if (column.full_type or column.type) in _AS_TEXT else ""
        tests.append(
            sql.SQL("t.{0}" + as_text + " IS DISTINCT FROM s.{0}" + as_text).format(
                sql.Identifier(column.target)
            )
        )
    return sql.SQL("({})").format(sql.SQL(" OR ").join(tests))


def _same(plan: TablePlan) -> sql.Composed:
    return sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in plan.key)


def _drop_key(connection: Connection, shadow: TablePlan) -> None:
    name = sql.Identifier(shadow.schema, *_key_index(shadow)._obj)
    connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(name))


def _key_index(shadow: TablePlan) -> sql.Identifier:
    return sql.Identifier(f"{shadow.table}_key")


def _identifier(plan: TablePlan) -> sql.Identifier:
    return table_name(plan.schema, plan.table)
