"""The in-memory twin of a target: the same promises, rows as dicts. For tests, simulations and dry runs.

A `MemoryDatabase` is what outlives sessions; each `MemoryTarget` is one session on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from consumers.records import TopicPartition
from syncservice.compact import MASK, OFFSET, OP, unavailable_columns
from syncservice.errors import Fenced, ResyncRequired, TargetUnavailable
from syncservice.plan import TablePlan
from syncservice.targets.base import LIVE, Applied, Batch, Claim, DeadLetter, TableBatch
from syncservice.targets.isolation import RowFault, isolate
from syncservice.targets.keys import key_texts

Row = dict[str, Any]
Rows = dict[tuple[Any, ...], Row]  # key → target column → value
Refuse = Callable[[str, Row], str | None]  # table, row → why a constraint of the table refuses it


@dataclass(frozen=True)
class Offset:
    """A row of the offsets table."""

    topic_id: str
    next: int
    epoch: int = 0


@dataclass
class MemoryDatabase:
    """What is committed. `letters` are unique by topic id, partition and offset."""

    refuse: Refuse = lambda table, row: None
    rows: dict[str, Rows] = field(default_factory=dict)
    offsets: dict[TopicPartition, Offset] = field(default_factory=dict)
    letters: dict[tuple[str, int, int], DeadLetter] = field(default_factory=dict)
    parked: dict[str, frozenset[str]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, topic_ids: Mapping[str, str], positions: Mapping[TopicPartition, int]) -> None:
        """Write the positions that a full sync leaves behind."""
        for partition, position in positions.items():
            self.offsets[partition] = Offset(topic_ids[partition.topic], position)


class MemoryTarget:
    """A Target over a MemoryDatabase. A transaction is a copy of the touched tables that replaces them at the end."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database, self._open = database, False

    def claim(self, topic_ids: Mapping[str, str], partitions: Sequence[TopicPartition]) -> Claim:
        """See Target.claim."""
        with self.database.lock:
            self._open = True
            taken = {partition: self._taken(partition, topic_ids) for partition in partitions}
            self.database.offsets |= taken
            epochs = {partition: offset.epoch for partition, offset in taken.items()}
            positions = {partition: offset.next for partition, offset in taken.items()}
            return Claim(LIVE, epochs, positions, dict(topic_ids), dict(self.database.parked))

    def _taken(self, partition: TopicPartition, topic_ids: Mapping[str, str]) -> Offset:
        found = self.database.offsets.get(partition)
        if found is None:
            raise ResyncRequired(f"the target holds no position of topic {partition.topic}")
        if found.topic_id != topic_ids.get(partition.topic):
            raise ResyncRequired(
                f"topic {partition.topic} was re-created since the target's position was written"
            )
        return replace(found, epoch=found.epoch + 1)

    def apply(self, claim: Claim, batch: Batch, confirm: Callable[[], None]) -> Applied:
        """See Target.apply."""
        if not self._open:
            raise TargetUnavailable("the target's connection is closed")
        with self.database.lock:
            self._check_fence(claim, batch)
            tables = {t.plan.name: dict(self.database.rows.get(t.plan.name, {})) for t in batch.tables}
            letters = [letter for table in batch.tables for letter in table.dead]
            for table in batch.tables:
                letters += self._changed(table, tables)
            confirm()
            self.database.rows |= tables
            self._advance(batch)
            return self._written(claim, batch, letters)

    def _check_fence(self, claim: Claim, batch: Batch) -> None:
        for partition in batch.next:
            found = self.database.offsets.get(partition)
            expected = (claim.epochs[partition], batch.start[partition])
            if found is None or (found.epoch, found.next) != expected:
                raise Fenced(f"{partition.topic}: expected epoch and offset {expected}, found {found}")

    def _changed(self, table: TableBatch, tables: dict[str, Rows]) -> list[DeadLetter]:
        """The batch as it is; when a row is refused, its events in parts."""

        def attempt(part: TableBatch) -> list[DeadLetter]:
            rows = dict(tables[part.plan.name])
            _delete(part, rows)
            letters = self._upsert(part, rows)
            tables[part.plan.name] = rows
            return letters

        try:
            return attempt(table)
        except RowFault:
            return isolate(table, attempt)

    def _upsert(self, table: TableBatch, rows: Rows) -> list[DeadLetter]:
        """Whole rows, then partial updates. Raises RowFault for a row that a constraint refuses."""
        letters: list[DeadLetter] = []
        for change in sorted(table.changes.to_dicts(), key=lambda change: change[MASK] != ""):
            if change[OP] == "d":
                continue
            key, row = _row(table.plan, change)
            unavailable = unavailable_columns(change[MASK])
            if unavailable and key not in rows:
                letters.append(_letter(table, change[OFFSET], "unavailable_value", "no row to complete it"))
                continue
            if why := self.database.refuse(table.plan.name, rows.get(key, {}) | row):
                raise RowFault("target_refused", why)
            rows[key] = rows.get(key, {}) | row
        return letters

    def _advance(self, batch: Batch) -> None:
        for partition, position in batch.next.items():
            self.database.offsets[partition] = replace(self.database.offsets[partition], next=position)

    def _written(self, claim: Claim, batch: Batch, letters: Sequence[DeadLetter]) -> Applied:
        counts: dict[str, int] = {}
        parked: dict[str, frozenset[str]] = {}
        for letter in letters:
            place = (
                claim.topic_ids[letter.partition.topic],
                letter.partition.partition,
                letter.record.offset,
            )
            self.database.letters.setdefault(place, letter)
            counts[letter.table] = counts.get(letter.table, 0) + 1
            if letter.key is not None:
                parked[letter.table] = parked.get(letter.table, frozenset()) | {letter.key}
        for table, keys in parked.items():
            self.database.parked[table] = self.database.parked.get(table, frozenset()) | keys
        return Applied({t.plan.name: len(t.records) for t in batch.tables}, counts, parked)

    def close(self) -> None:
        """See Target.close."""
        self._open = False


def _delete(table: TableBatch, rows: Rows) -> None:
    for change in table.changes.to_dicts():
        if change[OP] == "d":
            rows.pop(_row(table.plan, change)[0], None)


def _row(plan: TablePlan, change: Mapping[str, Any]) -> tuple[tuple[Any, ...], Row]:
    """The key, and the columns that the change carries under their target names."""
    unavailable = unavailable_columns(change[MASK])
    row = {c.target: change[c.source] for c in plan.columns if c.source not in unavailable}
    return tuple(row[name] for name in plan.key), row


def _letter(table: TableBatch, offset: int, code: str, reason: str) -> DeadLetter:
    key = key_texts(table.plan, table.changes.filter(table.changes[OFFSET] == offset))[0]
    return DeadLetter(table.partition, table.record(offset), table.plan.name, key, code, reason)
