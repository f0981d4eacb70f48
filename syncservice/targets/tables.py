"""What a full sync and the planning must know of a target table beyond its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from syncservice.plan import TablePlan

# Whatever of this a table has would be lost, or broken, by renaming another table into its place.
_SWAP_BLOCKERS = """
SELECT reason FROM (
  SELECT 'view ' || v.oid::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    JOIN pg_class v ON v.oid = r.ev_class
   WHERE d.refobjid = %(t)s::regclass AND d.classid = 'pg_rewrite'::regclass AND v.oid <> d.refobjid
  UNION SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
   WHERE contype = 'f' AND (confrelid = %(t)s::regclass OR conrelid = %(t)s::regclass)
  UNION SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = %(t)s::regclass AND NOT tgisinternal
  UNION SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = %(t)s::regclass
  UNION SELECT 'row security' FROM pg_class WHERE oid = %(t)s::regclass AND (relrowsecurity OR relforcerowsecurity)
  UNION SELECT 'partitions or inheritance' FROM pg_inherits WHERE %(t)s::regclass IN (inhparent, inhrelid)
  UNION SELECT 'partitions or inheritance' FROM pg_class WHERE oid = %(t)s::regclass AND (relkind <> 'r' OR relispartition)
  UNION SELECT 'storage parameters' FROM pg_class WHERE oid = %(t)s::regclass AND reloptions IS NOT NULL
  UNION SELECT 'another replica identity' FROM pg_class WHERE oid = %(t)s::regclass AND relreplident <> 'd'
  UNION SELECT 'publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
   WHERE r.prrelid = %(t)s::regclass
  UNION SELECT 'another owner' FROM pg_class WHERE oid = %(t)s::regclass AND relowner <> current_user::regrole
  UNION SELECT 'grants on columns' FROM pg_attribute WHERE attrelid = %(t)s::regclass AND attacl IS NOT NULL
  UNION SELECT 'identity column ' || attname FROM pg_attribute WHERE attrelid = %(t)s::regclass AND attidentity <> ''
  UNION SELECT 'sequence ' || objid::regclass FROM pg_depend
   WHERE refobjid = %(t)s::regclass AND deptype = 'a' AND refobjsubid > 0
     AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')
  UNION SELECT 'type used by another table' FROM pg_attribute a JOIN pg_class c ON c.reltype = a.atttypid
   WHERE c.oid = %(t)s::regclass
) AS b (reason) ORDER BY reason
"""
_UNMAPPED = """
SELECT attname FROM pg_attribute
 WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> ALL (%s)
"""
_FOREIGN_KEYS = """
SELECT cn.nspname || '.' || c.relname, pn.nspname || '.' || p.relname FROM pg_constraint f
  JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
 WHERE f.contype = 'f' AND f.conrelid <> f.confrelid
"""
_KEY_INDEX = """
SELECT 1 FROM pg_index i WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indimmediate AND i.indisvalid
   AND i.indpred IS NULL AND i.indexprs IS NULL
   AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_attribute a
         WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
       = (SELECT array_agg(k ORDER BY k) FROM unnest(%s::text[]) k)
"""

Connection = psycopg.Connection[Any]


def quoted_name(connection: Connection, schema: str, table: str) -> str:
    """The name as SQL text, for `::regclass` parameters."""
    row = connection.execute("SELECT quote_ident(%s) || '.' || quote_ident(%s)", (schema, table)).fetchone()
    return str(row[0]) if row else ""


def merge_reasons(connection: Connection, plan: TablePlan) -> list[str]:
    """Why the table cannot be replaced by a rename; empty when it can (invariant 7)."""
    name = quoted_name(connection, plan.schema, plan.table)
    reasons = [str(row[0]) for row in connection.execute(_SWAP_BLOCKERS, {"t": name})]
    mapped = [c.target for c in plan.columns]
    unmapped = [str(row[0]) for row in connection.execute(_UNMAPPED, (name, mapped))]
    return reasons + [f"column {column} is not the pair's" for column in unmapped]


def has_key_index(connection: Connection, plan: TablePlan) -> bool:
    """Whether a unique index over exactly the key's columns exists: ON CONFLICT needs one."""
    name = quoted_name(connection, plan.schema, plan.table)
    return connection.execute(_KEY_INDEX, (name, list(plan.key))).fetchone() is not None


def foreign_keys(connection: Connection) -> set[tuple[str, str]]:
    """(child, parent) as `schema.table`, of all tables of the database."""
    return {(str(child), str(parent)) for child, parent in connection.execute(_FOREIGN_KEYS)}


def apply_groups(plans: Sequence[TablePlan], edges: set[tuple[str, str]]) -> list[list[TablePlan]]:
    """Plans tied by foreign keys share a group, parents first; every other table is a group of its own."""
    names = {plan.name for plan in plans}
    edges = {(child, parent) for child, parent in edges if child in names and parent in names}
    group_of = {name: name for name in names}
    for child, parent in edges:
        old, new = group_of[child], group_of[parent]
        group_of = {name: new if group == old else group for name, group in group_of.items()}
    groups: dict[str, list[TablePlan]] = {}
    for plan in plans:
        groups.setdefault(group_of[plan.name], []).append(plan)
    return [_parents_first(group, edges) for group in groups.values()]


def _parents_first(group: list[TablePlan], edges: set[tuple[str, str]]) -> list[TablePlan]:
    """Topological order; tables in a cycle of foreign keys keep the manifest's order."""
    ordered: list[TablePlan] = []
    waiting = list(group)
    while waiting:
        left = {plan.name for plan in waiting}
        ready = [
            p for p in waiting if not any(c == p.name and parent in left for c, parent in edges)
        ] or waiting[:1]
        ordered += ready
        waiting = [plan for plan in waiting if plan not in ready]
    return ordered


def base_type(full: str) -> str:
    """`character varying(40)` → `character varying`, `timestamp(3) without time zone` → without the (3)."""
    return re.sub(r"\(\d+(,\s*-?\d+)?\)", "", full)
