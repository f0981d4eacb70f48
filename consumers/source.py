"""Where raw records come from: a consumer group's share of topics, or whole partitions without a group.

Positions are never kept in Kafka: who owns a partition says where to start (`on_assign`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from consumers.errors import KafkaUnavailable, OffsetOutOfRange
from consumers.records import RawBatch, RawRecord, Records, TopicPartition

Positions = Mapping[TopicPartition, int]
MAX_BATCH_BYTES = 32 * 1024 * 1024

_SETTINGS: dict[str, Any] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 10_000,
    "fetch.wait.max.ms": 500,  # how long an empty fetch waits; data comes at once
    "fetch.message.max.bytes": 8 * 1024 * 1024,
    "fetch.max.bytes": 64 * 1024 * 1024,
    "receive.message.max.bytes": 100_000_000,
    "queued.max.messages.kbytes": 65_536,
    "log_level": 2,
}


class EventSource(Protocol):
    """Batches of raw records, in offset order within a partition.

    One thread calls `poll`; the callbacks given at construction run inside it. A batch is delivered once
    per position: after a failure the owner reads again from positions of its own by `seek`.
    """

    def poll(self, timeout: float, max_records: int) -> RawBatch | None:
        """Records that are there, else the first that come within `timeout` seconds; None when none do.

        Raises KafkaUnavailable, OffsetOutOfRange.
        """
        ...

    def seek(self, positions: Positions) -> None:
        """Read on from these positions."""
        ...

    def close(self) -> None:
        """Leave the group and free everything."""
        ...


class KafkaSource:
    """An EventSource over librdkafka.

    With `group`: a member of that consumer group; `on_assign(partitions)` gives the positions to start at,
    `on_revoke()` returns when nothing of the partitions is in flight any more. Without: `seek` names the
    partitions and where to start.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str] = (),
        group: str | None = None,
        on_assign: Callable[[Sequence[TopicPartition]], Positions] | None = None,
        on_revoke: Callable[[], None] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._next: dict[TopicPartition, int] = {}
        self._ends: set[TopicPartition] = set()
        self._mean_bytes = 512.0
        self._on_assign, self._on_revoke = on_assign, on_revoke
        self._consumer = Consumer(
            _SETTINGS
            | {"bootstrap.servers": bootstrap, "group.id": group or "terrafusion-replay"}
            | dict(config or {})
        )
        if group:
            self._consumer.subscribe(
                list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
            )

    def _assigned(self, _: Consumer, partitions: list[KafkaPartition]) -> None:
        if self._on_assign and partitions:
            self.seek(self._on_assign([TopicPartition(p.topic, p.partition) for p in partitions]))

    def _revoked(self, consumer: Consumer, _: list[KafkaPartition]) -> None:
        if self._on_revoke:
            self._on_revoke()
        self._next.clear()
        consumer.unassign()

    def seek(self, positions: Positions) -> None:
        """Read on from these positions; they replace the assignment."""
        self._next = dict(positions)
        self._ends.clear()
        self._consumer.assign(
            [KafkaPartition(tp.topic, tp.partition, offset) for tp, offset in positions.items()]
        )

    def poll(self, timeout: float, max_records: int) -> RawBatch | None:
        """See EventSource.poll. A batch holds about MAX_BATCH_BYTES at the most."""
        limit = max(1, min(max_records, int(MAX_BATCH_BYTES / self._mean_bytes)))
        try:
            messages = self._consumer.consume(limit, 0)
            if not messages:
                messages = self._consumer.consume(1, timeout)
                if messages and limit > 1:
                    messages += self._consumer.consume(limit - 1, 0)
        except KafkaException as error:
            raise _failure(error.args[0]) from error
        return self._batch(messages) if messages else None

    def _batch(self, messages: Sequence[Message]) -> RawBatch | None:
        start = dict(self._next)
        records: dict[TopicPartition, Records] = {}
        ends: set[TopicPartition] = set()
        good = [message for message in messages if message.error() is None]
        for partition, group in self._by_partition(good).items():
            found = Records([_offset(m) for m in group], [m.key() for m in group], [m.value() for m in group])
            records[partition] = found
            self._next[partition] = max(self._next.get(partition, 0), found.offsets[-1] + 1)
            self._measure(found)
        if len(good) < len(messages):
            for message in messages:
                self._event(message, ends)
        moved = {tp: offset for tp, offset in self._next.items() if start.get(tp) != offset}
        if not moved and not ends:
            return None
        return RawBatch(records, {tp: start.get(tp, 0) for tp in moved}, moved, frozenset(ends))

    def _event(self, message: Message, ends: set[TopicPartition]) -> None:
        error = message.error()
        if error is None:
            return
        if error.code() != KafkaError._PARTITION_EOF:
            raise _failure(error)
        partition = _partition(message)
        ends.add(partition)
        self._next[partition] = max(self._next.get(partition, 0), _offset(message))

    def _by_partition(self, messages: list[Message]) -> dict[TopicPartition, list[Message]]:
        if len(self._next) == 1 and messages:
            return {next(iter(self._next)): messages}
        groups: dict[TopicPartition, list[Message]] = {}
        for message in messages:
            groups.setdefault(_partition(message), []).append(message)
        return groups

    def _measure(self, found: Records) -> None:
        """Keep a running mean of record sizes, so that `poll` can bound a batch's bytes."""
        sample = found.values[:: max(1, len(found) // 64)]
        size = sum(len(value or b"") for value in sample) / len(sample)
        weight = min(1.0, len(found) / 1000)
        self._mean_bytes = max(64.0, self._mean_bytes * (1 - weight) + weight * size)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def _partition(message: Message) -> TopicPartition:
    return TopicPartition(message.topic() or "", message.partition() or 0)


def _offset(message: Message) -> int:
    offset = message.offset()
    if offset is None:
        raise KafkaUnavailable(f"a message of {message.topic()} came without an offset")
    return offset


def _failure(error: Any) -> Exception:
    code = error.code() if isinstance(error, KafkaError) else None
    if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
        return OffsetOutOfRange(str(error))
    return KafkaUnavailable(str(error))


class MemorySource:
    """The in-memory twin: logs given by hand, cut into batches of at most `max_records`."""

    def __init__(self, logs: Mapping[TopicPartition, Sequence[RawRecord]]) -> None:
        self.logs = {tp: list(records) for tp, records in logs.items()}
        self._next: dict[TopicPartition, int] = {}
        self._ended: set[TopicPartition] = set()

    def seek(self, positions: Positions) -> None:
        """See EventSource.seek."""
        self._next = dict(positions)
        self._ended.clear()

    def poll(self, timeout: float, max_records: int) -> RawBatch | None:
        """See EventSource.poll."""
        for partition, position in self._next.items():
            found = [r for r in self.logs.get(partition, []) if r.offset >= position][:max_records]
            if found:
                self._next[partition] = found[-1].offset + 1
                self._ended.discard(partition)
                return RawBatch({partition: found}, {partition: position}, {partition: found[-1].offset + 1})
            if partition not in self._ended:
                self._ended.add(partition)
                return RawBatch({}, {}, {}, frozenset([partition]))
        time.sleep(min(timeout, 0.01))
        return None

    def close(self) -> None:
        """See EventSource.close."""
