"""Alembic, run from within: migrations lie in the package and are applied under an advisory lock."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from catalog.sql.session import Database, answered

_LOCK = 0x7E44A_CA7  # any fixed number; one migration at a time


def upgrade(database: Database) -> None:
    """Apply all missing migrations in one transaction. Raises CatalogUnavailable."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with answered(), database.engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
