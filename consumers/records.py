"""Raw records as they come from a topic, and where they stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class RawRecord(NamedTuple):
    """One record: bytes as stored in Kafka. `timestamp` is Kafka's, milliseconds since 1970."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int


@dataclass(frozen=True)
class RawBatch:
    """Records of several partitions, each in offset order, with the positions before and after.

    `start` and `next` hold "next to read" offsets; `next` can be past the last record + 1
    (transaction markers, compacted gaps). `ends` holds partitions whose end was reached.
    """

    records: Mapping[TopicPartition, Sequence[RawRecord]]
    start: Mapping[TopicPartition, int]
    next: Mapping[TopicPartition, int]
    ends: frozenset[TopicPartition] = field(default=frozenset())

    @property
    def count(self) -> int:
        """The number of records."""
        return sum(len(records) for records in self.records.values())
