"""Replay of one table's topic into its shadow: the whole log from its start to a captured end.

The same prepare and apply as the live road, under a generation of its own. Rows whose key is new go in without
a lookup; the index that merging needs is made when the first key comes a second time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from consumers.changes import SchemaLookup, source_position
from consumers.decode import schema_id_of
from consumers.errors import BadRecord
from consumers.records import RawBatch, Records, TopicPartition
from consumers.source import EventSource
from syncservice.errors import Cancelled
from syncservice.plan import TablePlan
from syncservice.prepare import prepare
from syncservice.seen import SeenKeys
from syncservice.targets.base import Batch, Claim, ParkedKeys, Target, union

MAX_RECORDS = 20_000
POLL_SECONDS = 1.0
Progress = Callable[[int], None]  # records read since the last call


class Replay:
    """Fills one shadow.

    `floor`: an LSN; events from before it are left out. What a TRUNCATE removed, and what an interrupted snapshot
    wrote before it was taken again, is still in a compacted topic.
    """

    def __init__(
        self,
        shadow: TablePlan,
        claim: Claim,
        source: EventSource,
        target: Target,
        schemas: SchemaLookup,
        need_key: Callable[[], None],
        progress: Progress,
        cancelled: Callable[[], bool],
        floor: int = 0,
    ) -> None:
        self.claim = claim
        self.shadow, self._source, self._target, self._schemas = shadow, source, target, schemas
        self._need_key, self._progress, self._cancelled = need_key, progress, cancelled
        self._floor, self._above = floor, sys.maxsize  # offset of the first record above the floor, once met
        self._partition = TopicPartition(shadow.topic, 0)
        self._seen = SeenKeys()
        self.has_key = False
        self.read = 0
        self.dead_letters = 0

    def run(self, end: int) -> None:
        """Apply everything up to `end`; may be called again with a later one.

        The end counts as reached at the partition's end too: transaction markers may be its last records.
        Raises Cancelled, ResyncRequired, and what prepare and apply raise.
        """
        if self.position >= end:
            return
        self._source.seek({self._partition: self.position})
        with ThreadPoolExecutor(1, "replay") as reader:
            upcoming = reader.submit(self._next)
            while self.position < end:
                if self._cancelled():
                    raise Cancelled("the operation was cancelled")
                batch = upcoming.result()
                upcoming = reader.submit(self._next)
                if batch is not None:
                    self._apply(batch)

    @property
    def position(self) -> int:
        """The next offset to apply."""
        return self.claim.next[self._partition]

    def _next(self) -> Batch | None:
        raw = self._source.poll(POLL_SECONDS, MAX_RECORDS)
        if raw is None or not raw.next:
            return None
        return self._prepared(self._above_floor(raw), self.claim.parked)

    def _prepared(self, raw: RawBatch, parked: ParkedKeys) -> Batch:
        return prepare(raw, [self.shadow], parked, self._schemas, self._seen.mark)

    def _apply(self, batch: Batch) -> None:
        if batch.parked is not self.claim.parked:
            batch = self._prepared(batch.raw, self.claim.parked)
        kinds = {kind for table in batch.tables for kind in table.kinds}
        if not self.has_key and kinds - {"n"}:
            self._need_key()
            self.has_key = True
        applied = self._target.apply(self.claim, batch, lambda: None)
        parked = union(self.claim.parked, applied.newly_parked) if applied.newly_parked else self.claim.parked
        self.claim = replace(self.claim, next={**self.claim.next, **batch.next}, parked=parked)
        self.dead_letters += sum(applied.dead_letters.values())
        self.read += batch.raw.count
        self._progress(batch.raw.count)

    def _above_floor(self, raw: RawBatch) -> RawBatch:
        """Without the events from before the floor.

        For one table, every event after a TRUNCATE (or after the last snapshot's first row) has a higher LSN than it: once
        one is above the floor, all are. Tombstones and unreadable events behind the last one below it are kept.
        """
        if not self._floor:
            return raw
        found = Records.of(raw.records.get(self._partition, ()))
        below = 0
        for index, value in enumerate(found.values):
            if found.offsets[index] >= self._above:
                break
            lsn = self._lsn(value)
            if lsn is not None and lsn >= self._floor:
                self._above = found.offsets[index]  # kept, not forgotten: what was read ahead is read again
                break
            if lsn is not None:
                below = index + 1
        return replace(raw, records={self._partition: found[below:]} if below < len(found) else {})

    def _lsn(self, value: bytes | None) -> int | None:
        try:
            return source_position(value, self._schemas(schema_id_of(value))).lsn if value else None
        except BadRecord:
            return None
