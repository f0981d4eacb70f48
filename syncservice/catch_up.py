"""Has everything that was committed at the source before now reached Kafka, and the target? (design section 5)

Seeing a marker in its topic proves nothing about other topics. What proves it: Connect commits a source offset
only after Kafka has acknowledged every record before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from consumers.admin import TopicAdmin
from syncservice.errors import Cancelled, SyncError

MARKER = "terrafusion"
POLL_SECONDS = 0.25


class Report(Protocol):
    """Where an operation tells how far it is, and hears whether to go on."""

    def phase(self, name: str, total: int | None = None) -> None:
        """A new phase, of `total` rows when that is known."""
        ...

    def done(self, rows: int) -> None:
        """So many more rows."""
        ...

    def cancelled(self) -> bool:
        """Whether someone asked the operation to stop, or its lease was lost."""
        ...


class TargetFell(SyncError):
    """The pair stopped applying while an operation was waiting for it."""

    code = "pair_stopped"
    retry = "manual"
    remedy = "Look at the pair's state and reason (`terrafusion status PAIR`), mend it, then start the operation again."


@dataclass(frozen=True)
class CatchUp:
    """`emit_marker` gives an LSN, `committed_lsn` what the connector has passed for certain.

    `trouble`: what stops the connector for good, or None.
    """

    emit_marker: Callable[[str], int]
    committed_lsn: Callable[[], int | None]
    snapshot_done: Callable[[], bool]
    rows_expected: Callable[[], int]
    trouble: Callable[[], SyncError | None]
    admin: TopicAdmin
    topics: tuple[str, ...]
    report: Report

    def wait(self, phase: str) -> dict[str, int]:
        """Wait until all that was committed before this call is in Kafka; the topics' end offsets then."""
        self.report.phase(phase, self.rows_expected() if phase == "snapshot" else None)
        marker = self.emit_marker(MARKER)
        shown = 0 if phase == "snapshot" else self._rows()
        asked = time.monotonic()
        while not (self._passed(marker) and self.snapshot_done()):
            self._go_on()
            time.sleep(POLL_SECONDS)
            if time.monotonic() - asked > 1:
                asked = time.monotonic()
                self.emit_marker(MARKER)
                if (trouble := self.trouble()) is not None:
                    raise trouble
                rows = self._rows()
                self.report.done(max(0, rows - shown))
                shown = max(shown, rows)
        return self.admin.end_offsets(self.topics)

    def _rows(self) -> int:
        return sum(self.admin.end_offsets(self.topics).values())

    def _passed(self, marker: int) -> bool:
        committed = self.committed_lsn()
        return committed is not None and committed >= marker

    def wait_applied(self, ends: Mapping[str, int], applied: Callable[[], Mapping[str, int] | None]) -> None:
        """Wait until the target's offsets have reached `ends`; `applied` gives None when the pair has stopped."""
        start = dict(applied() or {})
        self.report.phase("apply", sum(max(0, end - start.get(topic, 0)) for topic, end in ends.items()))
        before = sum(start.values())
        while True:
            now = applied()
            if now is None:
                raise TargetFell("the pair stopped while it was catching up")
            self.report.done(max(0, sum(now.values()) - before))
            before = max(before, sum(now.values()))
            if all(now.get(topic, -1) >= end for topic, end in ends.items()):
                return
            self._go_on()
            time.sleep(POLL_SECONDS)

    def _go_on(self) -> None:
        if self.report.cancelled():
            raise Cancelled("the operation was cancelled")
