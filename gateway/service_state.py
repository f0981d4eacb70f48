"""What the gateway knows about SyncService: written by the supervisor's thread, read by every request."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

FRESH_FOR_S = 4.0
RESTARTS_KEPT = 50


@dataclass(frozen=True)
class Restart:
    """One restart and why."""

    at: datetime
    reason: str


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment. `age_s`: seconds since SyncService last answered, None: never yet."""

    up: bool
    age_s: float | None
    pid: int | None
    since: datetime | None
    supervised_here: bool
    restarts_total: int
    restarts: tuple[Restart, ...]


class ServiceState:
    """Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen_at: float | None = None
        self._alive = False
        self._pid: int | None = None
        self._since: datetime | None = None
        self._supervised_here = False
        self._total = 0
        self._restarts: deque[Restart] = deque(maxlen=RESTARTS_KEPT)

    def started(self, pid: int | None, *, supervised_here: bool) -> None:
        """There is a (new) SyncService; it has not answered yet."""
        with self._lock:
            self._pid, self._since, self._alive = pid, datetime.now(UTC), False
            self._supervised_here = supervised_here

    def answered(self) -> None:
        """It has just answered."""
        with self._lock:
            self._seen_at, self._alive = self._clock(), True
            if self._since is None:
                self._since = datetime.now(UTC)

    def gone(self) -> None:
        """It is known not to run."""
        with self._lock:
            self._alive, self._pid, self._since = False, None, None

    def restarted(self, reason: str) -> None:
        """It is being replaced."""
        with self._lock:
            self._total += 1
            self._restarts.append(Restart(datetime.now(UTC), reason))

    def snapshot(self) -> Snapshot:
        """The state now; silent for four seconds counts as down."""
        with self._lock:
            age = None if self._seen_at is None else self._clock() - self._seen_at
            return Snapshot(
                up=self._alive and age is not None and age < FRESH_FOR_S,
                age_s=age,
                pid=self._pid,
                since=self._since,
                supervised_here=self._supervised_here,
                restarts_total=self._total,
                restarts=tuple(self._restarts),
            )
