"""Replay of one table's topic into its shadow: the whole log from its start to a captured end.

The same prepare and apply as the live road, under a generation of its own. Rows whose key is new go in without
a lookup; the index that merging needs is made when the first key comes a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from consumers.changes import SchemaLookup, source_position
from consumers.decode import schema_id_of
from consumers.errors import BadRecord
from consumers.records import RawBatch, RawRecord, TopicPartition
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
    """Fills one shadow. `truncated_at`: LSN of the source table's last truncate; older rows are left out."""

    def __init__(
        self,
        shadow: TablePlan,
        source: EventSource,
        target: Target,
        schemas: SchemaLookup,
        need_key: Callable[[], None],
        progress: Progress,
        cancelled: Callable[[], bool],
        truncated_at: int | None = None,
    ) -> None:
        self.shadow, self._source, self._target, self._schemas = shadow, source, target, schemas
        self._need_key, self._progress, self._cancelled = need_key, progress, cancelled
        self._truncated_at = truncated_at
        self._partition = TopicPartition(shadow.topic, 0)
        self._seen = SeenKeys()
        self._has_key = False
        self._claim = Claim(shadow.table, {}, {}, {}, {})
        self.read = 0
        self.dead_letters = 0

    @property
    def parked(self) -> ParkedKeys:
        """The keys parked so far."""
        return self._claim.parked

    def run(self, claim: Claim, end: int) -> int:
        """Apply everything from the claim's position to `end`; the position reached (≥ `end`).

        The end counts as reached at the partition's end too: transaction markers may be its last records.
        Raises Cancelled, ResyncRequired, and what prepare and apply raise.
        """
        position = claim.next[self._partition]
        self._claim = claim
        if position >= end:
            return position
        self._source.seek({self._partition: position})
        with ThreadPoolExecutor(1, "replay") as reader:
            upcoming = reader.submit(self._next, claim)
            while position < end:
                if self._cancelled():
                    raise Cancelled("the operation was cancelled")
                batch = upcoming.result()
                upcoming = reader.submit(self._next, claim)
                if batch is not None:
                    self._apply(batch)
                    position = max(position, batch.next.get(self._partition, position))
        return position

    def _next(self, claim: Claim) -> Batch | None:
        raw = self._source.poll(POLL_SECONDS, MAX_RECORDS)
        return (
            self._prepared(self._without_truncated(raw), claim.parked)
            if raw is not None and raw.next
            else None
        )

    def _prepared(self, raw: RawBatch, parked: ParkedKeys) -> Batch:
        return prepare(raw, [self.shadow], parked, self._schemas, self._seen.mark)

    def _apply(self, batch: Batch) -> None:
        if batch.parked is not self._claim.parked:
            batch = self._prepared(batch.raw, self._claim.parked)
        kinds = {kind for table in batch.tables for kind in table.kinds}
        if not self._has_key and kinds - {"n"}:
            self._need_key()
            self._has_key = True
        applied = self._target.apply(self._claim, batch, lambda: None)
        if applied.newly_parked:
            self._claim = replace(self._claim, parked=union(self._claim.parked, applied.newly_parked))
        self.dead_letters += sum(applied.dead_letters.values())
        self.read += batch.raw.count
        self._progress(batch.raw.count)

    def _without_truncated(self, raw: RawBatch) -> RawBatch:
        """Leave out what happened before the source table's last truncate."""
        if self._truncated_at is None:
            return raw
        kept: Mapping[TopicPartition, list[RawRecord]] = {
            partition: [r for r in records if not self._before_truncate(r)]
            for partition, records in raw.records.items()
        }
        return replace(raw, records=kept)

    def _before_truncate(self, record: RawRecord) -> bool:
        if record.value is None:
            return False
        try:
            lsn = source_position(record.value, self._schemas(schema_id_of(record.value))).lsn
        except BadRecord:
            return False
        return lsn is not None and self._truncated_at is not None and lsn < self._truncated_at
