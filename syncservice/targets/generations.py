"""Rows of the `terrafusion` schema by generation: `live`, or the operation that fills a shadow.

Everything here runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from syncservice.plan import TablePlan
from syncservice.targets.base import LIVE
from syncservice.targets.connection import Connection


def initialised(connection: Connection, pair: str, topic: str) -> bool:
    """Whether the pair has ever put a table of this topic into place."""
    present = connection.execute("SELECT to_regclass('terrafusion.offsets') IS NOT NULL").fetchone()
    if not present or not present[0]:
        return False
    query = "SELECT 1 FROM terrafusion.offsets WHERE pair = %s AND generation = %s AND topic = %s"
    return connection.execute(query, (pair, LIVE, topic)).fetchone() is not None


def forget_pair(connection: Connection, pair: str) -> None:
    """All rows of a pair, of every generation; a target that never had any is fine."""
    for table in ("offsets", "dead_letters", "parked_keys"):
        present = connection.execute("SELECT to_regclass(%s)", (f"terrafusion.{table}",)).fetchone()
        if present and present[0]:
            connection.execute(f"DELETE FROM terrafusion.{table} WHERE pair = %s", (pair,))


def holds_rows(connection: Connection, plan: TablePlan) -> bool:
    """Whether the table has any row."""
    query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(plan.schema, plan.table))
    return connection.execute(query).fetchone() is not None


@dataclass(frozen=True)
class Generation:
    """One generation of a pair."""

    pair: str
    name: str

    def begin(self, connection: Connection, topic: str, topic_id: str, start: int) -> None:
        """Its position in a topic; when it has one already, the epoch goes up and fences that owner off."""
        connection.execute(
            """
            INSERT INTO terrafusion.offsets AS o (pair, generation, topic, topic_id, partition, next_offset)
            VALUES (%s, %s, %s, %s, 0, %s) ON CONFLICT (pair, generation, topic, partition) DO UPDATE
               SET next_offset = EXCLUDED.next_offset, topic_id = EXCLUDED.topic_id, epoch = o.epoch + 1, owner = NULL
            """,
            (self.pair, self.name, topic, topic_id, start),
        )

    def position(self, connection: Connection, topic: str, topic_id: str, *, lock: bool) -> int | None:
        """The next offset of a topic; with `lock` it cannot move until the transaction ends."""
        row = connection.execute(
            "SELECT next_offset FROM terrafusion.offsets "
            "WHERE pair = %s AND generation = %s AND topic = %s AND topic_id = %s"
            + (" FOR UPDATE" if lock else ""),
            (self.pair, self.name, topic, topic_id),
        ).fetchone()
        return None if row is None else int(row[0])

    def epoch(self, connection: Connection, topic: str) -> int | None:
        """The epoch of a topic's row, locked."""
        row = connection.execute(
            "SELECT epoch FROM terrafusion.offsets "
            "WHERE pair = %s AND generation = %s AND topic = %s AND partition = 0 FOR UPDATE",
            (self.pair, self.name, topic),
        ).fetchone()
        return None if row is None else int(row[0])

    def forget_letters(self, connection: Connection) -> None:
        """Its dead letters and parked keys."""
        for state in ("dead_letters", "parked_keys"):
            connection.execute(
                f"DELETE FROM terrafusion.{state} WHERE pair = %s AND generation = %s", (self.pair, self.name)
            )

    def forget(self, connection: Connection) -> None:
        """All its rows."""
        self.forget_letters(connection)
        connection.execute(
            "DELETE FROM terrafusion.offsets WHERE pair = %s AND generation = %s", (self.pair, self.name)
        )

    def become_live(self, connection: Connection, tables: Mapping[str, str]) -> None:
        """Its offsets, dead letters and parked keys become the live ones; the epoch goes up (invariant 2).

        `tables`: shadow's name → live name.
        """
        connection.execute(
            """
            INSERT INTO terrafusion.offsets AS o (pair, generation, topic, topic_id, partition, next_offset, epoch)
            SELECT pair, %s, topic, topic_id, partition, next_offset, 1 FROM terrafusion.offsets
             WHERE pair = %s AND generation = %s
            ON CONFLICT (pair, generation, topic, partition) DO UPDATE
               SET next_offset = EXCLUDED.next_offset, topic_id = EXCLUDED.topic_id, epoch = o.epoch + 1,
                   owner = NULL, owner_pid = NULL, owner_started = NULL, updated_at = now()
            """,
            (LIVE, self.pair, self.name),
        )
        for state in ("dead_letters", "parked_keys"):
            for shadow, live in tables.items():
                connection.execute(
                    f"DELETE FROM terrafusion.{state} WHERE pair = %s AND generation = %s AND table_name = %s",
                    (self.pair, LIVE, live),
                )
                connection.execute(
                    f"UPDATE terrafusion.{state} SET generation = %s, table_name = %s "
                    "WHERE pair = %s AND generation = %s AND table_name = %s",
                    (LIVE, live, self.pair, self.name, shadow),
                )
        self.forget(connection)
