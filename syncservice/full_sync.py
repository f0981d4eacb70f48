"""Full sync: replay the topics into shadow tables beside the live ones, then put them into place (design section 5).

    1. wait    until Debezium's snapshot and everything committed before now is in Kafka
    2. replay  each topic from its start into a shadow table, under a generation of its own
    3. index   give the shadows the live tables' indexes and constraints
    4. compare count what the swap will change
    5. cut over in one transaction: fence first, drain to exactly the live position, swap, move the offsets

Until the last transaction commits, the live tables are served and kept up to date as before; kill -9 at any step
leaves old or new, never a mix. A later run of the same operation starts over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import stamina

from consumers.admin import TopicAdmin
from consumers.changes import SchemaLookup
from consumers.records import TopicPartition
from consumers.source import EventSource
from syncservice.catch_up import CatchUp, Report
from syncservice.errors import Cancelled, Contention, Fenced, Halt, Refused, ResyncRequired
from syncservice.plan import TablePlan
from syncservice.replay import Replay
from syncservice.snapshot_floor import snapshot_floor
from syncservice.targets import shadow as shadows
from syncservice.targets.base import LIVE
from syncservice.targets.connection import Connect, Connection
from syncservice.targets.faults import first_line, translate
from syncservice.targets.generations import Generation, holds_rows, initialised
from syncservice.targets.postgresql import PostgresTarget, prepare_state
from syncservice.targets.tables import merge_reasons
from syncservice.truncates import truncated

WHY_REPLAY = "the topic is compacted, keyed and complete since the connector's own snapshot"


@dataclass(frozen=True)
class Parts:
    """What a full sync is made of."""

    pair: str
    operation: str
    adopt: bool
    connect: Connect
    admin: TopicAdmin
    schemas: SchemaLookup
    open_source: Callable[[], EventSource]
    catch_up: CatchUp
    truncates_topic: str
    snapshot_topics: tuple[str, ...]  # of all tables that the connector's snapshot held
    pair_tables: frozenset[str]  # source tables of the whole pair
    report: Report


@dataclass
class Job:
    """One table on its way."""

    plan: TablePlan
    source_table: str
    shadow: TablePlan
    replay: Replay
    target: PostgresTarget
    source: EventSource
    merge_because: list[str]
    renames: list[tuple[str, str]] = field(default_factory=list)
    difference: shadows.Difference | None = None
    seconds: float = 0.0  # of the replay
    index_seconds: float = 0.0


class FullSync:
    """One full sync of some tables of a pair. `tables`: source "schema.table" → plan, parents first."""

    def __init__(self, parts: Parts, tables: dict[str, TablePlan]) -> None:
        self._parts, self._tables = parts, tables
        self._live, self._generation = Generation(parts.pair, LIVE), Generation(parts.pair, parts.operation)
        self._jobs: list[Job] = []
        self._truncated: dict[str, tuple[int, int]] = {}
        self._truncates_end = 0
        self._swapped = False

    def run(self) -> dict[str, Any]:
        """Do it; the operation's result. Raises SyncError; nothing is left behind then."""
        parts = self._parts
        with parts.connect() as connection:
            self._require_adoptable(connection)
            prepare_state(connection)
            parts.catch_up.wait("snapshot")
            try:
                self._replay(connection)
                self._build(connection)
                self._cut_over(connection)
            except psycopg.Error as error:
                raise translate(error) from error
            finally:
                self._clean_up(connection)
        return self._result()

    # -- before ------------------------------------------------------------------------------------

    def _require_adoptable(self, connection: Connection) -> None:
        """A table that already holds rows which are not this pair's needs `adopt: true`."""
        if self._parts.adopt:
            return
        for plan in self._tables.values():
            if not initialised(connection, self._parts.pair, plan.topic) and holds_rows(connection, plan):
                raise Refused(
                    f"{plan.name} already holds rows that this pair has not written",
                    code="target_not_empty",
                    remedy="Empty the table, or set `adopt: true` in the sync pair to have them replaced.",
                )

    # -- replay ------------------------------------------------------------------------------------

    def _replay(self, connection: Connection) -> None:
        topics = [plan.topic for plan in self._tables.values()]
        ends = self._parts.admin.end_offsets(topics)
        starts = self._parts.admin.beginning_offsets(topics)
        ids = self._parts.admin.topic_ids(topics)
        self._truncated = self._truncates()
        snapshot = self._snapshot_floor()
        self._generation.forget_letters(connection)
        self._parts.report.phase("replay", sum(ends[t] - starts[t] for t in topics))
        for name, plan in self._tables.items():
            floor = max(snapshot, self._truncated.get(name, (0, 0))[0])
            job = self._job(connection, name, plan, ids[plan.topic], starts[plan.topic], floor)
            self._jobs.append(job)
            began = time.monotonic()
            job.replay.run(ends[plan.topic])
            job.seconds = time.monotonic() - began

    def _job(
        self,
        connection: Connection,
        name: str,
        plan: TablePlan,
        topic_id: str,
        start: int,
        floor: int,
    ) -> Job:
        parts = self._parts
        shadow = shadows.shadow_of(plan, parts.operation)
        with connection.transaction():  # the generation's row first: it waits for a cut-over by another run
            connection.execute("SET LOCAL lock_timeout = '60s'")
            self._generation.begin(connection, plan.topic, topic_id, start)
            shadows.create(connection, plan, shadow)
        target = PostgresTarget(parts.connect, parts.pair, parts.operation, generation=parts.operation)
        claim = target.claim({plan.topic: topic_id}, [TopicPartition(plan.topic, 0)])
        source = parts.open_source()

        def need_key() -> None:
            shadows.add_key(connection, shadow)

        report = parts.report
        replay = Replay(
            shadow, claim, source, target, parts.schemas, need_key, report.done, report.cancelled, floor
        )
        return Job(plan, name, shadow, replay, target, source, merge_reasons(connection, plan))

    def _snapshot_floor(self) -> int:
        """LSN of the connector's last snapshot, over all topics of the connector."""
        topics = self._parts.snapshot_topics
        source = self._parts.open_source()
        try:
            admin = self._parts.admin
            starts, ends = admin.beginning_offsets(topics), admin.end_offsets(topics)
            return snapshot_floor(source, starts, ends, self._parts.schemas, self._go_on)
        finally:
            source.close()

    def _go_on(self) -> None:
        if self._parts.report.cancelled():
            raise Cancelled("the operation was cancelled")

    def _truncates(self) -> dict[str, tuple[int, int]]:
        """Source table → LSN and offset of its last truncate. The topic is small: it is read whole."""
        topic = self._parts.truncates_topic
        partition = TopicPartition(topic, 0)
        end = self._truncates_end = self._parts.admin.end_offsets([topic])[topic]
        position = self._parts.admin.beginning_offsets([topic])[topic]
        found: dict[str, tuple[int, int]] = {}
        if position >= end:
            return found
        source = self._parts.open_source()
        try:
            source.seek({partition: position})
            while position < end:
                self._go_on()
                raw = source.poll(1.0, 1000)
                for record in raw.records.get(partition, ()) if raw else ():
                    if (one := truncated(record, self._parts.schemas)) is not None:
                        found[one[0]] = (max(found.get(one[0], (0, 0))[0], one[1]), record.offset)
                position = max(position, raw.next.get(partition, position)) if raw else position
        finally:
            source.close()
        return found

    def _build(self, connection: Connection) -> None:
        self._parts.report.phase("indexes")
        for job in self._jobs:
            began = time.monotonic()
            try:
                job.renames = shadows.build_indexes(connection, job.plan, job.shadow)
            except psycopg.errors.IntegrityError as error:
                raise Halt(
                    f"the source's rows do not satisfy {job.plan.name}: {first_line(error)}",
                    code="target_constraint",
                    remedy="Change the target's constraint or the source's rows, then run the full sync again.",
                ) from error
            job.replay.has_key = True  # the live key's index is among them
            job.index_seconds = time.monotonic() - began
            self._go_on()
        self._parts.report.phase("compare")
        for job in self._jobs:
            job.difference = shadows.difference(connection, job.plan, job.shadow)
            self._go_on()

    # -- cut over ----------------------------------------------------------------------------------

    def _cut_over(self, connection: Connection) -> None:
        self._parts.report.phase("cut over")
        for attempt in stamina.retry_context(on=Contention, attempts=20, timeout=300, wait_max=5):
            with attempt:
                self._go_on()
                self._drain(connection, lock=False)  # most of it, so that the locks below are short
                try:
                    self._swap_all(connection)
                except psycopg.Error as error:
                    raise translate(error) from error

    def _swap_all(self, connection: Connection) -> None:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '2s'")
            self._drain(connection, lock=True)  # before the fence: it applies under the same offset rows
            self._fence(connection)
            self._require_same_topics()
            for job in reversed(self._jobs):
                if job.merge_because:
                    shadows.merge_delete(connection, job.plan, job.shadow)
            for job in self._jobs:
                if job.merge_because:
                    shadows.merge_upsert(connection, job.plan, job.shadow)
                    shadows.drop(connection, job.shadow)
                else:
                    shadows.swap(connection, job.plan, job.shadow, job.renames)
            tables = {job.shadow.name: job.plan.name for job in self._jobs}
            self._generation.become_live(connection, tables)
            self._pass_truncates(connection)
        self._swapped = True

    def _drain(self, connection: Connection, lock: bool) -> None:
        """Bring each shadow to the live position; with `lock`, the live position cannot move any more."""
        for job in sorted(self._jobs, key=lambda j: j.plan.topic):
            topic = job.plan.topic
            position = self._live.position(connection, topic, job.replay.claim.topic_ids[topic], lock=lock)
            if position is not None:
                job.replay.run(position)

    def _fence(self, connection: Connection) -> None:
        """The shadows must still be ours: an owner that was stopped and taken over must not cut over."""
        for job in self._jobs:
            self._require_epoch(connection, job)

    def _require_epoch(self, connection: Connection, job: Job) -> None:
        mine = job.replay.claim.epochs[TopicPartition(job.plan.topic, 0)]
        if self._generation.epoch(connection, job.plan.topic) != mine:
            raise Fenced(
                f"the shadow of {job.plan.name} was taken over by another run of this operation", taken=True
            )

    def _pass_truncates(self, connection: Connection) -> None:
        """What the replay left out need not halt the pair any more, unless other tables are still to be synced."""
        topic = self._parts.truncates_topic
        topic_id = self._parts.admin.topic_ids([topic])[topic]
        position = self._live.position(connection, topic, topic_id, lock=True) or 0
        left = [
            offset
            for table, (_, offset) in self._truncated.items()
            if self._still_truncated(table, offset, position)
        ]
        self._live.begin(connection, topic, topic_id, max(position, min([self._truncates_end, *left])))

    def _still_truncated(self, table: str, offset: int, position: int) -> bool:
        return offset >= position and table in self._parts.pair_tables and table not in self._tables

    def _require_same_topics(self) -> None:
        """Invariant 4: the topics that were replayed are the ones that are there."""
        claimed = {t: id_ for job in self._jobs for t, id_ in job.replay.claim.topic_ids.items()}
        if self._parts.admin.topic_ids(claimed) != claimed:
            raise ResyncRequired("a topic was re-created during the full sync")

    # -- after -------------------------------------------------------------------------------------

    def _clean_up(self, connection: Connection) -> None:
        for job in self._jobs:
            job.source.close()
            job.target.close()
        if connection.closed or connection.broken:
            return  # the next run of this operation drops the shadows first
        with connection.transaction():
            if self._swapped or not self._still_ours(connection):
                return  # nothing of ours is left; what is there is another run's of this operation
            for job in self._jobs:
                shadows.drop(connection, job.shadow)
            self._generation.forget(connection)

    def _still_ours(self, connection: Connection) -> bool:
        try:
            for job in self._jobs:
                self._require_epoch(connection, job)
        except Fenced:
            return False
        return True

    def _result(self) -> dict[str, Any]:
        return {"way": "replay", "why": WHY_REPLAY, "tables": [_row(job) for job in self._jobs]}


def _row(job: Job) -> dict[str, Any]:
    counts = job.difference or shadows.Difference(0, 0, 0, 0)
    return {
        "table": job.plan.name,
        "read": job.replay.read,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "deleted": counts.deleted,
        "unchanged": counts.unchanged,
        "dead_letters": job.replay.dead_letters,
        "seconds": round(job.seconds, 3),
        "index_seconds": round(job.index_seconds, 3),
        "rows_per_s": round(job.replay.read / job.seconds, 1) if job.seconds else 0.0,
        "put_in_place_by": "merge" if job.merge_because else "swap",
        "because": job.merge_because,
    }
