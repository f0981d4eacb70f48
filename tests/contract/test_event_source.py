"""What every event source promises; runs against Kafka (where the stack runs) and against the twin in memory."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from confluent_kafka import Producer

from consumers.admin import TopicAdmin, TopicSpec
from consumers.errors import OffsetOutOfRange
from consumers.records import RawBatch, RawRecord, TopicPartition
from consumers.source import EventSource, KafkaSource, MemorySource, Positions
from terrafusion.stack import Stack

Messages = Sequence[tuple[bytes | None, bytes | None]]
Open = Callable[[Messages], tuple[EventSource, TopicPartition]]


@pytest.fixture(scope="module")
def bootstrap(stack: Stack) -> str:
    return stack.env()["KAFKA_BOOTSTRAP"]


@pytest.fixture
def topic(bootstrap: str) -> Iterator[str]:
    admin, name = TopicAdmin(bootstrap), f"contract-{secrets.token_hex(6)}"
    admin.ensure_topics([TopicSpec(name)])
    yield name
    admin.delete_topics([name])


def produce(bootstrap: str, topic: str, messages: Messages, transaction: bool = False) -> None:
    """Write messages; in a transaction a marker follows them in the log."""
    settings = {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0}
    producer = Producer(settings | ({"transactional.id": topic} if transaction else {}))
    if transaction:
        producer.init_transactions()
        producer.begin_transaction()
    for key, value in messages:
        producer.produce(topic, value, key)
    if transaction:
        producer.commit_transaction()
    producer.flush(10)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.stack)])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a source over a topic that holds these messages, at no position yet."""
    sources: list[EventSource] = []

    def memory(messages: Messages) -> tuple[EventSource, TopicPartition]:
        there = TopicPartition("topic", 0)
        source = MemorySource({there: [RawRecord(n, k, v) for n, (k, v) in enumerate(messages)]})
        return source, there

    def kafka(messages: Messages) -> tuple[EventSource, TopicPartition]:
        bootstrap, topic = request.getfixturevalue("bootstrap"), request.getfixturevalue("topic")
        produce(bootstrap, topic, messages)
        return KafkaSource(bootstrap), TopicPartition(topic, 0)

    def open_source(messages: Messages) -> tuple[EventSource, TopicPartition]:
        source, there = (memory if request.param == "memory" else kafka)(messages)
        sources.append(source)
        return source, there

    yield open_source
    for source in sources:
        source.close()


def numbered(count: int) -> list[tuple[bytes | None, bytes | None]]:
    return [(b"k%d" % n, b"v%d" % n) for n in range(count)]


def read(source: EventSource, partition: TopicPartition, size: int = 1000) -> list[RawBatch]:
    """All batches up to the partition's end."""
    batches: list[RawBatch] = []
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        batch = source.poll(0.2, size)
        if batch is not None:
            batches.append(batch)
            if partition in batch.ends:
                return batches
    raise AssertionError("the partition's end was never reached")


def offsets(batches: Sequence[RawBatch]) -> list[int]:
    return [r.offset for batch in batches for records in batch.records.values() for r in records]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_records_come_in_order_each_once_and_positions_meet(opened: Open, size: int) -> None:
    source, there = opened(numbered(10))
    source.seek({there: 0})
    batches = read(source, there, size)
    assert offsets(batches) == list(range(10))
    assert all(batch.count <= size for batch in batches)
    moved = [batch for batch in batches if batch.next]
    assert moved[0].start[there] == 0
    assert all(one.next[there] == other.start[there] for one, other in itertools.pairwise(moved))
    assert moved[-1].next[there] == 10


def test_bytes_are_those_that_were_written(opened: Open) -> None:
    messages = [(b"k", b"\x00\xff"), (b"k", None), (None, b""), (b"", b"x")]
    source, there = opened(messages)
    source.seek({there: 0})
    records = [r for batch in read(source, there) for r in batch.records.get(there, ())]
    assert [(r.key, r.value) for r in records] == messages


def test_seeking_reads_on_from_there_forwards_and_backwards(opened: Open) -> None:
    source, there = opened(numbered(6))
    source.seek({there: 4})
    assert offsets(read(source, there)) == [4, 5]
    source.seek({there: 1})
    assert offsets(read(source, there)) == [1, 2, 3, 4, 5]
    source.seek({there: 6})
    assert offsets(read(source, there)) == []


def test_without_positions_nothing_is_read(opened: Open) -> None:
    source, _ = opened(numbered(2))
    assert source.poll(0.1, 10) is None


def test_an_end_is_told_once_until_more_has_been_read(opened: Open) -> None:
    source, there = opened(numbered(1))
    source.seek({there: 0})
    read(source, there)
    assert [source.poll(0.1, 10) for _ in range(3)] == [None] * 3


# -- Kafka alone -------------------------------------------------------------------------------------


@pytest.mark.stack
def test_case_33_a_transaction_marker_at_the_end_moves_the_position(bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, numbered(2), transaction=True)
    source, there = KafkaSource(bootstrap), TopicPartition(topic, 0)
    try:
        source.seek({there: 0})
        batches = read(source, there)
        assert offsets(batches) == [0, 1]
        assert batches[-1].next == {there: 3}
        assert TopicAdmin(bootstrap).end_offsets([topic]) == {topic: 3}
    finally:
        source.close()


@pytest.mark.stack
def test_case_36_a_position_outside_the_log_is_an_error_never_a_jump(bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, numbered(2))
    source = KafkaSource(bootstrap)
    try:
        source.seek({TopicPartition(topic, 0): 99})
        with pytest.raises(OffsetOutOfRange):
            for _ in range(50):
                source.poll(0.2, 10)
    finally:
        source.close()


@pytest.mark.stack
def test_a_group_starts_where_its_owner_says_and_hands_over(bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, numbered(5))
    there = TopicPartition(topic, 0)
    revoked: list[int] = []

    def assigned(partitions: Sequence[TopicPartition]) -> Positions:
        assert list(partitions) == [there]
        return {there: 3}

    config = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    first = KafkaSource(bootstrap, [topic], topic, assigned, lambda: revoked.append(1), config)
    try:
        assert offsets(read(first, there)) == [3, 4]
    finally:
        first.close()
    assert revoked == [1]
    second = KafkaSource(bootstrap, [topic], topic, lambda _: {there: 0}, None, config)
    try:
        assert offsets(read(second, there)) == [0, 1, 2, 3, 4]
    finally:
        second.close()
