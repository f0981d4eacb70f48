"""A full sync over logs in memory into a real PostgreSQL: no broker, no connector."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from consumers.admin import TopicAdmin
from consumers.records import RawBatch, RawRecord, TopicPartition
from consumers.source import EventSource, MemorySource
from syncservice.catch_up import CatchUp
from syncservice.full_sync import FullSync, Parts
from syncservice.plan import TablePlan
from syncservice.prepare import prepare
from syncservice.targets.base import LIVE, Applied, Claim
from syncservice.targets.connection import Connect
from syncservice.targets.postgresql import PostgresTarget, prepare_state
from tests.histories import OWNER, PARCEL, SCHEMAS
from tests.records import Log, Row, Writer, batch_of

TRUNCATES = "pacs-1.truncates"
PARCEL_DDL = """
CREATE TABLE {s}.parcel (id integer PRIMARY KEY, name text, note text, tags text[], area bigint NOT NULL CHECK (area >= 0))
"""
OWNER_DDL = "CREATE TABLE {s}.owner (town text, nr bigint, name text, note bytea, PRIMARY KEY (town, nr))"
Records = dict[TopicPartition, list[RawRecord]]


def parcel(number: int, area: int = 1, **values: Any) -> Row:
    """A row of public.parcel."""
    return {"id": number, "name": None, "note": None, "tags": None, "area": area} | values


class GrowingSource(MemorySource):
    """A MemorySource over logs that go on growing, and whose end is passed at the broker's end offset, as in Kafka."""

    def __init__(self, logs: Records, ends: Callable[[Iterable[str]], Mapping[str, int]]) -> None:
        super().__init__({})
        self.logs, self._broker = logs, ends

    def poll(self, timeout: float, max_records: int) -> RawBatch | None:
        """See EventSource.poll."""
        found = super().poll(timeout, max_records)
        if found is None or not found.ends:
            return found
        (partition,) = found.ends
        start, end = self._next[partition], self._broker([partition.topic])[partition.topic]
        if start >= end:
            return found
        self._next[partition] = end
        return RawBatch({}, {partition: start}, {partition: end}, found.ends)


@dataclass
class Broker:
    """What a full sync asks a TopicAdmin, over logs in memory. `ends` and `ids` override what the logs say."""

    logs: Records = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def end_offsets(self, topics: Iterable[str]) -> dict[str, int]:
        """See TopicAdmin.end_offsets."""
        return {topic: self.ends.get(topic, self._end(topic)) for topic in topics}

    def _end(self, topic: str) -> int:
        records = self.logs.get(TopicPartition(topic, 0), [])
        return records[-1].offset + 1 if records else 0

    def beginning_offsets(self, topics: Iterable[str]) -> dict[str, int]:
        """See TopicAdmin.beginning_offsets."""
        return dict.fromkeys(topics, 0)

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """See TopicAdmin.topic_ids."""
        return {topic: self.ids.get(topic, f"id-{topic}") for topic in topics}

    def source(self) -> EventSource:
        """A consumer without a group."""
        return GrowingSource(self.logs, self.end_offsets)


@dataclass
class Hooks:
    """A Report that does something at the start of a phase."""

    at: dict[str, Callable[[], object]] = field(default_factory=dict)
    phases: list[str] = field(default_factory=list)
    rows: int = 0
    stopped: bool = False

    def phase(self, name: str, total: int | None = None) -> None:
        """See catch_up.Report."""
        self.phases.append(name)
        self.at.get(name, lambda: None)()

    def done(self, rows: int) -> None:
        """See catch_up.Report."""
        self.rows += rows

    def cancelled(self) -> bool:
        """See catch_up.Report."""
        return self.stopped


class FullSyncLab:
    """One pair over public.parcel and public.owner, in a schema of its own."""

    numbers = itertools.count()

    def __init__(self, connect: Connect, ddl: str = PARCEL_DDL, tables: Sequence[Writer] = (PARCEL,)) -> None:
        number = next(self.numbers)
        self.connect, self.admin = connect, connect()
        self.pair, self.schema = f"pair-{number}", f"s{number}"
        self.admin.execute(f"CREATE SCHEMA {self.schema}".encode())
        self.run_sql(ddl)
        prepare_state(self.admin)
        self.logs = {writer.table: Log(writer) for writer in tables}
        self.broker = Broker({log.partition: log.records for log in self.logs.values()})
        self.truncates = self.broker.logs[TopicPartition(TRUNCATES, 0)] = []
        self.plans = {f"public.{w.table}": w.plan(self.schema) for w in tables}
        self.hooks = Hooks()
        self._targets: list[PostgresTarget] = []

    # -- source ------------------------------------------------------------------------------------

    @property
    def log(self) -> Log:
        """The topic of public.parcel."""
        return self.logs["parcel"]

    def event(self, op: str, row: Row, lsn: int, table: str = "parcel") -> RawRecord:
        """A record with an LSN of its own."""
        log = self.logs[table]
        full = row if op != "d" else None
        return log.raw(log.writer.key_of(row), log.writer.value(op, full, None, lsn=lsn))

    def truncate(self, lsn: int, writer: Writer = PARCEL) -> None:
        """TRUNCATE of a source table."""
        self.truncates.append(RawRecord(len(self.truncates), None, writer.value("t", lsn=lsn)))

    # -- full sync ---------------------------------------------------------------------------------

    def full_sync(
        self,
        operation: str = "op-1",
        tables: Sequence[str] | None = None,
        hooks: Hooks | None = None,
        adopt: bool = False,
    ) -> FullSync:
        """One run, not started."""
        return FullSync(self.parts(operation, hooks or self.hooks, adopt), self._chosen(tables))

    def _chosen(self, tables: Sequence[str] | None) -> dict[str, TablePlan]:
        return {name: plan for name, plan in self.plans.items() if tables is None or name in tables}

    def parts(self, operation: str = "op-1", hooks: Hooks | None = None, adopt: bool = False) -> Parts:
        """What it is made of."""
        report, admin = hooks or self.hooks, cast(TopicAdmin, self.broker)
        topics = tuple(plan.topic for plan in self.plans.values())
        caught_up = CatchUp(
            lambda _: 1, lambda: 1, lambda: True, lambda: 0, lambda: None, admin, topics, report
        )
        return Parts(
            pair=self.pair,
            operation=operation,
            adopt=adopt,
            connect=self.connect,
            admin=admin,
            schemas=SCHEMAS,
            open_source=self.broker.source,
            catch_up=caught_up,
            truncates_topic=TRUNCATES,
            snapshot_topics=topics,
            pair_tables=frozenset(self.plans),
            report=report,
        )

    def sync(self, **how: Any) -> dict[str, Any]:
        """Run one; the result of its first table."""
        found: dict[str, Any] = self.full_sync(**how).run()["tables"][0]
        return found

    # -- the live road -----------------------------------------------------------------------------

    def live(self, writer: Writer = PARCEL) -> Live:
        """An applier of one table's topic, with its claim."""
        target = PostgresTarget(self.connect, self.pair, "live")
        self._targets.append(target)
        return Live(self, writer, target)

    def begin(self, position: int = 0, topic: str = PARCEL.topic) -> None:
        """A live position, as an earlier full sync left it."""
        self.admin.execute(
            "INSERT INTO terrafusion.offsets (pair, generation, topic, topic_id, partition, next_offset) "
            "VALUES (%s, 'live', %s, %s, 0, %s)",
            (self.pair, topic, f"id-{topic}", position),
        )

    # -- target ------------------------------------------------------------------------------------

    def run_sql(self, text: str) -> None:
        """Statements in which `{s}` is the lab's schema."""
        self.admin.execute(text.replace("{s}", self.schema).encode())

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query in which `{s}` is the lab's schema."""
        return self.admin.execute(query.replace("{s}", self.schema).encode(), values or None).fetchall()

    def rows(self, table: str = "parcel", columns: str = "id, name, note, area") -> list[tuple[Any, ...]]:
        """All rows, in the order of the first column."""
        return self.ask(f"SELECT {columns} FROM {{s}}.{table} ORDER BY 1")

    def offsets(self, generation: str = LIVE) -> dict[str, int]:
        """topic → next to read."""
        found = self.ask(
            "SELECT topic, next_offset FROM terrafusion.offsets WHERE pair = %s AND generation = %s",
            self.pair,
            generation,
        )
        return {str(topic): int(position) for topic, position in found}

    def letters(self, generation: str = LIVE) -> dict[int, str]:
        """Offset → code, of all tables."""
        query = 'SELECT "offset", code FROM terrafusion.dead_letters WHERE pair = %s AND generation = %s'
        return dict(self.ask(query, self.pair, generation))

    def leftovers(self) -> list[str]:
        """What a full sync must not leave behind: shadow tables, and rows of other generations than the live one."""
        found = self.ask("SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename LIKE '%%\\_\\_tf\\_%%'", self.schema)  # fmt: skip
        for state in ("offsets", "dead_letters", "parked_keys"):
            query = f"SELECT '{state} ' || generation FROM terrafusion.{state} WHERE pair = %s AND generation <> 'live'"
            found += self.ask(query, self.pair)
        return [str(row[0]) for row in found]

    def indexes(self, table: str = "parcel") -> dict[str, str]:
        """Index → definition."""
        query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s"
        return dict(self.ask(query, self.schema, table))

    def oid(self, table: str = "parcel") -> int:
        """Which table bears the name: a swap changes it."""
        return int(self.ask(f"SELECT '{{s}}.{table}'::regclass::oid")[0][0])

    def close(self) -> None:
        """Close everything."""
        for target in self._targets:
            target.close()
        self.admin.close()


class Live:
    """The live road of one table, one batch at a time."""

    def __init__(self, lab: FullSyncLab, writer: Writer, target: PostgresTarget) -> None:
        self._lab, self._log, self.target = lab, lab.logs[writer.table], target
        self._plan = lab.plans[f"public.{writer.table}"]
        self.claim: Claim = self.again()

    def again(self) -> Claim:
        """Claim (again); the position is the claim's."""
        topic = self._log.writer.topic
        self.claim = self.target.claim(self._lab.broker.topic_ids([topic]), [self._log.partition])
        self.position = self.claim.next[self._log.partition]
        return self.claim

    def apply(self, most: int = 1000) -> Applied:
        """The next records in one batch. Raises what the target raises."""
        partition = self._log.partition
        records = [r for r in self._log.records if r.offset >= self.position][:most]
        raw = batch_of({partition: records}, {partition: self.position})
        batch = prepare(raw, [self._plan], self.claim.parked, SCHEMAS)
        applied = self.target.apply(self.claim, batch, lambda: None)
        self.position = raw.next[partition]
        return applied


__all__ = ["OWNER", "OWNER_DDL", "PARCEL", "PARCEL_DDL", "TRUNCATES", "Broker", "FullSyncLab", "Hooks", "Live", "parcel"]  # fmt: skip
