"""Whether the applier's role may do what it must in a target database; each finding with the statement that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from syncservice.sources.checks import CheckItem
from syncservice.targets.connection import Connection

_STATE = """
SELECT current_user, to_regnamespace('terrafusion') IS NOT NULL,
       coalesce(has_schema_privilege(to_regnamespace('terrafusion'), 'USAGE, CREATE'), false),
       has_database_privilege(current_database(), 'CREATE')
"""
_TABLE = """
SELECT coalesce(pg_get_userbyid(c.relowner) = current_user, false), has_schema_privilege(n.oid, 'CREATE'),
       has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""


def check_target(connection: Connection, tables: Sequence[str]) -> list[CheckItem]:
    """All findings for `schema.table`s, good ones too."""
    state = connection.execute(_STATE).fetchone()
    user, exists, usable, may_create = state if state else ("", False, False, False)
    statement = (
        sql.SQL("CREATE SCHEMA terrafusion AUTHORIZATION {};").format(sql.Identifier(str(user))).as_string()
    )
    message = "the schema terrafusion (offsets, dead letters) is there and usable, or can be made"
    items = [CheckItem("state_schema", bool(usable if exists else may_create), message, statement)]
    for table in tables:
        items += _table(connection, table, str(user))
    return items


def _table(connection: Connection, table: str, user: str) -> Iterator[CheckItem]:
    schema, name = table.split(".", 1)
    row = connection.execute(_TABLE, (schema, name)).fetchone()
    if row is None:
        yield CheckItem(f"{table}: exists", False, f"there is no table {table}")
        return
    owner, create, rights = row
    role, quoted = sql.Identifier(user), sql.Identifier(schema, name)
    grant = sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {};").format(quoted, role).as_string()
    yield CheckItem(f"{table}: rights", bool(rights), f"role {user} reads and writes {table}", grant)
    create_grant = (
        sql.SQL("GRANT CREATE ON SCHEMA {} TO {};").format(sql.Identifier(schema), role).as_string()
    )
    yield CheckItem(
        f"{table}: shadow", bool(create), f"role {user} may make shadow tables in {schema}", create_grant
    )
    own = sql.SQL("ALTER TABLE {} OWNER TO {};").format(quoted, role).as_string()
    message = (
        f"role {user} owns {table}"
        if owner
        else f"role {user} does not own {table}: full syncs merge, slower"
    )
    yield CheckItem(f"{table}: owner", True, message, None if owner else own)
