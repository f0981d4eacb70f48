"""Raw records as they come from a topic, and where they stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, overload


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class RawRecord(NamedTuple):
    """One record: bytes as stored in Kafka."""

    offset: int
    key: bytes | None
    value: bytes | None


class Records(Sequence[RawRecord]):
    """Records of one partition in offset order, kept as columns: a record object is made only where one is looked at."""

    __slots__ = ("keys", "offsets", "values")

    def __init__(self, offsets: list[int], keys: list[bytes | None], values: list[bytes | None]) -> None:
        self.offsets, self.keys, self.values = offsets, keys, values

    @classmethod
    def of(cls, records: Sequence[RawRecord]) -> Records:
        """The same records as columns."""
        if isinstance(records, Records):
            return records
        return cls([r.offset for r in records], [r.key for r in records], [r.value for r in records])

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> RawRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> RawRecord | Records:
        if isinstance(index, slice):
            return Records(self.offsets[index], self.keys[index], self.values[index])
        return RawRecord(self.offsets[index], self.keys[index], self.values[index])

    def take(self, indexes: Sequence[int]) -> Records:
        """The records at these places."""
        return Records(
            [self.offsets[i] for i in indexes],
            [self.keys[i] for i in indexes],
            [self.values[i] for i in indexes],
        )


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
