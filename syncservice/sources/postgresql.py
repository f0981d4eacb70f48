"""A source PostgreSQL, spoken to directly: markers, positions, slots, tables, rows.

Every method opens its own short connection and may be called from any thread. Positions are LSNs as integers.

How a marker proves that everything before it has reached Kafka: :meth:`PostgresSource.emit_marker` reads the WAL's
insert position B, then writes a message behind it. Every transaction that was committed before the call has its
commit record before B. Debezium streams commits and messages in WAL order and keeps, in each record's source offset,
`lsn_commit`: the end of the last commit, or the start of the last message, that it has wholly emitted. Connect commits
an offset only when Kafka has acknowledged that record and all before it. So a committed `lsn_commit` ≥ B proves it.
The event's own `lsn` proves nothing: a transaction's changes carry positions from before its commit, and may go back.
Nor can the function's result be compared: it is the message's end, while Debezium reports its start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import DictRow, dict_row

from syncservice.sources.checks import CheckItem, check_source, published_tables
from syncservice.sources.errors import SourceRefused, SourceUnavailable
from syncservice.sources.tables import TableInfo, read_table

if TYPE_CHECKING:
    from catalog.specs import SystemSpec

_LOGIN_REFUSED = "Mend the user or the secret that the system's manifest refers to, then apply it again."
_LSN = "(pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8"
_SLOT = """
SELECT slot_name AS name, active, (restart_lsn - '0/0'::pg_lsn)::int8 AS restart_lsn,
       (confirmed_flush_lsn - '0/0'::pg_lsn)::int8 AS confirmed_lsn, wal_status,
       (CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
             ELSE pg_catalog.pg_current_wal_lsn() - restart_lsn END)::int8 AS retained_bytes
  FROM pg_catalog.pg_replication_slots WHERE slot_name = %s
"""
_ESTIMATE = """
SELECT coalesce(sum(greatest(c.reltuples, pg_catalog.pg_stat_get_live_tuples(c.oid), 0)), 0)::int8 AS rows
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname || '.' || c.relname = ANY(%s)
"""


@dataclass(frozen=True)
class SlotInfo:
    """A replication slot. `wal_status` is reserved, extended, unreserved or lost; lost means: changes are gone."""

    name: str
    active: bool
    restart_lsn: int | None
    confirmed_lsn: int | None
    wal_status: str | None
    retained_bytes: int | None

    @property
    def lost(self) -> bool:
        """Its WAL has been removed; it can never be read again."""
        return self.wal_status == "lost"


class PostgresSource:
    """`spec` of the system and its password. Raises SourceUnavailable and SourceRefused, nothing of psycopg's."""

    def __init__(self, spec: SystemSpec, password: str, *, connect_timeout: int = 10) -> None:
        self._settings: dict[str, Any] = {
            "host": spec.host,
            "port": spec.port,
            "dbname": spec.database,
            "user": spec.user,
            "password": password,
            "sslmode": spec.tls,
            "connect_timeout": connect_timeout,
            "application_name": "terrafusion",
        }
        if spec.ca is not None:
            self._settings["sslrootcert"] = spec.ca

    def emit_marker(self, prefix: str) -> int:
        """Write a marker to the log; the position whose passing proves that all earlier commits are in Kafka.

        Compare with the connector's committed `lsn_commit` (see above). `prefix` is the message's, e.g. "terrafusion".
        Needs no table rights. The message is a transaction of its own: its commit flushes it, and ends Debezium's search
        for its place after a restart. A message outside a transaction does not, so an idle source would stand still.
        """
        with self._connection() as connection:
            position = _one(connection.execute(f"SELECT {_LSN}"))
            connection.execute("SELECT pg_catalog.pg_logical_emit_message(true, %s, '')", (prefix,))
        return int(position)

    def current_lsn(self) -> int:
        """The WAL's insert position now."""
        with self._connection() as connection:
            return int(_one(connection.execute(f"SELECT {_LSN}")))

    def table(self, schema: str, name: str) -> TableInfo:
        """What the catalog says of a table. Raises SourceRefused (table_missing)."""
        with self._connection() as connection:
            return read_table(connection, schema, name)

    def check(self, tables: Sequence[str], publication: str, user: str, slot: str = "") -> list[CheckItem]:
        """Whether "schema.table"s can be captured by `user`; each finding with the statement that mends it."""
        with self._connection() as connection:
            return check_source(connection, tables, publication, user, slot)

    def published_tables(self, publication: str) -> set[str] | None:
        """The publication's tables; None where it does not exist."""
        with self._connection() as connection:
            return published_tables(connection, publication)

    def slot(self, name: str) -> SlotInfo | None:
        """The replication slot, None where there is none."""
        with self._connection() as connection:
            found = connection.execute(_SLOT, (name,)).fetchone()
        return SlotInfo(**found) if found else None

    def drop_slot(self, name: str, *, patience: float = 30.0) -> None:
        """Drop it; missing is fine. Waits up to `patience` seconds for its reader to go, then raises SourceRefused."""
        deadline = time.monotonic() + patience
        while (found := self.slot(name)) is not None:
            if not found.active and self._dropped(name):
                return
            if time.monotonic() > deadline:
                remedy = "End the client that reads the slot, then delete again."
                raise SourceRefused(f"replication slot {name} is in use", code="slot_active", remedy=remedy)
            time.sleep(0.2)

    def rows_estimate(self, tables: Sequence[str]) -> int:
        """About how many rows the "schema.table"s hold together, from statistics."""
        with self._connection() as connection:
            return int(_one(connection.execute(_ESTIMATE, (list(tables),))))

    def _dropped(self, name: str) -> bool:
        try:
            with self._connection() as connection:
                connection.execute("SELECT pg_catalog.pg_drop_replication_slot(%s)", (name,))
        except SourceRefused as error:
            if isinstance(error.__cause__, psycopg.errors.ObjectInUse):
                return False
            if isinstance(error.__cause__, psycopg.errors.UndefinedObject):
                return True
            raise
        return True

    @contextmanager
    def _connection(self, *, autocommit: bool = True) -> Iterator[psycopg.Connection[DictRow]]:
        try:
            with psycopg.connect(**self._settings, autocommit=autocommit, row_factory=dict_row) as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if isinstance(error, psycopg.errors.ObjectInUse):
                raise SourceRefused(str(error)) from error
            if "authentication failed" in str(error):
                raise SourceRefused(str(error), code="password_wrong", remedy=_LOGIN_REFUSED) from error
            raise SourceUnavailable(f"the source database does not answer: {error}") from error
        except psycopg.Error as error:
            raise SourceRefused(f"the source database refuses: {error}") from error


def _one(cursor: psycopg.Cursor[DictRow]) -> Any:
    row = cursor.fetchone()
    if row is None:
        raise SourceRefused("the source database answered with nothing")
    return next(iter(row.values()))
