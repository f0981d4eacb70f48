"""The loop that makes what is into what is wanted. Self-healing is this, not a pile of handlers.

Each round reads the desired state from the catalog, and for each sync pair brings connector, first full sync and
apply groups to it. What fails is shown as the pair's state and reason, and tried again in the next round, later each
time. While the catalog is down, what runs goes on running.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from catalog.errors import CatalogUnavailable, Conflict, NotFound
from catalog.records import PairRecord, PairState, SourceRecord, SystemRecord
from consumers.errors import ConsumerError
from syncservice.connect import names
from syncservice.errors import SyncError
from syncservice.faults import as_sync_error
from syncservice.kit import Kit, PairPlan
from syncservice.operations import Operations
from syncservice.pair_runner import GroupThread, PairRunner
from syncservice.pipeline import ApplyGroup
from syncservice.plan import TablePlan
from syncservice.source_keeper import SourceKeeper
from syncservice.table_stats import PairStats
from syncservice.targets.generations import forget_pair
from syncservice.targets.postgresql import PostgresTarget
from syncservice.targets.tables import apply_groups
from syncservice.truncates import TruncateGuard

log = structlog.get_logger(__name__)
ROUND_SECONDS = 1.0
METRIC_SECONDS = 10.0
BACKOFF_MAX = 60.0


@dataclass
class Actual:
    """What this replica runs for a pair."""

    runner: PairRunner | None = None
    stats: PairStats | None = None
    topics: tuple[str, ...] = ()
    state: PairState = "new"
    failures: int = 0
    fault: SyncError | None = None  # why the last round failed; None when it did not
    not_before: float = 0.0
    measured_at: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)


class Reconciler:
    """One replica's loop over all pairs."""

    def __init__(self, kit: Kit, replica: str) -> None:
        self._kit, self._replica = kit, replica
        self._actual: dict[str, Actual] = {}
        self._keepers: dict[str, SourceKeeper] = {}
        self._awake = threading.Event()
        self.operations = Operations(kit, replica, self.applied, self._awake.set)
        self.last_round: float | None = None

    def wake(self) -> None:
        """Start the next round at once."""
        self._awake.set()

    def run(self, stop: threading.Event) -> None:
        """Rounds until `stop`; then stop everything in order."""
        while not stop.is_set():
            try:
                self.round()
                self.operations.tick()
            except CatalogUnavailable as error:
                log.warning("catalog down; running pairs go on", reason=str(error))
            except Exception:
                log.exception("a round failed")
            self.last_round = time.time()
            self._awake.wait(ROUND_SECONDS)
            self._awake.clear()
        self.operations.stop()
        for actual in self._actual.values():
            _stop(actual)

    def round(self) -> None:
        """One look at every pair. Raises CatalogUnavailable."""
        pairs = {pair.name: pair for pair in self._kit.catalog.pairs()}
        for name in [name for name in self._actual if name not in pairs]:
            _stop(self._actual.pop(name))
        for pair in pairs.values():
            self._reconcile(pair, list(pairs.values()))

    def applied(self, pair: str) -> dict[str, int] | None:
        """Topic → next offset to apply; None while the pair does not run here."""
        actual = self._actual.get(pair)
        stats, runner = (actual.stats, actual.runner) if actual else (None, None)
        return stats.offsets() if stats and runner and not runner.trouble() else None

    def keeper(self, system: str) -> SourceKeeper:
        """The keeper of a system's connector. Raises NotFound."""
        record = self._kit.catalog.system(system)
        found = self._keepers.get(system)
        if found is None or found.system.version != record.version:
            found = self._keepers[system] = SourceKeeper(self._kit, record)
        return found

    # -- one pair ----------------------------------------------------------------------------------

    def _reconcile(self, pair: PairRecord, pairs: Sequence[PairRecord]) -> None:
        actual = self._actual.setdefault(pair.name, Actual())
        if pair.state == "preparing" and actual.state in ("halted", "retrying"):
            actual.not_before, actual.failures, actual.fault = 0.0, 0, None  # someone resumed it
            _stop(actual)
        if time.monotonic() < actual.not_before and pair.desired == "running":
            return self._report(pair, actual)
        try:
            self._step(pair, actual, pairs)
            actual.failures, actual.fault = 0, None
        except CatalogUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one pair's trouble must not stop the others
            self._failed(pair, actual, error)
        return None

    def _step(self, pair: PairRecord, actual: Actual, pairs: Sequence[PairRecord]) -> None:
        if pair.desired == "deleted":
            return self._delete(pair, actual, pairs)
        if pair.desired == "paused":
            _stop(actual)
            self._set(pair, actual, "paused", None)
            self._keep_source(pair, pairs)
            return None
        if not pair.initialised:
            _stop(actual)
            self._keep_source(pair, pairs)
            return self._first_full_sync(pair, actual)
        record = self._kit.source_record(pair.spec.source)
        if record is not None and record.captured:  # what is in Kafka is applied whatever the source does
            self._ensure_running(pair, actual, record)
        self._keep_source(pair, pairs)
        return self._report(pair, actual)

    def _ensure_running(self, pair: PairRecord, actual: Actual, record: SourceRecord) -> None:
        version = (pair.version, record.generation)
        if actual.runner is None or actual.runner.version != version:
            _stop(actual)
            self._start(pair, actual, record)

    def _keep_source(self, pair: PairRecord, pairs: Sequence[PairRecord]) -> SourceRecord:
        tables = [
            t.from_
            for p in pairs
            if p.spec.source == pair.spec.source and p.desired != "deleted"
            for t in p.spec.tables
        ]
        return self.keeper(pair.spec.source).keep(tables)

    def _first_full_sync(self, pair: PairRecord, actual: Actual) -> None:
        """A new pair runs a full sync first; when it failed for good, the pair waits for a person."""
        if self.operations.busy(pair.name):
            return self._set(pair, actual, "full_sync", None)
        found = self._kit.catalog.operations(pair=pair.name, limit=20)
        ours = (o for o in found if o.kind == "full" and o.requested_at >= pair.created_at)
        last = next(ours, None)  # not that of a deleted pair of the same name
        asked_again = pair.state == "preparing"
        if last is not None and last.state in ("failed", "cancelled") and not asked_again:
            error = last.error or {}
            reason = f"the first full sync {last.state}: {error.get('message')}. {error.get('remedy')}"
            if error.get("retry") != "timed" or time.time() - _seconds(last.finished_at) < BACKOFF_MAX / 2:
                return self._set(
                    pair, actual, "halted" if error.get("retry") != "timed" else "retrying", reason
                )
        try:
            self._kit.catalog.enqueue(pair.name, "full", [], "system")
        except Conflict:
            log.debug("a full sync is queued already", pair=pair.name)
        return self._set(pair, actual, "full_sync", None)

    def _start(self, pair: PairRecord, actual: Actual, record: SourceRecord) -> None:
        """Start an apply group for each set of tables that belong together, and one that watches truncates."""
        compiled = self._kit.plan(pair.spec, record)
        if compiled.problems:
            raise SyncError(
                "; ".join(str(problem) for problem in compiled.problems),
                code="invalid_pair",
                remedy="Apply a corrected manifest, or bring the databases back in line with it.",
            )
        actual.stats = PairStats(pair.name, list(compiled.tables.values()))
        actual.topics = tuple(plan.topic for plan in compiled.tables.values())
        groups = self._groups(pair, record, compiled, actual.stats)
        actual.runner = PairRunner(pair.name, (pair.version, record.generation), groups)
        actual.runner.start()

    def _groups(
        self, pair: PairRecord, record: SourceRecord, compiled: PairPlan, stats: PairStats
    ) -> list[GroupThread]:
        target = self._kit.catalog.system(pair.spec.target)
        guard = TruncateGuard(
            names.truncates_topic(names.prefix(record.system, record.generation)),
            {source: plan.name for source, plan in compiled.tables.items()},
        )
        groups = [
            self._group(pair, target, f"terrafusion.{pair.name}.{plans[0].name}", plans, None, stats)
            for plans in apply_groups(list(compiled.tables.values()), compiled.foreign_keys)
        ]
        return [*groups, self._group(pair, target, f"terrafusion.{pair.name}.truncates", [], guard, stats)]

    def _group(
        self,
        pair: PairRecord,
        target: SystemRecord,
        group: str,
        plans: list[TablePlan],
        guard: TruncateGuard | None,
        stats: PairStats,
    ) -> GroupThread:
        topics = [plan.topic for plan in plans] + ([guard.topic] if guard else [])
        connect = self._kit.connect(target.spec, f"apply {pair.name}")

        def build() -> ApplyGroup:
            return ApplyGroup(
                plans,
                self._kit.group_source(group, topics),
                PostgresTarget(connect, pair.name, self._replica),
                self._kit.schemas,
                self._kit.admin.topic_ids,
                stats,
                guard,
            )

        return GroupThread(pair.name, topics, build)

    def _delete(self, pair: PairRecord, actual: Actual, pairs: Sequence[PairRecord]) -> None:
        """Stop, forget the pair's state in the target, remove the connector with its last pair, forget the pair."""
        self._set(pair, actual, "deleting", None)
        for operation in self._kit.catalog.operations(pair=pair.name, state="queued"):
            self._kit.catalog.request_cancel(operation.id)
        for operation in self._kit.catalog.operations(pair=pair.name, state="running"):
            self._kit.catalog.request_cancel(operation.id)
            return
        _stop(actual)
        self._forget_state(pair)
        if not any(p.name != pair.name and p.spec.source == pair.spec.source for p in pairs):
            self.keeper(pair.spec.source).remove()
            self._keepers.pop(pair.spec.source, None)
        self._kit.catalog.forget_pair(pair.name)
        self._actual.pop(pair.name, None)

    def _forget_state(self, pair: PairRecord) -> None:
        target = self._kit.catalog.system(pair.spec.target)
        with self._kit.connect(target.spec, "delete")() as connection:
            forget_pair(connection, pair.name)

    # -- what is shown -----------------------------------------------------------------------------

    def _report(self, pair: PairRecord, actual: Actual) -> None:
        """State and live status of a pair that runs, or should."""
        if actual.runner is not None:
            error = actual.fault or actual.runner.trouble()
            if error is None:
                self._set(pair, actual, "running", None)
            else:
                self._trouble(pair, actual, error)
        if actual.stats is not None and actual.runner is not None:
            status = actual.stats.report(self._ends(actual), actual.runner.states())
            keeper = self._keepers.get(pair.spec.source)
            status |= {"connector": keeper.show() if keeper else None, "replica": self._replica}
            self._kit.catalog.set_pair_status(pair.name, status)
            self._measure(pair, actual, status)

    def _ends(self, actual: Actual) -> dict[str, int]:
        try:
            actual.ends = self._kit.admin.end_offsets(actual.topics)
        except ConsumerError as error:
            log.debug("no end offsets", reason=str(error))
        return actual.ends

    def _measure(self, pair: PairRecord, actual: Actual, status: dict[str, Any]) -> None:
        if time.monotonic() - actual.measured_at < METRIC_SECONDS:
            return
        actual.measured_at = time.monotonic()
        for table in status["tables"]:
            self._kit.catalog.add_pair_metric(
                pair.name,
                table["table"],
                datetime.now(UTC),
                table["records"],
                table["rows_per_s"],
                table["lag_records"] or 0,
                table["lag_seconds"],
                table["dead_letters"],
            )

    def _failed(self, pair: PairRecord, actual: Actual, error: Exception) -> None:
        fault = as_sync_error(error)
        if fault.code == "internal":
            log.exception("reconcile failed", pair=pair.name)
        actual.failures, actual.fault = actual.failures + 1, fault
        actual.not_before = time.monotonic() + min(BACKOFF_MAX, 2.0 ** min(actual.failures, 6))
        self._trouble(pair, actual, fault)

    def _trouble(self, pair: PairRecord, actual: Actual, error: SyncError) -> None:
        """Show what is wrong; into the error log once a change of state."""
        if actual.state not in ("halted", "retrying"):
            self._kit.catalog.record_error(
                pair.name, None, error.code, error.message, error.remedy, error.retry
            )
        state: PairState = "halted" if error.retry != "timed" else "retrying"
        self._set(pair, actual, "deleting" if pair.desired == "deleted" else state, _reason(error))

    def _set(self, pair: PairRecord, actual: Actual, state: PairState, reason: str | None) -> None:
        if (pair.state, pair.reason) != (state, reason):
            try:
                self._kit.catalog.set_pair_state(pair.name, state, reason)
            except NotFound:
                log.debug("the pair is gone", pair=pair.name)
        if actual.state != state:
            log.info("pair", pair=pair.name, state=state, reason=reason)
        actual.state = state


def _stop(actual: Actual) -> None:
    if actual.runner is not None:
        actual.runner.stop()
    actual.runner, actual.stats = None, None


def _reason(error: SyncError) -> str:
    return f"{error.message}. {error.remedy}"


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0
