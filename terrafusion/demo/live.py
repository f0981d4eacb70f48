"""Live load: changes the source at a steady rate in a thread of its own, until it is stopped.

The load survives restarts of the source server: it connects again and goes on. A transaction whose commit was not
answered is not counted, so after a restart the counts are a lower bound.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import psycopg

from terrafusion.demo.changes import ACTIONS, Action, Change, Connection, Rows

RECONNECT_SECONDS = 0.2
ROLLED_BACK = 0.02
# after a stall the load makes up for this much of it, no more
CATCH_UP_SECONDS = 1.0


@dataclass(frozen=True)
class LoadReport:
    """What the load has done so far. `changes` counts rows by (source table, kind)."""

    changes: Mapping[tuple[str, str], int]
    transactions: int
    rolled_back: int
    reconnects: int
    seconds: float

    @property
    def events(self) -> int:
        """Rows changed by committed transactions: as many change events reach the log."""
        return sum(self.changes.values())

    def by_kind(self) -> dict[str, int]:
        """Rows by kind, over all tables."""
        kinds: Counter[str] = Counter()
        for (_table, kind), rows in self.changes.items():
            kinds[kind] += rows
        return dict(kinds)

    def of_table(self, table: str) -> int:
        """Rows of one source table, over all kinds."""
        return sum(rows for (name, _kind), rows in self.changes.items() if name == table)


class LiveLoad:
    """Changes at `rate` events a second; the sequence of changes follows from the seed.

    Use as a context manager, or call start and stop. `source_dsn` must be allowed to write the source's tables.
    `failure` holds the error that ended the load, if one did.
    """

    def __init__(self, source_dsn: str, rate: float = 200.0, seed: int = 1) -> None:
        if rate <= 0:
            raise ValueError(f"rate must be above 0 events/s, not {rate}")
        self._dsn, self._rate, self._random = source_dsn, rate, random.Random(seed)  # noqa: S311 - not for secrets
        self._changes: Counter[tuple[str, str]] = Counter()
        self._transactions = self._rolled_back = self._reconnects = 0
        self._rows: Rows | None = None
        self._began = self._ended = 0.0
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-live-load", daemon=True)
        self.failure: psycopg.Error | None = None

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> LoadReport:
        """End after the transaction that is under way, and say what was done. May be called again."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self._ended = self._ended or time.monotonic()
        return self.report()

    def report(self) -> LoadReport:
        """What was done until now."""
        with self._lock:
            ended = self._ended or time.monotonic()
            return LoadReport(
                dict(self._changes),
                self._transactions,
                self._rolled_back,
                self._reconnects,
                ended - self._began,
            )

    def __enter__(self) -> LiveLoad:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(
                    self._dsn, autocommit=True, connect_timeout=3, application_name="demo live load"
                ) as source:
                    source.execute("SET statement_timeout = '10s'; SET synchronous_commit = on")
                    self._work(source)
            except psycopg.OperationalError:
                with self._lock:
                    self._reconnects += 1
                self._stop.wait(RECONNECT_SECONDS)
            except psycopg.Error as error:
                self.failure = error
                return

    def _work(self, source: Connection) -> None:
        if self._rows is None:
            self._rows = Rows.of(source, self._random)
        due = time.monotonic()
        while not self._stop.is_set():
            done = self._transaction(source, self._rows)
            due = max(due + done / self._rate, time.monotonic() - CATCH_UP_SECONDS)
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _transaction(self, source: Connection, rows: Rows) -> int:
        """One transaction of a kind drawn from ACTIONS; returns the rows it changed."""
        action = self._choose()
        give_up = self._random.random() < ROLLED_BACK
        with source.transaction(force_rollback=give_up):
            changes = list(action(source, rows))
        if give_up:
            rows.recent.clear()
        self._count(changes, give_up)
        return max(1, sum(change.rows for change in changes))

    def _choose(self) -> Action:
        weights = [weight for weight, _action in ACTIONS]
        return self._random.choices([action for _weight, action in ACTIONS], weights)[0]

    def _count(self, changes: list[Change], gave_up: bool) -> None:
        with self._lock:
            if gave_up:
                self._rolled_back += 1
                return
            self._transactions += 1
            for change in changes:
                if change.rows:
                    self._changes[change.table, change.kind] += change.rows
