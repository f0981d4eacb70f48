"""Operations: full, incremental, verify. Each is claimed from the catalog under a lease and runs in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import structlog

from catalog.errors import CatalogUnavailable
from catalog.records import (
    ACTIVE_STATES,
    Json,
    OperationMetric,
    OperationRecord,
    OperationState,
    PairRecord,
    SourceRecord,
)
from consumers.admin import TopicAdmin
from syncservice import metrics
from syncservice.catch_up import CatchUp, Report
from syncservice.connect import names
from syncservice.errors import Halt, Refused, SyncError
from syncservice.faults import as_sync_error
from syncservice.full_sync import FullSync, Parts
from syncservice.kit import Kit, PairPlan
from syncservice.operation_report import LEASE_SECONDS, OperationReport
from syncservice.plan import TablePlan
from syncservice.sources.reader import Reader, Side
from syncservice.sources.tables import ColumnInfo
from syncservice.targets.tables import apply_groups, base_type
from syncservice.verify import result_of, verify_table

log = structlog.get_logger(__name__)
Applied = Callable[[str], dict[str, int] | None]  # pair → topic → applied offset; None: the pair does not run


class Operations:
    """Claims and runs operations, at most `limit` at once."""

    def __init__(
        self, kit: Kit, owner: str, applied: Applied, wake: Callable[[], None], limit: int = 2
    ) -> None:
        self._kit, self._owner, self._applied, self._wake, self._limit = kit, owner, applied, wake, limit
        self._running: dict[str, tuple[threading.Thread, OperationReport]] = {}

    def tick(self) -> None:
        """Forget what has ended; claim and start what is waiting. Raises CatalogUnavailable."""
        self._running = {k: v for k, v in self._running.items() if v[0].is_alive()}
        while len(self._running) < self._limit:
            operation = self._kit.catalog.claim_operation(self._owner, LEASE_SECONDS)
            if operation is None:
                return
            report = OperationReport(self._kit.catalog, operation, self._owner)
            thread = threading.Thread(
                target=self._run, args=(operation, report), name=f"operation-{operation.kind}", daemon=True
            )
            self._running[operation.id] = (thread, report)
            thread.start()

    def busy(self, pair: str) -> bool:
        """Whether an operation of this pair is waiting or running anywhere."""
        return any(self._kit.catalog.operations(pair=pair, state=state, limit=1) for state in ACTIVE_STATES)

    def stop(self) -> None:
        """Ask all to stop; another replica, or the next start, does them again from the beginning."""
        for _, report in self._running.values():
            report.stop()
        for thread, _ in self._running.values():
            thread.join(10)

    # -- one operation -----------------------------------------------------------------------------

    def _run(self, operation: OperationRecord, report: OperationReport) -> None:
        structlog.contextvars.bind_contextvars(operation=operation.id, pair=operation.pair)
        began = time.monotonic()
        state: OperationState = "succeeded"
        result: Json = {}
        error: Json | None = None
        with report:
            try:
                result = self._do(operation, report)
            except BaseException as caught:  # noqa: BLE001 - a panic in polars is no Exception
                if report.interrupted:
                    log.warning("operation left to another run", kind=operation.kind, reason=str(caught))
                    return
                state, error = self._failure(operation, caught)
        seconds = time.monotonic() - began
        log.info("operation ended", kind=operation.kind, state=state, seconds=round(seconds, 3), error=error)
        metrics.OPERATIONS.labels(operation.pair, operation.kind, state).inc()
        metrics.OPERATION_SECONDS.labels(operation.pair, operation.kind).observe(seconds)
        self._finish(operation, state, result, error)

    def _failure(self, operation: OperationRecord, caught: BaseException) -> tuple[OperationState, Json]:
        fault = as_sync_error(caught)
        if fault.code == "internal":
            log.exception("operation failed")
        error = {"code": fault.code, "message": fault.message, "remedy": fault.remedy, "retry": fault.retry}
        if fault.code == "cancelled":
            return "cancelled", error
        try:
            self._kit.catalog.record_error(
                operation.pair, operation.id, fault.code, fault.message, fault.remedy, fault.retry
            )
        except CatalogUnavailable:
            log.warning("error not recorded: the catalog is down", **error)
        return "failed", error

    def _finish(
        self, operation: OperationRecord, state: OperationState, result: Json, error: Json | None
    ) -> None:
        """Write the outcome, waiting for the catalog when it is down."""
        for _ in range(150):
            try:
                catalog = self._kit.catalog
                if catalog.finish_operation(operation.id, operation.lease_epoch, state, result, error):
                    catalog.add_operation_metrics(_metrics(operation, result))
                break
            except CatalogUnavailable:
                time.sleep(2)
        self._wake()

    def _do(self, operation: OperationRecord, report: Report) -> Json:
        pair = self._kit.catalog.pair(operation.pair)
        record = self._kit.source_record(pair.spec.source)
        if record is None or not record.captured:
            raise Refused(
                f"the source {pair.spec.source} has no connector yet",
                code="not_prepared",
                remedy="Wait until the pair's state is past `preparing` (`terrafusion status PAIR` says what it waits for).",
            )
        plan = self._kit.plan(pair.spec, record)
        if plan.problems:
            raise Refused(str(plan.problems[0]), code="invalid_pair", remedy="Apply a corrected manifest.")
        chosen = _chosen(pair, plan, operation.tables)
        if operation.kind == "full":
            return self._full(operation, pair, record, plan, chosen, report)
        if operation.kind == "incremental":
            return self._incremental(pair, record, chosen, report)
        if self._applied(pair.name) is not None:  # let what is on its way arrive first
            self._incremental(pair, record, chosen, report)
        return self._verify(pair, chosen, report)

    def _full(
        self,
        operation: OperationRecord,
        pair: PairRecord,
        record: SourceRecord,
        plan: PairPlan,
        chosen: dict[str, TablePlan],
        report: Report,
    ) -> Json:
        require_replay(record, chosen)
        target = self._kit.catalog.system(pair.spec.target).spec
        groups = apply_groups(list(chosen.values()), plan.foreign_keys)
        by_plan = {table.name: source for source, table in chosen.items()}
        ordered = {by_plan[table.name]: table for group in groups for table in group}
        parts = Parts(
            pair=pair.name,
            operation=operation.id,
            adopt=pair.spec.adopt,
            connect=self._kit.connect(target, f"full sync {pair.name}"),
            admin=self._kit.admin,
            schemas=self._kit.schemas,
            open_source=self._kit.replay_source,
            catch_up=self._catch_up(pair, record, chosen, report),
            truncates_topic=names.truncates_topic(names.prefix(record.system, record.generation)),
            snapshot_topics=tuple(
                names.table_topic(names.prefix(record.system, record.generation), table)
                for table, captured in record.captured.items()
                if captured.get("since") == "initial"
            ),
            pair_tables=frozenset(plan.tables),
            report=report,
        )
        result = FullSync(parts, ordered).run()
        if set(chosen) == set(plan.tables):
            self._kit.catalog.set_pair_initialised(pair.name, True)
        if self._kit.catalog.pair(pair.name).state == "halted":
            self._kit.catalog.set_pair_state(pair.name, "preparing", None)  # what it halted for may be mended
        return result

    def _incremental(
        self, pair: PairRecord, record: SourceRecord, chosen: dict[str, TablePlan], report: Report
    ) -> Json:
        catch_up = self._catch_up(pair, record, chosen, report)
        before = self._applied(pair.name) or {}
        ends = catch_up.wait("wait for the source")
        catch_up.wait_applied(ends, lambda: self._applied(pair.name))
        tables = [
            {"table": plan.name, "read": max(0, ends[plan.topic] - before.get(plan.topic, ends[plan.topic]))}
            for plan in chosen.values()
        ]
        return {"way": "catch-up", "tables": tables}

    def _verify(self, pair: PairRecord, chosen: dict[str, TablePlan], report: Report) -> Json:
        source_spec = self._kit.catalog.system(pair.spec.source).spec
        target_spec = self._kit.catalog.system(pair.spec.target).spec
        source = self._kit.source(source_spec)
        report.phase("verify", source.rows_estimate(list(chosen)))
        results = []
        with (
            self._kit.connect(source_spec, f"verify {pair.name}")() as ours,
            self._kit.connect(target_spec, f"verify {pair.name}")() as theirs,
        ):
            for from_, plan in chosen.items():
                schema, table = from_.split(".", 1)
                columns = {c.name: c for c in source.table(schema, table).columns}
                one, other = _sides(schema, table, plan, columns)
                results.append(verify_table(plan.name, Reader(ours, one), Reader(theirs, other), report))
        return result_of(results)

    def _catch_up(
        self, pair: PairRecord, record: SourceRecord, chosen: dict[str, TablePlan], report: Report
    ) -> CatchUp:
        system = self._kit.catalog.system(pair.spec.source)
        connector = self._kit.source_connector(system)
        source = self._kit.source(system.spec)
        admin: TopicAdmin = self._kit.admin
        return CatchUp(
            emit_marker=source.emit_marker,
            committed_lsn=lambda: connector.committed_lsn(record),
            snapshot_done=lambda: connector.snapshot_done(record),
            trouble=lambda: _trouble(pair.spec.source, self._kit),
            rows_expected=lambda: source.rows_estimate(list(chosen)),
            admin=admin,
            topics=tuple(plan.topic for plan in chosen.values()),
            report=report,
        )


def _trouble(system: str, kit: Kit) -> SyncError | None:
    """The escalated condition of a source's connector, as the reconcile loop recorded it."""
    record = kit.source_record(system)
    for condition in record.conditions if record else []:
        if condition.get("escalated"):
            return Halt(condition["message"], code=condition["code"], remedy=condition["remedy"])
    return None


def require_replay(record: SourceRecord, chosen: dict[str, TablePlan]) -> None:
    """A replay rebuilds a table only when its topic holds every row since the connector's snapshot. Raises Refused."""
    if late := late_tables(record, chosen):
        raise Refused(
            f"{', '.join(late)} joined the connector {record.connector} after its snapshot: the topic does not hold "
            "the rows that were there before",
            code="replay_incomplete",
            remedy=start_over(record.system),
        )


def late_tables(record: SourceRecord, tables: Iterable[str]) -> list[str]:
    """Source tables whose rows of before the connector's snapshot are not in their topics."""
    return [table for table in tables if record.captured.get(table, {}).get("since") != "initial"]


def start_over(system: str) -> str:
    """What brings a late table in, as long as tables cannot be extracted one by one."""
    return (
        f"Delete all pairs of system {system} and apply them again in one go (a new generation takes a "
        "snapshot of every table); extracting a table by itself is not supported yet."
    )


def _chosen(pair: PairRecord, plan: PairPlan, tables: list[str]) -> dict[str, TablePlan]:
    chosen = {source: table for source, table in plan.tables.items() if not tables or table.name in tables}
    if not chosen:
        raise Refused(
            f"the pair {pair.name} has none of these tables: {', '.join(tables)}", code="unknown_table"
        )
    return chosen


def _sides(schema: str, table: str, plan: TablePlan, columns: dict[str, ColumnInfo]) -> tuple[Side, Side]:
    """Source and target of a plan as comparable sides."""
    by_field = {names.field_name(name): column for name, column in columns.items()}
    sources = [by_field[c.source] for c in plan.columns]
    casts = tuple(
        "" if base_type(s.type) == c.type else c.type for s, c in zip(sources, plan.columns, strict=True)
    )
    by_target = {c.target: (s, c.type) for s, c in zip(sources, plan.columns, strict=True)}
    key_types = tuple(by_target[name][1] for name in plan.key)
    ours = Side(
        schema,
        table,
        tuple(s.name for s in sources),
        tuple(by_target[k][0].name for k in plan.key),
        key_types,
        casts,
    )
    theirs = Side(
        plan.schema,
        plan.table,
        tuple(c.target for c in plan.columns),
        plan.key,
        key_types,
        ("",) * len(casts),
    )
    return ours, theirs


def _metrics(operation: OperationRecord, result: Json) -> list[OperationMetric]:
    if operation.kind != "full":
        return []
    return [
        OperationMetric(
            operation_id=operation.id,
            table=row["table"],
            read=row["read"],
            inserted=row["inserted"],
            updated=row["updated"],
            deleted=row["deleted"],
            unchanged=row["unchanged"],
            dead_letters=row["dead_letters"],
            seconds=row["seconds"],
            rows_per_s=row["rows_per_s"],
        )
        for row in result.get("tables", [])
    ]
