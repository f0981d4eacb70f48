"""Makes the demo's two databases anew: `pacs` with the county on the source server, `cama` (empty) on the target's."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from terrafusion.demo.county import LoadedTable, load_county, statement
from terrafusion.stack.files import kept_secret

SOURCE_ROLE = "terrafusion_cdc"
TARGET_ROLE = "terrafusion_applier"


def source_address(server_dsn: str, database: str = "pacs") -> str:
    """The server's superuser address with the demo's source database in it."""
    return make_conninfo(server_dsn, dbname=database)


def target_address(server_dsn: str, database: str = "cama") -> str:
    """The server's superuser address with the demo's target database in it."""
    return make_conninfo(server_dsn, dbname=database)


def password_file(secrets_folder: Path, database: str) -> Path:
    """Where the password of the role for `pacs` or `cama` is kept, mode 600."""
    return secrets_folder / f"{database}_password"


def make_source(
    server_dsn: str,
    secrets_folder: Path,
    parcels: int,
    seed: int,
    on_table: Callable[[LoadedTable], None] = lambda _table: None,
    database: str = "pacs",
) -> list[LoadedTable]:
    """Drop the source database, make it again and fill it. No sync pair may be using it."""
    _make_role(server_dsn, SOURCE_ROLE, sql.SQL("LOGIN REPLICATION"), password_file(secrets_folder, "pacs"))
    _make_database(server_dsn, database)
    with psycopg.connect(source_address(server_dsn, database), autocommit=True) as source:
        source.execute(statement("source_schema.sql"))
        loaded = load_county(source, parcels, seed, on_table)
        source.execute(statement("source_publish.sql"))
    return loaded


def make_target(server_dsn: str, secrets_folder: Path, database: str = "cama") -> None:
    """Drop the target database and make it again with empty tables. No sync pair may be using it."""
    _make_role(server_dsn, TARGET_ROLE, sql.SQL("LOGIN"), password_file(secrets_folder, "cama"))
    _make_database(server_dsn, database)
    with psycopg.connect(target_address(server_dsn, database), autocommit=True) as target:
        target.execute(statement("target_schema.sql"))


def _make_role(server_dsn: str, role: str, rights: sql.SQL, file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = kept_secret(file, secrets.token_urlsafe(24))
    with psycopg.connect(make_conninfo(server_dsn, dbname="postgres"), autocommit=True) as server:
        known = server.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount
        server.execute(
            sql.SQL("{} ROLE {} {} PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"),
                sql.Identifier(role),
                rights,
                sql.Literal(password),
            )
        )


def _make_database(server_dsn: str, database: str) -> None:
    """Idle replication slots on the database go with it; a slot in use refuses the drop."""
    name = sql.Identifier(database)
    with psycopg.connect(make_conninfo(server_dsn, dbname="postgres"), autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        server.execute(
            sql.SQL(
                "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
                " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
            ).format(name)
        )
