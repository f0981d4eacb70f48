"""Read this first: the road of a change event from Kafka to the target.

    read      one batch of raw records of the group's topics            consumers/source.py
    prepare   decode → park → compact → encode, columns not rows        consumers/changes.py, prepare.py
    apply     one transaction: rows, dead letters, offsets              targets/postgresql.py

An apply group is one thread and one Kafka consumer group. While a batch is in the database, the next one is
read and prepared by a second thread (polars, pgpq, librdkafka and libpq release the GIL).

Nothing here keeps a position: on assignment the group claims its partitions in the target, which says where
to go on (design section 4). After any failure it claims again; it never guesses what a lost COMMIT did.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import stamina

from consumers.changes import SchemaLookup
from consumers.records import RawBatch, TopicPartition
from consumers.source import EventSource, Positions
from syncservice.errors import Contention, Fenced, ResyncRequired
from syncservice.faults import as_sync_error
from syncservice.plan import TablePlan
from syncservice.prepare import prepare
from syncservice.targets.base import Applied, Batch, Claim, ParkedKeys, Target, union
from syncservice.truncates import TruncateGuard

MAX_RECORDS = 20_000
POLL_SECONDS = 0.25

OpenSource = Callable[[Callable[[Sequence[TopicPartition]], Positions], Callable[[], None]], EventSource]
TopicIds = Callable[[Sequence[str]], Mapping[str, str]]


class Observer(Protocol):
    """Told what an apply group did; must not block."""

    def claimed(self, claim: Claim) -> None:
        """The partitions are ours from here."""
        ...

    def applied(self, batch: Batch, applied: Applied) -> None:
        """A batch has been committed."""
        ...


@dataclass(frozen=True)
class Ready:
    """A prepared batch, the claim it was prepared under, and the topics' ids asked after its last poll."""

    batch: Batch
    claim: Claim
    topic_ids: Future[Mapping[str, str]]


class ApplyGroup:
    """Applies the changes of some tables, in order, once. `run` is its whole life."""

    def __init__(
        self,
        plans: Sequence[TablePlan],
        open_source: OpenSource,
        target: Target,
        schemas: SchemaLookup,
        topic_ids: TopicIds,
        observer: Observer,
        guard: TruncateGuard | None = None,
    ) -> None:
        self._plans, self._target, self._schemas = tuple(plans), target, schemas
        self._open_source, self._topic_ids, self._observer = open_source, topic_ids, observer
        self._guard = guard
        self._topics = [p.topic for p in self._plans] + ([guard.topic] if guard else [])
        self._claim: Claim | None = None
        self._claimed: Callable[[], None] = lambda: None
        self._applying = threading.RLock()  # held while a batch is in the database

    def run(self, stop: threading.Event, claimed: Callable[[], None] = lambda: None) -> None:
        """Apply until `stop` is set; `claimed` is called with each claim that succeeds.

        Raises SyncError when it cannot go on; the caller runs it again.
        """
        self._claimed = claimed
        with ThreadPoolExecutor(2, "read") as pool:
            source = self._open_source(self._take_over, self._give_up)
            try:
                self._loop(source, pool, stop)
            finally:
                source.close()
                self._target.close()

    def _loop(self, source: EventSource, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        upcoming = pool.submit(self._read, source, pool)
        try:
            while not stop.is_set():
                ready = upcoming.result()
                upcoming = pool.submit(self._read, source, pool)
                if ready is not None and not self._apply(ready):
                    upcoming.result()
                    source.seek(self._take_over(list(self._claim.epochs if self._claim else ())))
                    upcoming = pool.submit(self._read, source, pool)
        finally:
            upcoming.cancel()
            upcoming.exception() if not upcoming.cancelled() else None

    # -- read and prepare (second thread) ----------------------------------------------------------

    def _read(self, source: EventSource, pool: ThreadPoolExecutor) -> Ready | None:
        with translated():
            raw = source.poll(POLL_SECONDS, MAX_RECORDS)
            claim = self._claim
            if raw is None or not raw.next or claim is None:
                return None
            topic_ids = pool.submit(self._topic_ids, self._topics)
            if self._guard:
                self._guard.check(raw, self._schemas)
            return Ready(self._prepared(raw, claim.parked), claim, topic_ids)

    def _prepared(self, raw: RawBatch, parked: ParkedKeys) -> Batch:
        return prepare(raw, self._plans, parked, self._schemas)

    # -- apply (first thread) ----------------------------------------------------------------------

    def _apply(self, ready: Ready) -> bool:
        """Apply a batch, or drop one of an older claim; False when a full sync has moved the position under us.

        Raises Fenced when another owner has taken over: then the group must be left, not fought for.
        """
        with self._applying, translated():
            claim = self._claim
            if claim is None or claim.epochs != ready.claim.epochs:
                return True
            batch = ready.batch
            if batch.parked is not claim.parked:  # a key was parked since this batch was prepared
                batch = self._prepared(batch.raw, claim.parked)
            try:
                applied = self._in_one_transaction(claim, batch, ready)
            except Fenced as fenced:
                if fenced.taken:
                    raise
                return False
            if applied.newly_parked:
                self._claim = replace(claim, parked=union(claim.parked, applied.newly_parked))
            self._observer.applied(batch, applied)
            return True

    @stamina.retry(on=Contention, attempts=8, timeout=60, wait_initial=0.05, wait_max=5)
    def _in_one_transaction(self, claim: Claim, batch: Batch, ready: Ready) -> Applied:
        def confirm() -> None:
            """Invariant 4: a re-created topic's records never reach the target under the old offsets."""
            if dict(ready.topic_ids.result()) != dict(claim.topic_ids):
                raise ResyncRequired("a topic was re-created while its changes were being applied")

        began = time.monotonic()
        applied = self._target.apply(claim, batch, confirm)
        return replace(applied, seconds=time.monotonic() - began)

    # -- ownership (inside poll, on the second thread) ---------------------------------------------

    def _take_over(self, partitions: Sequence[TopicPartition]) -> Positions:
        with self._applying:
            self._claim = self._target.claim(self._topic_ids(self._topics), partitions)
            self._observer.claimed(self._claim)
            self._claimed()
            return self._claim.next

    def _give_up(self) -> None:
        """Wait for the batch in the database, then own nothing. The fence holds without this, too."""
        with self._applying:
            self._claim = None


@contextmanager
def translated() -> Iterator[None]:
    """Every error as a SyncError, as the reconcile loop knows them."""
    try:
        yield
    except Exception as error:
        raise as_sync_error(error) from error
