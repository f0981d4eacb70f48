"""What a PostgreSQL table looks like: columns, key, replica identity, and whether values can be left out of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from syncservice.sources.errors import SourceRefused

REPLICA_IDENTITIES = {"d": "default", "f": "full", "n": "nothing", "i": "index"}

_TABLE = """
SELECT c.oid, c.relkind, c.relreplident, c.reltoastrelid <> 0 AS has_toast, c.relrowsecurity,
       (SELECT array_agg(a.attname::text ORDER BY k.nr)
          FROM pg_catalog.pg_index i
          CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, nr)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
         WHERE i.indrelid = c.oid AND i.indisprimary AND k.nr <= i.indnkeyatts) AS primary_key
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_COLUMNS = """
SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
       a.attgenerated <> '' AS generated, a.attgenerated = 'v' AS virtual, a.attidentity <> '' AS identity,
       CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END AS "default",
       a.attlen = -1 AND a.attstorage <> 'p' AS varying, a.attndims AS dimensions
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""


@dataclass(frozen=True)
class ColumnInfo:
    """One column; `type` as format_type spells it ("character varying(40)", "numeric(12,2)", "text[]").

    `virtual`: generated, and computed on reading. `varying`: of varying length, so that TOAST may hold it.
    """

    name: str
    type: str
    not_null: bool
    generated: bool
    virtual: bool
    identity: bool
    default: str | None
    varying: bool
    dimensions: int = 0


@dataclass(frozen=True)
class TableInfo:
    """One table.

    `replica_identity` is default, full, nothing or index. `toastable`: an update may leave a value out of its event
    ("unchanged TOAST"). The rule is PostgreSQL's own: it gives a table a TOAST relation only where a row could exceed
    about 2 kB, judged from the declared widths (text, jsonb, bytea, arrays and bare numeric have none; varchar(n) and
    numeric(p,s) do). Without one, no value is ever moved out of the row; with one, every column of varying length may
    be, even a varchar(100) in a wide row. So a table with only short varchar(n) and numeric(p,s) is not toastable.
    """

    schema: str
    name: str
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...]
    replica_identity: str
    toastable: bool
    kind: str
    row_security: bool

    @property
    def full_name(self) -> str:
        """schema.table"""
        return f"{self.schema}.{self.name}"


def read_table(connection: psycopg.Connection[Any], schema: str, name: str) -> TableInfo:
    """The table as the catalog describes it. Raises SourceRefused (table_missing) where there is none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_TABLE, (schema, name)).fetchone()
        if found is None:
            raise SourceRefused(f"there is no table {schema}.{name}", code="table_missing")
        columns = tuple(ColumnInfo(**row) for row in cursor.execute(_COLUMNS, (found["oid"],)))
    return TableInfo(
        schema=schema,
        name=name,
        columns=columns,
        primary_key=tuple(found["primary_key"] or ()),
        replica_identity=REPLICA_IDENTITIES[found["relreplident"]],
        toastable=found["has_toast"] and any(column.varying for column in columns),
        kind=found["relkind"],
        row_security=found["relrowsecurity"],
    )
