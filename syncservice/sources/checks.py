"""Is a source database fit for change capture? Each finding comes with the SQL statement that mends it.

The statements are for the database's administrator: the capture role has few rights and makes nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from syncservice.connect.names import colliding_columns
from syncservice.sources.errors import SourceRefused
from syncservice.sources.tables import TableInfo, read_table

MIN_VERSION = 130000

_SERVER = """
SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text,
       pg_catalog.pg_is_in_recovery() AS standby, current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_catalog.pg_replication_slots) AS slots,
       current_setting('max_wal_senders')::int
         - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender') AS senders,
       EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = %(slot)s) AS has_slot
"""
_ROLE = """
SELECT rolreplication OR rolsuper OR EXISTS (
         SELECT FROM pg_catalog.pg_roles g
          WHERE g.rolname IN ('rds_replication') AND pg_catalog.pg_has_role(r.oid, g.oid, 'member')) AS replication,
       rolsuper OR rolbypassrls AS bypass
  FROM pg_catalog.pg_roles r WHERE rolname = %s
"""
_PUBLICATION = """
SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_catalog.pg_publication WHERE pubname = %s
"""
_PUBLISHED = "SELECT schemaname || '.' || tablename FROM pg_catalog.pg_publication_tables WHERE pubname = %s"
_NARROWED = """
SELECT t.schemaname || '.' || t.tablename FROM pg_catalog.pg_publication_tables t
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
 WHERE t.pubname = %s AND (t.rowfilter IS NOT NULL OR cardinality(t.attnames) < (
       SELECT count(*) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''))
"""
_GENERATED = "SELECT pubgencols FROM pg_catalog.pg_publication WHERE pubname = %s"
_RIGHTS = """
SELECT pg_catalog.has_schema_privilege(%(user)s, n.oid, 'USAGE') AS usage,
       pg_catalog.has_table_privilege(%(user)s, c.oid, 'SELECT') AS "select"
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(name)s
"""


@dataclass(frozen=True)
class CheckItem:
    """One finding: `name` is stable ("wal_level", "public.parcel: primary_key"), `statement` is SQL, or None."""

    name: str
    ok: bool
    message: str
    statement: str | None = None


Connection = psycopg.Connection[dict[str, Any]]


def check_source(
    connection: Connection, tables: Sequence[str], publication: str, user: str, slot: str = ""
) -> list[CheckItem]:
    """All findings, good ones too. `tables` are "schema.table"; `slot` is our own, if it exists already."""
    return [
        *_server_items(connection, slot),
        *_role_items(connection, user),
        *_publication_items(connection, tables, publication),
        *(item for table in tables for item in _table_items(connection, table, publication, user)),
    ]


def published_tables(connection: Connection, publication: str) -> set[str] | None:
    """Tables of the publication as "schema.table"; None where it does not exist."""
    if connection.execute(_PUBLICATION, (publication,)).fetchone() is None:
        return None
    return {next(iter(row.values())) for row in connection.execute(_PUBLISHED, (publication,))}


def quoted(table: str) -> sql.Identifier:
    """ "schema.table" as a quoted identifier."""
    return sql.Identifier(*table.split(".", 1))


def publication_statement(publication: str, tables: Sequence[str], exists: bool) -> str:
    """CREATE PUBLICATION, or ALTER PUBLICATION … ADD TABLE where it exists."""
    text = "ALTER PUBLICATION {} ADD TABLE {};" if exists else "CREATE PUBLICATION {} FOR TABLE {};"
    names = sql.SQL(", ").join([quoted(table) for table in tables])
    return sql.SQL(text).format(sql.Identifier(publication), names).as_string()


def _server_items(connection: Connection, slot: str) -> Iterator[CheckItem]:
    row = connection.execute(_SERVER, {"slot": slot}).fetchone() or {}
    yield CheckItem(
        "server_version",
        row["version"] >= MIN_VERSION,
        f"PostgreSQL {row['version_text']}; 13 or newer is needed",
    )
    yield CheckItem("primary", not row["standby"], "changes are captured from a primary, not from a standby")
    yield CheckItem(
        "wal_level",
        row["wal_level"] == "logical",
        f"wal_level is {row['wal_level']}; logical is needed (the server must be restarted)",
        "ALTER SYSTEM SET wal_level = 'logical';",
    )
    yield CheckItem(
        "replication_slots",
        row["has_slot"] or row["slots"] > 0,
        f"{max(row['slots'], 0)} replication slots are free (the server must be restarted after a change)",
        "ALTER SYSTEM SET max_replication_slots = 20;",
    )
    yield CheckItem(
        "wal_senders",
        row["has_slot"] or row["senders"] > 0,
        f"{max(row['senders'], 0)} WAL senders are free (the server must be restarted after a change)",
        "ALTER SYSTEM SET max_wal_senders = 20;",
    )


def _role_items(connection: Connection, user: str) -> Iterator[CheckItem]:
    row = connection.execute(_ROLE, (user,)).fetchone()
    statement = sql.SQL("ALTER ROLE {} REPLICATION;").format(sql.Identifier(user)).as_string()
    ok = row is not None and row["replication"]
    yield CheckItem("replication_right", ok, f"role {user} needs REPLICATION", statement)


def _publication_items(
    connection: Connection, tables: Sequence[str], publication: str
) -> Iterator[CheckItem]:
    published = published_tables(connection, publication)
    if published is None:
        statement = publication_statement(publication, tables, exists=False) if tables else None
        yield CheckItem("publication", False, f"publication {publication} does not exist", statement)
        return
    missing = [table for table in tables if table not in published]
    message = (
        f"publication {publication} lacks {', '.join(missing)}" if missing else "every table is published"
    )
    statement = publication_statement(publication, missing, exists=True) if missing else None
    yield CheckItem("publication", not missing, message, statement)
    yield _operations_item(connection, publication)
    yield from _narrowed_items(connection, tables, publication)


def _operations_item(connection: Connection, publication: str) -> CheckItem:
    row = connection.execute(_PUBLICATION, (publication,)).fetchone() or {}
    statement = sql.SQL("ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate');")
    return CheckItem(
        "publication_operations",
        all(row.values()),
        "inserts, updates, deletes and truncates must be published",
        statement.format(sql.Identifier(publication)).as_string(),
    )


def _narrowed_items(connection: Connection, tables: Sequence[str], publication: str) -> Iterator[CheckItem]:
    if connection.info.server_version < 150000:
        return
    for row in connection.execute(_NARROWED, (publication,)):
        table = next(iter(row.values()))
        if table in tables:
            drop = sql.SQL("ALTER PUBLICATION {} DROP TABLE {};").format(
                sql.Identifier(publication), quoted(table)
            )
            statement = f"{drop.as_string()} {publication_statement(publication, [table], exists=True)}"
            message = "is published with a row filter or a column list, which would hide changes"
            yield CheckItem(f"{table}: published_whole", False, f"{table} {message}", statement)


def _table_items(connection: Connection, table: str, publication: str, user: str) -> Iterator[CheckItem]:
    schema, name = table.split(".", 1)
    try:
        info = read_table(connection, schema, name)
    except SourceRefused as error:
        yield CheckItem(f"{table}: exists", False, str(error))
        return
    if info.kind != "r":
        yield CheckItem(
            f"{table}: plain_table", False, f"{table} is no plain table; others are not supported yet"
        )
        return
    yield from _rights_items(connection, info, user)
    yield _key_item(info)
    yield from _generated_items(connection, info, publication)
    yield _identity_item(info)
    for one, other in colliding_columns(column.name for column in info.columns):
        rename = sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO …;").format(quoted(table), sql.Identifier(other))
        message = f"columns {one!r} and {other!r} get the same field name"
        yield CheckItem(f"{table}: column_names", False, message, rename.as_string())


def _rights_items(connection: Connection, info: TableInfo, user: str) -> Iterator[CheckItem]:
    values = {"user": user, "schema": info.schema, "name": info.name}
    row = connection.execute(_RIGHTS, values).fetchone() or {}
    role, schema = sql.Identifier(user), sql.Identifier(info.schema)
    grants = []
    if not row["usage"]:
        grants.append(sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(schema, role).as_string())
    if not row["select"]:
        grant = sql.SQL("GRANT SELECT ON {} TO {};").format(quoted(info.full_name), role)
        grants.append(grant.as_string())
    message = f"role {user} may {'not ' if grants else ''}read {info.full_name}"
    yield CheckItem(f"{info.full_name}: select_right", not grants, message, " ".join(grants) or None)
    if info.row_security:
        bypass = (connection.execute(_ROLE, (user,)).fetchone() or {"bypass": False})["bypass"]
        statement = sql.SQL("ALTER ROLE {} BYPASSRLS;").format(role).as_string()
        message = "row level security would hide rows from the snapshot"
        yield CheckItem(f"{info.full_name}: row_security", bypass, message, statement)


def _key_item(info: TableInfo) -> CheckItem:
    name = f"{info.full_name}: primary_key"
    if info.primary_key:
        return CheckItem(name, True, f"primary key ({', '.join(info.primary_key)})")
    candidates = [column.name for column in info.columns if column.not_null] or ["…"]
    statement = sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({});")
    text = statement.format(quoted(info.full_name), sql.Identifier(candidates[0])).as_string()
    message = f"{info.full_name} has no primary key; changes of its rows cannot be told apart"
    return CheckItem(name, False, message, text)


def _identity_item(info: TableInfo) -> CheckItem:
    name = f"{info.full_name}: replica_identity"
    wanted = "FULL" if info.toastable else "DEFAULT"
    ok = info.replica_identity == "full" or (info.replica_identity == "default" and not info.toastable)
    why = (
        "rows can be large enough for values to be left out of events"
        if info.toastable
        else "keys must be in events"
    )
    statement = sql.SQL("ALTER TABLE {} REPLICA IDENTITY {};")
    return CheckItem(
        name,
        ok,
        f"replica identity is {info.replica_identity}" + ("" if ok else f"; {wanted} is needed: {why}"),
        statement.format(quoted(info.full_name), sql.SQL(wanted)).as_string(),
    )


def _generated_items(connection: Connection, info: TableInfo, publication: str) -> Iterator[CheckItem]:
    """From PostgreSQL 18 on, unpublished generated columns in a FULL identity make UPDATE and DELETE fail at the source."""
    full = info.toastable or info.replica_identity == "full"
    if connection.info.server_version < 180000 or not full or not any(c.generated for c in info.columns):
        return
    name = f"{info.full_name}: generated_columns"
    for column in info.columns:
        if column.virtual:
            drop = sql.SQL("ALTER TABLE {} DROP COLUMN {};").format(
                quoted(info.full_name), sql.Identifier(column.name)
            )
            message = f"virtual column {column.name} cannot be published; updates would fail under REPLICA IDENTITY FULL"
            yield CheckItem(name, False, f"{message}; make it STORED", drop.as_string())
            return
    row = connection.execute(_GENERATED, (publication,)).fetchone()
    statement = sql.SQL("ALTER PUBLICATION {} SET (publish_generated_columns = stored);")
    yield CheckItem(
        name,
        row is not None and row["pubgencols"] == "s",
        "stored generated columns must be published (before REPLICA IDENTITY FULL is set), or updates fail at the source",
        statement.format(sql.Identifier(publication)).as_string(),
    )
