"""An apply group from its source to its target: ownership, retries, errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import stamina

from consumers.changes import SchemaLookup
from consumers.errors import KafkaUnavailable, OffsetOutOfRange
from consumers.records import RawBatch, TopicPartition
from consumers.source import EventSource, Positions
from schemas.registry import RegistryUnavailable
from syncservice.errors import Contention, Halt, KafkaDown, RegistryDown, ResyncRequired, SyncError
from syncservice.pipeline import ApplyGroup
from syncservice.targets.base import Applied, Batch, Claim
from syncservice.targets.memory import MemoryDatabase, MemoryTarget, Offset
from syncservice.truncates import TruncateGuard
from tests.histories import PARCEL, PLANS, SCHEMAS, TOPIC_IDS, database
from tests.records import CutSource, Log, Row

PARTITION = TopicPartition(PARCEL.topic, 0)
pytestmark = pytest.mark.timeout(60)


def parcel(number: int, name: str | None = None, area: int = 1) -> Row:
    return {"id": number, "name": name, "note": None, "tags": None, "area": area}


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    stamina.set_testing(True, attempts=3)
    yield
    stamina.set_testing(False)


class Target(MemoryTarget):
    """The twin, with a hook at the start of each apply."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.before: Callable[[], None] = lambda: None
        self.closed = False

    def apply(self, claim: Claim, batch: Batch, confirm: Callable[[], None]) -> Applied:
        self.before()
        return super().apply(claim, batch, confirm)

    def close(self) -> None:
        super().close()
        self.closed = True


class Source(CutSource):
    """Remembers that it was closed; `fail` is raised by the first poll."""

    fail: Exception | None = None
    closed = False

    def poll(self, timeout: float, max_records: int) -> RawBatch | None:
        if self.fail is not None:
            raise self.fail
        return super().poll(timeout, max_records)

    def close(self) -> None:
        super().close()
        self.closed = True


@dataclass
class Lab:
    """One group over one topic, from its log to a database in memory."""

    size: int = 100
    log: Log = field(default_factory=lambda: Log(PARCEL))
    found: MemoryDatabase = field(default_factory=database)
    schemas: SchemaLookup = SCHEMAS
    guard: TruncateGuard | None = None
    ids: dict[str, str] = field(default_factory=lambda: dict(TOPIC_IDS))
    applied_batches: list[Batch] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    revoke: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.target, self.stop = Target(self.found), threading.Event()
        self.partitions = [PARTITION]
        self.source = Source({PARTITION: self.log.records}, lambda: self.size, self.idle)

    def idle(self) -> None:
        """Nothing left to read: stop once it is applied."""
        if self.found.offsets[PARTITION].next >= self.log.next:
            self.stop.set()

    def claimed(self, claim: Claim) -> None:
        self.claims.append(claim)

    def applied(self, batch: Batch, applied: Applied) -> None:
        self.applied_batches.append(batch)

    def open(
        self, on_assign: Callable[[Sequence[TopicPartition]], Positions], on_revoke: Callable[[], None]
    ) -> EventSource:
        self.revoke = on_revoke
        self.source._inner.logs[PARTITION] = self.log.records
        self.source.seek(on_assign(self.partitions))
        return self.source

    def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str]:
        return {topic: self.ids[topic] for topic in topics}

    def run(self) -> None:
        """The group's life."""
        ApplyGroup(PLANS[:1], self.open, self.target, self.schemas, self.topic_ids, self, self.guard).run(
            self.stop
        )

    def names(self) -> dict[int, Any]:
        """id → name."""
        return {key[0]: row["name"] for key, row in self.found.rows.get("cama.parcel", {}).items()}


def test_changes_reach_the_target_and_the_observer_is_told() -> None:
    lab = Lab(size=2)
    for number in range(5):
        lab.log.upsert(parcel(number, str(number)), "c")
    lab.run()
    assert lab.names() == {n: str(n) for n in range(5)}
    assert [batch.raw.count for batch in lab.applied_batches] == [2, 2, 1]
    assert [claim.next for claim in lab.claims] == [{PARTITION: 0}]
    assert (lab.source.closed, lab.target.closed) == (True, True)


def test_it_goes_on_where_the_target_says() -> None:
    lab = Lab()
    lab.found.offsets[PARTITION] = Offset("id-parcel", 3)
    for number in range(5):
        lab.log.upsert(parcel(number), "c")
    lab.run()
    assert set(lab.names()) == {3, 4}


def test_case_38_a_topic_recreated_after_the_claim_never_reaches_the_target() -> None:
    lab = Lab()
    lab.log.upsert(parcel(1), "c")

    def recreate(claim: Claim) -> None:
        lab.ids[PARCEL.topic] = "another"

    lab.claimed = recreate  # type: ignore[method-assign]
    with pytest.raises(ResyncRequired):
        lab.run()
    assert (lab.names(), lab.found.offsets[PARTITION].next) == ({}, 0)


def test_case_37_contention_is_tried_again_and_then_given_up() -> None:
    lab, tries = Lab(), []
    lab.log.upsert(parcel(1), "c")

    def busy() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise Contention("deadlock")

    lab.target.before = busy
    lab.run()
    assert (len(tries), set(lab.names())) == (3, {1})

    lab = Lab()
    lab.log.upsert(parcel(1), "c")
    lab.target.before = lambda: (_ for _ in ()).throw(Contention("deadlock"))
    with pytest.raises(Contention):
        lab.run()
    assert (lab.source.closed, lab.target.closed) == (True, True)


def test_a_fenced_group_claims_again_and_reads_from_there() -> None:
    lab = Lab(size=1)
    for number in range(4):
        lab.log.upsert(parcel(number), "c")
    rivals = iter([False, True, False, True])

    def rival() -> None:
        if next(rivals, False):
            MemoryTarget(lab.found).claim(TOPIC_IDS, [PARTITION])

    lab.target.before = rival
    lab.run()
    assert set(lab.names()) == {0, 1, 2, 3}
    assert len(lab.claims) == 3
    assert [b.start[PARTITION] for b in lab.applied_batches] == [0, 1, 2, 3]


def test_a_batch_prepared_before_its_key_was_parked_is_prepared_again() -> None:
    lab = Lab(size=1)
    lab.found.refuse = lambda _, row: "negative" if row["area"] < 0 else None
    lab.log.upsert(parcel(1, "bad", -1), "c")
    lab.log.upsert(parcel(1, "good"))
    lab.log.upsert(parcel(2, "other"), "c")
    lab.run()
    assert lab.names() == {2: "other"}
    assert [letter.code for letter in lab.found.letters.values()] == ["target_refused", "parked"]


def test_a_revoked_group_applies_nothing_more() -> None:
    lab = Lab(size=1)
    for number in range(3):
        lab.log.upsert(parcel(number), "c")
    real = lab.applied

    def told(batch: Batch, applied: Applied) -> None:
        real(batch, applied)
        lab.revoke()
        threading.Timer(0.1, lab.stop.set).start()

    lab.applied = told  # type: ignore[method-assign]
    lab.run()
    assert set(lab.names()) == {0}


def test_revoking_waits_for_the_batch_in_the_database() -> None:
    lab = Lab()
    lab.log.upsert(parcel(1), "c")
    order: list[str] = []

    def revoke() -> None:
        lab.revoke()
        order.append("revoked")

    thread = threading.Thread(target=revoke)

    def slow() -> None:
        thread.start()
        thread.join(0.1)
        order.append("applied")

    lab.target.before = slow
    threading.Timer(1, lab.stop.set).start()
    lab.run()
    thread.join()
    assert order == ["applied", "revoked"]
    assert set(lab.names()) == {1}


def test_case_17_a_truncate_halts_the_group() -> None:
    guard = TruncateGuard("pacs-1.truncates", {"public.parcel": "cama.parcel"})
    lab = Lab(guard=guard)
    there = TopicPartition(guard.topic, 0)
    lab.ids[guard.topic] = "id-truncates"
    lab.found.begin(lab.ids, {there: 0})
    lab.partitions = [PARTITION, there]
    truncates = Log(PARCEL)
    truncates.raw(None, PARCEL.value("t", lsn=5))
    lab.source._inner.logs[there] = truncates.records
    with pytest.raises(Halt) as halted:
        lab.run()
    assert halted.value.code == "truncated"
    assert lab.found.offsets[there].next == 0


class Silent:
    """A registry that does not answer."""

    def __call__(self, schema_id: int) -> Any:
        raise RegistryUnavailable("no answer")

    def latest(self, topic: str) -> Any:
        raise RegistryUnavailable("no answer")


@pytest.mark.parametrize(
    ("failure", "wanted"),
    [
        (KafkaUnavailable("no broker"), KafkaDown),
        (OffsetOutOfRange("gone"), ResyncRequired),
        (RuntimeError("odd"), SyncError),
    ],
)
def test_case_36_errors_of_the_source_have_a_code_and_a_remedy(
    failure: Exception, wanted: type[SyncError]
) -> None:
    lab = Lab()
    lab.source.fail = failure
    with pytest.raises(wanted) as error:
        lab.run()
    assert error.value.remedy
    assert (lab.source.closed, lab.target.closed) == (True, True)


def test_case_26_a_registry_that_is_down_is_waited_for_and_nothing_is_at_fault() -> None:
    lab = Lab(schemas=Silent())
    lab.log.upsert(parcel(1), "c")
    with pytest.raises(RegistryDown) as error:
        lab.run()
    assert error.value.retry == "timed"
    assert (lab.found.letters, lab.found.offsets[PARTITION].next) == ({}, 0)


@pytest.mark.parametrize("code", ["unknown_schema", "schema_change"])
def test_cases_23_and_26_schemas_that_cannot_be_used_halt(code: str) -> None:
    lab = Lab()
    if code == "unknown_schema":
        lab.log.raw(b'{"id":1}', b"\x00\x00\x00\x00\x63\x00")
    else:
        lab.log.raw(b'{"id":1}', b"\x00\x00\x00\x00\x0c\x00")  # the other table's schema: no such columns
    with pytest.raises(Halt) as halted:
        lab.run()
    assert halted.value.code == code
    assert (lab.found.letters, lab.found.offsets[PARTITION].next) == ({}, 0)


def test_a_claim_that_fails_ends_the_group() -> None:
    lab = Lab()
    lab.found.offsets.clear()
    with pytest.raises(ResyncRequired):
        lab.run()
