"""The catalog in PostgreSQL.

Every method is a short transaction of its own and hands out frozen records. All raise CatalogUnavailable when the
database does not answer; NotFound and Conflict as their docstrings say.
"""

from __future__ import annotations

from typing import Self

from sqlalchemy import text

from catalog.migrate import upgrade
from catalog.sql.errors import Errors
from catalog.sql.keys import Keys
from catalog.sql.operations import Operations
from catalog.sql.pairs import Pairs
from catalog.sql.session import Database
from catalog.sql.systems import Systems


class Catalog(Systems, Pairs, Operations, Errors, Keys):
    """What gateway and SyncService share. `dsn`: a libpq URI or connection string; nothing is connected until the
    first call. Safe to use from several threads."""

    def __init__(self, dsn: str, *, pool_size: int = 5) -> None:
        self._db = Database(dsn, pool_size=pool_size)

    def migrate(self) -> None:
        """Bring the tables to this version's state; several callers at once wait for each other."""
        upgrade(self._db)

    def ping(self) -> None:
        """Raise CatalogUnavailable unless the database answers."""
        with self._db.transaction() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self._db.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
