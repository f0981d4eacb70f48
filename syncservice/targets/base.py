"""The seam between the pipeline and a target: what a batch is, and what a target promises.

A target that has transactions keeps offsets, dead letters and parked keys itself, and writes them together
with the rows. Promises: a batch is applied wholly or not at all, in offset order, by the owner of its
partitions alone, once.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from consumers.changes import SourcePosition
from consumers.records import RawBatch, RawRecord, Records, TopicPartition
from syncservice.compact import OP
from syncservice.plan import TablePlan
from syncservice.targets.staging import Staged

LIVE = "live"
ParkedKeys = Mapping[str, frozenset[str]]  # target table → logical keys (JSON)


def union(one: ParkedKeys, other: ParkedKeys) -> ParkedKeys:
    """The keys parked in either."""
    return {table: one.get(table, frozenset()) | other.get(table, frozenset()) for table in {*one, *other}}


@dataclass(frozen=True)
class DeadLetter:
    """An event that could not be applied, with everything needed to look at it and to replay it."""

    partition: TopicPartition
    record: RawRecord
    table: str
    key: str | None
    code: str
    reason: str
    position: SourcePosition | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for letters with the same cause: numbers and quoted values do not count."""
        shape = re.sub(r"\(.*?\)=\(.*?\)|\"[^\"]*\"|'[^']*'|\d+", "?", self.reason.split("\n")[0])
        return hashlib.sha256(f"{self.table}|{self.code}|{shape}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class TableBatch:
    """What one batch does to one table: compacted changes, encoded, and the events that failed before.

    `staged` holds the changes that go through staging: all of them, or all but those in `direct`.
    """

    plan: TablePlan
    partition: TopicPartition
    changes: pl.DataFrame
    history: pl.DataFrame  # all changes before compaction: what a failing key's history is expanded from
    staged: Staged
    masks: tuple[str, ...]  # the partial updates in it
    records: Sequence[RawRecord]  # all that were read, for dead letters
    direct: Staged | None = None  # the rows with new keys, for COPY into the table itself; not in `staged`
    dead: tuple[DeadLetter, ...] = ()
    newest: SourcePosition | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """The operations in it: "u", "n", "d"."""
        return frozenset(self.changes[OP].unique())

    def record(self, offset: int) -> RawRecord:
        """The record at an offset."""
        records = Records.of(self.records)
        return records[bisect_left(records.offsets, offset)]


@dataclass(frozen=True)
class Batch:
    """One apply transaction: tables, and the offsets before and after."""

    tables: tuple[TableBatch, ...]
    start: Mapping[TopicPartition, int]
    next: Mapping[TopicPartition, int]
    raw: RawBatch
    parked: ParkedKeys


@dataclass(frozen=True)
class Claim:
    """Ownership of partitions in the target: epochs that every apply must find unchanged."""

    generation: str
    epochs: Mapping[TopicPartition, int]
    next: Mapping[TopicPartition, int]
    topic_ids: Mapping[str, str]
    parked: ParkedKeys


@dataclass(frozen=True)
class Applied:
    """What a batch came to, per target table, and how long its transaction took."""

    records: Mapping[str, int]
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    newly_parked: ParkedKeys = field(default_factory=dict)
    seconds: float = 0.0


class Target(Protocol):
    """A place that rows are applied to."""

    def claim(self, topic_ids: Mapping[str, str], partitions: Sequence[TopicPartition]) -> Claim:
        """Take the partitions over from whoever holds them, and say where to go on.

        Raises ResyncRequired (no offsets, or those of another topic id), TargetUnavailable.
        """
        ...

    def apply(self, claim: Claim, batch: Batch, confirm: Callable[[], None]) -> Applied:
        """Apply a batch in one transaction; `confirm` is called last before COMMIT and may raise.

        Raises Fenced, Contention, TargetUnavailable (outcome unknown: claim again and compare), Halt.
        """
        ...

    def close(self) -> None:
        """Free the connection."""
        ...
