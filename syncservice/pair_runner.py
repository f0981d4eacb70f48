"""The apply groups of one pair as threads: started, restarted with backoff, halted with a reason."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal

import structlog

from syncservice.errors import SyncError
from syncservice.pipeline import ApplyGroup

log = structlog.get_logger(__name__)
GroupState = Literal["running", "retrying", "halted", "stopped"]
BACKOFF_MAX = 30.0
SOUND_AFTER = 60.0  # a group that ran so long starts its backoff anew


class GroupThread(threading.Thread):
    """Runs one apply group until it is stopped or halts."""

    def __init__(self, pair: str, topics: Sequence[str], build: Callable[[], ApplyGroup]) -> None:
        super().__init__(name=f"apply-{pair}", daemon=True)
        self.pair, self.topics = pair, tuple(topics)
        self.state: GroupState = "running"
        self.trouble: SyncError | None = None
        self._build = build
        self._stopping = threading.Event()

    def run(self) -> None:
        """Run the group again and again; each failure waits longer."""
        attempts = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._build().run(self._stopping, self._healthy)
            except SyncError as error:
                attempts = 1 if time.monotonic() - began > SOUND_AFTER else attempts + 1
                self._failed(error, attempts)
            except BaseException as error:  # a panic in polars is no Exception
                log.exception("apply group failed", pair=self.pair, topics=self.topics)
                attempts += 1
                self._failed(SyncError(f"{type(error).__name__}: {error}"), attempts)
            if self.state == "halted":
                return
        self.state = "stopped"

    def _failed(self, error: SyncError, attempts: int) -> None:
        self.trouble = error
        log.warning(
            "apply group stopped",
            pair=self.pair,
            topics=self.topics,
            code=error.code,
            reason=error.message,
            attempts=attempts,
        )
        if error.retry != "timed":
            self.state = "halted"
            return
        self.state = "retrying"
        delay = min(BACKOFF_MAX, 0.5 * 2 ** min(attempts, 8)) * random.uniform(0.7, 1.3)  # noqa: S311
        self._stopping.wait(delay)

    def _healthy(self) -> None:
        """The group has claimed its partitions: what was wrong is over."""
        self.state, self.trouble = "running", None

    def stop(self) -> None:
        """Ask it to stop; `join` waits."""
        self._stopping.set()


class PairRunner:
    """All groups of a pair at one version of its spec."""

    def __init__(self, pair: str, version: object, groups: Sequence[GroupThread]) -> None:
        self.pair, self.version, self.groups = pair, version, tuple(groups)

    def start(self) -> None:
        """Start every group."""
        for group in self.groups:
            group.start()

    def stop(self, timeout: float = 20.0) -> None:
        """Stop every group and wait; what is in the database finishes or is rolled back by the server."""
        for group in self.groups:
            group.stop()
        deadline = time.monotonic() + timeout
        for group in self.groups:
            group.join(max(0.1, deadline - time.monotonic()))

    def states(self) -> dict[str, str]:
        """Topic → state of its group."""
        return {topic: group.state for group in self.groups for topic in group.topics}

    def trouble(self) -> SyncError | None:
        """What is wrong: of a halted group before a retrying one."""
        for state in ("halted", "retrying"):
            for group in self.groups:
                if group.state == state and group.trouble is not None:
                    return group.trouble
        dead = [group for group in self.groups if group.ident is not None and not group.is_alive()]
        if dead:
            return SyncError(
                f"the thread that applies {', '.join(dead[0].topics)} has ended; see SyncService's log"
            )
        return None
