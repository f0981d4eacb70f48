"""However a history is cut into batches, and whatever fails on the way: the rows are those of one event at a time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from consumers.records import RawBatch, TopicPartition
from consumers.source import EventSource, Positions
from syncservice.errors import Contention, SyncError, TargetUnavailable
from syncservice.pipeline import ApplyGroup
from syncservice.prepare import prepare
from syncservice.targets.base import Applied, Batch, Claim, union
from syncservice.targets.memory import MemoryDatabase, MemoryTarget
from tests.histories import JUNK, PLANS, SCHEMAS, TOPIC_IDS, History, check, database, histories
from tests.records import CutSource, batch_of, cut

SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=8)
FAULTS = st.lists(
    st.sampled_from(["", "", "before", "after", "contention", "fenced", "taken over", "revoked"]), max_size=12
)


@pytest.fixture(autouse=True, scope="module")
def no_backoff() -> Iterator[None]:
    """Retries of contention do not wait."""
    stamina.set_testing(True, attempts=8)
    yield
    stamina.set_testing(False)


def apply_all(found: MemoryDatabase, batches: Iterator[RawBatch]) -> None:
    """prepare and apply, one batch after another."""
    target = MemoryTarget(found)
    claim = target.claim(TOPIC_IDS, [TopicPartition(topic, 0) for topic in TOPIC_IDS])
    parked = claim.parked
    for raw in batches:
        applied = target.apply(claim, prepare(raw, PLANS, parked, SCHEMAS), lambda: None)
        parked = union(parked, applied.newly_parked)


@given(histories(), SIZES)
def test_any_cut_gives_the_rows_of_one_event_at_a_time(history: History, sizes: list[int]) -> None:
    found, size = database(), itertools.cycle(sizes)
    apply_all(found, cut(history.records, lambda: next(size)))
    check(found, history)


@given(histories(most=60))
def test_case_15_everything_in_one_batch(history: History) -> None:
    found = database()
    filled = {tp: records for tp, records in history.records.items() if records}
    if filled:
        apply_all(found, iter([batch_of(filled)]))
        check(found, history)


@given(histories(JUNK), SIZES)
def test_case_49_unreadable_events_park_their_keys_whatever_the_cut(
    history: History, sizes: list[int]
) -> None:
    found, size = database(), itertools.cycle(sizes)
    apply_all(found, cut(history.records, lambda: next(size)))
    check(found, history)


class Watch:
    """Observer that stops a group after so many batches."""

    def __init__(self, stop: threading.Event, batches: int | None = None) -> None:
        self._stop, self._left = stop, batches

    def claimed(self, claim: Claim) -> None:
        """See pipeline.Observer."""

    def applied(self, batch: Batch, applied: Applied) -> None:
        """See pipeline.Observer."""
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._stop.set()


class Rebalanced:
    """A source whose group is rebalanced inside some polls, as Kafka's consumers are."""

    def __init__(
        self, inner: CutSource, script: Iterator[bool], revoke: Callable[[], None], assign: Callable[[], None]
    ) -> None:
        self._inner, self._script, self._revoke, self._assign = inner, script, revoke, assign
        self.seek, self.close = inner.seek, inner.close

    def poll(self, timeout: float, max_records: int) -> RawBatch | None:
        """See EventSource.poll."""
        if next(self._script, False):
            self._revoke()
            self._assign()
        return self._inner.poll(timeout, max_records)


class Group:
    """Starts apply groups over one history and one database, each over sessions of its own."""

    def __init__(
        self, history: History, found: MemoryDatabase, sizes: Sequence[int], rebalances: Iterator[bool]
    ) -> None:
        self._history, self.database, self._sizes = history, found, itertools.cycle(sizes)
        self._rebalances = rebalances

    def run(self, target: MemoryTarget, batches: int | None = None) -> None:
        """One life of a group: to the end of the logs, or for so many batches."""
        stop = threading.Event()

        def idle() -> None:
            if all(self.database.offsets[tp].next >= end for tp, end in self._history.ends.items()):
                stop.set()

        def open_source(
            on_assign: Callable[[Sequence[TopicPartition]], Positions], on_revoke: Callable[[], None]
        ) -> EventSource:
            source = CutSource(self._history.records, lambda: next(self._sizes), idle)

            def assign() -> None:
                source.seek(on_assign(list(self._history.records)))

            assign()
            return Rebalanced(source, self._rebalances, on_revoke, assign)

        ApplyGroup(PLANS, open_source, target, SCHEMAS, lambda _: TOPIC_IDS, Watch(stop, batches)).run(stop)


class FaultyTarget(MemoryTarget):
    """Fails as the script says, one entry an apply."""

    def __init__(self, group: Group, script: Iterator[str]) -> None:
        super().__init__(group.database)
        self._group, self._script = group, script

    def apply(self, claim: Claim, batch: Batch, confirm: Callable[[], None]) -> Applied:
        """See Target.apply."""
        match next(self._script, ""):
            case "before":
                raise TargetUnavailable("killed before COMMIT")
            case "after":
                super().apply(claim, batch, confirm)
                raise TargetUnavailable("the reply to COMMIT was lost")
            case "contention":
                raise Contention("deadlock")
            case "fenced":
                MemoryTarget(self.database).claim(TOPIC_IDS, list(self.database.offsets))
            case "taken over":
                self._group.run(MemoryTarget(self.database), batches=2)
            case "revoked":
                self.close()  # the session was ended by someone
        return super().apply(claim, batch, confirm)


@given(histories(JUNK, most=25), SIZES, FAULTS, st.lists(st.booleans(), max_size=10))
def test_case_35_crashes_and_rivals_lose_and_double_nothing(
    history: History, sizes: list[int], faults: list[str], rebalances: list[bool]
) -> None:
    found, script = database(), iter(faults)
    group = Group(history, found, sizes, iter(rebalances))
    for _ in range(len(faults) + 1):
        try:
            group.run(FaultyTarget(group, script))
            break
        except SyncError as error:
            assert error.retry == "timed"
    check(found, history)
