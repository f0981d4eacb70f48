"""Where the connector's last snapshot begins: found by halving, against a look at every record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.records import RawRecord, TopicPartition
from consumers.source import MemorySource
from syncservice.errors import Cancelled
from syncservice.snapshot_floor import snapshot_floor
from tests.histories import PARCEL, SCHEMAS

TOPIC, OTHER = "pacs-1.public.parcel", "pacs-1.public.other"
Events = list[tuple[str, int]]  # op ("-": a tombstone, " ": an offset without a record) and LSN


def records(events: Iterable[tuple[str, int]], first: int = 0) -> list[RawRecord]:
    """The events at one offset after the other."""
    return [
        RawRecord(offset, b'{"id":1}', None if op == "-" else PARCEL.value(op, row(), lsn=lsn))
        for offset, (op, lsn) in enumerate(events, first)
        if op != " "
    ]


def row() -> dict[str, object]:
    return {"id": 1, "name": None, "note": None, "tags": None, "area": 1}


def floor(
    topics: Mapping[str, Events], first: int = 0, go_on: Callable[[], None] = lambda: None, grown: int = 0
) -> int:
    """`grown`: how many of the last events came after the end offsets were taken."""
    logs = {TopicPartition(topic, 0): records(events, first) for topic, events in topics.items()}
    ends = {topic: first + len(events) - grown for topic, events in topics.items()}
    return snapshot_floor(MemorySource(logs), dict.fromkeys(topics, first), ends, SCHEMAS, go_on)


TWO_ATTEMPTS = [("r", 10)] * 7 + [("r", 20)] * 3


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ([], 0),
        ([("r", 10)], 10),
        ([("c", 10)], 0),
        ([("-", 0)], 0),
        ([(" ", 0)] * 4, 0),
        (TWO_ATTEMPTS, 20),
        ([*TWO_ATTEMPTS, ("u", 30), ("d", 40), ("-", 0), ("c", 50)], 20),
        ([(" ", 0), *TWO_ATTEMPTS, (" ", 0), ("u", 30), ("-", 0), ("-", 0), (" ", 0)], 20),
        ([("r", 10), ("r", 10), (" ", 0), (" ", 0), (" ", 0), ("r", 20), (" ", 0)], 20),
        ([("r", 20), *[("u", 30)] * 20], 20),
        ([("u", 30)] * 20, 0),
        ([("r", 10), *[(" ", 0)] * 30, ("-", 0)], 10),
    ],
)
def test_one_topic(events: Events, wanted: int) -> None:
    assert floor({TOPIC: events}) == wanted
    assert floor({TOPIC: events}, first=1000) == wanted


def test_no_topic() -> None:
    assert floor({}) == 0


def test_a_table_that_was_emptied_between_two_attempts_has_the_floor_of_the_others() -> None:
    assert floor({TOPIC: [("r", 10)] * 5, OTHER: TWO_ATTEMPTS, "empty": []}) == 20


def test_an_incremental_snapshot_is_no_snapshot() -> None:
    """Its rows come between the others, each with an LSN of its own."""
    value = PARCEL.value("r", row(), lsn=99).replace(b"\x0afalse", b"\x16incremental")
    source = MemorySource({TopicPartition(TOPIC, 0): [*records([("r", 10)]), RawRecord(1, None, value)]})
    assert snapshot_floor(source, {TOPIC: 0}, {TOPIC: 2}, SCHEMAS) == 10


def test_unreadable_records_behind_the_snapshot_do_no_harm() -> None:
    junk = [RawRecord(2, None, b"{}"), RawRecord(3, None, b"\x00\x00\x00\x00\x0b"), RawRecord(4, None, b"")]
    source = MemorySource({TopicPartition(TOPIC, 0): [*records([("r", 10), ("r", 20)]), *junk]})
    assert snapshot_floor(source, {TOPIC: 0}, {TOPIC: 5}, SCHEMAS) == 20


def test_what_came_after_the_ends_were_taken_is_not_looked_at() -> None:
    assert floor({TOPIC: [("r", 10), ("r", 10), (" ", 0), ("r", 20)]}, grown=2) == 10


def test_it_can_be_stopped() -> None:
    def stop() -> None:
        raise Cancelled("the operation was cancelled")

    with pytest.raises(Cancelled):
        floor({TOPIC: TWO_ATTEMPTS}, go_on=stop)


def test_a_long_log_needs_few_reads() -> None:
    reads: list[None] = []
    assert floor({TOPIC: [("r", 10)] * 3000 + [("u", 20)] * 2000}, go_on=lambda: reads.append(None)) == 10
    assert len(reads) < 30


SNAPSHOT_PART = st.lists(st.sampled_from(["r", " "]), max_size=12)
STREAMED = st.lists(st.sampled_from(["c", "u", "d", "-", " "]), max_size=12)
ATTEMPTS = st.lists(SNAPSHOT_PART, max_size=3)


@st.composite
def topics(draw: st.DrawFn) -> Events:
    """Attempts at LSN 10, 20, 30, then what was streamed; each maybe compacted away."""
    events = [(op, 10 * n) for n, part in enumerate(draw(ATTEMPTS), 1) for op in part]
    return events + [(op, 100 + n) for n, op in enumerate(draw(STREAMED))]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(topics(), min_size=1, max_size=3), st.integers(0, 5))
def test_halving_finds_what_a_look_at_every_record_finds(logs: list[Events], first: int) -> None:
    by_topic = {f"t{n}": events for n, events in enumerate(logs)}
    wanted = max([lsn for events in logs for op, lsn in events if op == "r"], default=0)
    assert floor(by_topic, first) == wanted
