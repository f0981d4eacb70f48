"""The catalog's twin in memory, for tests: same promises, no database. One contract suite runs against both.

`unavailable = True` makes every call raise CatalogUnavailable, as a database that is down would.
"""

from __future__ import annotations

import copy
import itertools
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from catalog.errors import CatalogUnavailable, Conflict, NotFound, VersionMismatch
from catalog.fingerprint import fingerprint_of
from catalog.records import (
    ACTIVE_STATES,
    Desired,
    ErrorRecord,
    Json,
    KeyRecord,
    OperationKind,
    OperationMetric,
    OperationRecord,
    OperationState,
    PairMetric,
    PairRecord,
    PairState,
    Scope,
    SourceRecord,
    SystemRecord,
)
from catalog.specs import SyncPairSpec, SystemSpec


class MemoryCatalog:
    """A `CatalogStore` that lives as long as the process."""

    def __init__(self) -> None:
        self.unavailable = False
        self._lock = threading.RLock()
        self._systems: dict[str, SystemRecord] = {}
        self._sources: dict[str, SourceRecord] = {}
        self._generations: dict[str, int] = {}
        self._pairs: dict[str, PairRecord] = {}
        self._samples: list[PairMetric] = []
        self._operations: dict[str, OperationRecord] = {}
        self._metrics: dict[tuple[str, str], OperationMetric] = {}
        self._errors: list[ErrorRecord] = []
        self._error_ids = itertools.count(1)
        self._keys: dict[str, KeyRecord] = {}

    @contextmanager
    def _transaction(self) -> Iterator[datetime]:
        with self._lock:
            if self.unavailable:
                raise CatalogUnavailable("The catalog does not answer (it was switched off by a test).")
            yield datetime.now(UTC)

    def migrate(self) -> None:
        with self._transaction():
            pass

    def ping(self) -> None:
        with self._transaction():
            pass

    def close(self) -> None:
        """Nothing to close."""

    # systems and sources

    def systems(self) -> list[SystemRecord]:
        with self._transaction():
            return [self._systems[name] for name in sorted(self._systems)]

    def system(self, name: str) -> SystemRecord:
        with self._transaction():
            if name not in self._systems:
                raise NotFound(f"There is no system {name}; `terrafusion get systems` lists them.")
            return self._systems[name]

    def put_system(self, name: str, spec: SystemSpec, if_version: int | None = None) -> SystemRecord:
        with self._transaction() as now:
            old = self._systems.get(name)
            _check_version("System", name, old.version if old else 0, if_version)
            if old is None:
                self._systems[name] = SystemRecord(name, spec, 1, now, now)
            elif old.spec != spec:
                self._systems[name] = replace(old, spec=spec, version=old.version + 1, updated_at=now)
            return self._systems[name]

    def delete_system(self, name: str) -> None:
        with self._transaction():
            self.system(name)
            users = sorted(p.name for p in self._pairs.values() if name in (p.spec.source, p.spec.target))
            if users:
                raise Conflict(f"System {name} is used by {', '.join(users)}; delete the sync pair first.")
            if name in self._sources:
                raise Conflict(
                    f"System {name} still has a connector that is being removed; try again in a moment."
                )
            del self._systems[name]

    def sources(self) -> list[SourceRecord]:
        with self._transaction():
            return [copy.deepcopy(self._sources[name]) for name in sorted(self._sources)]

    def source(self, system: str) -> SourceRecord:
        with self._transaction():
            if system not in self._sources:
                raise NotFound(f"System {system} has no connector.")
            return copy.deepcopy(self._sources[system])

    def put_source(self, record: SourceRecord) -> SourceRecord:
        with self._transaction() as now:
            self.system(record.system)
            self._sources[record.system] = replace(copy.deepcopy(record), updated_at=now)
            return self.source(record.system)

    def forget_source(self, system: str) -> None:
        with self._transaction():
            self._sources.pop(system, None)

    def next_generation(self, system: str) -> int:
        with self._transaction():
            self._generations[system] = self._generations.get(system, 0) + 1
            return self._generations[system]

    # sync pairs

    def pairs(self) -> list[PairRecord]:
        with self._transaction():
            return [self.pair(name) for name in sorted(self._pairs)]

    def pair(self, name: str) -> PairRecord:
        with self._transaction():
            if name not in self._pairs:
                raise NotFound(f"There is no sync pair {name}; `terrafusion get pairs` lists them.")
            return copy.deepcopy(self._pairs[name])

    def put_pair(self, name: str, spec: SyncPairSpec, if_version: int | None = None) -> PairRecord:
        with self._transaction() as now:
            for system in (spec.source, spec.target):
                if system not in self._systems:
                    raise NotFound(f"There is no system {system}; apply it first.")
            old = self._pairs.get(name)
            _check_version("Sync pair", name, old.version if old else 0, if_version)
            if old is None:
                self._pairs[name] = PairRecord(
                    name, spec, 1, "running", "new", None, {}, None, False, created_at=now, updated_at=now
                )
            elif old.desired == "deleted":
                raise _being_deleted(name)
            elif old.spec != spec:
                self._pairs[name] = replace(old, spec=spec, version=old.version + 1, updated_at=now)
            return self.pair(name)

    def set_desired(self, name: str, desired: Desired) -> PairRecord:
        with self._transaction():
            old = self.pair(name)
            if old.desired == "deleted" and desired != "deleted":
                raise _being_deleted(name)
            self._pairs[name] = replace(old, desired=desired)
            return self.pair(name)

    def set_pair_state(self, name: str, state: PairState, reason: str | None = None) -> None:
        with self._transaction():
            self._pairs[name] = replace(self.pair(name), state=state, reason=reason)

    def set_pair_initialised(self, name: str, initialised: bool) -> None:
        with self._transaction():
            self._pairs[name] = replace(self.pair(name), initialised=initialised)

    def set_pair_status(self, name: str, status: Json) -> None:
        with self._transaction() as now:
            self._pairs[name] = replace(self.pair(name), status=copy.deepcopy(status), status_at=now)

    def forget_pair(self, name: str) -> None:
        with self._transaction() as now:
            self._pairs.pop(name, None)
            for op in list(self._operations.values()):
                if op.pair == name and op.state in ACTIVE_STATES:
                    self._operations[op.id] = replace(
                        op, state="cancelled", finished_at=now, lease_epoch=op.lease_epoch + 1
                    )
            self._samples = [sample for sample in self._samples if sample.pair != name]

    def add_pair_metric(
        self,
        pair: str,
        table: str,
        at: datetime,
        records: int,
        rows_per_s: float,
        lag_records: int,
        lag_seconds: float | None,
        dead_letters: int,
    ) -> None:
        sample = PairMetric(pair, table, at, records, rows_per_s, lag_records, lag_seconds, dead_letters)
        with self._transaction() as now:
            kept = now - timedelta(days=7)
            self._samples = [old for old in self._samples if old.at >= kept] + [sample]

    def pair_metrics(self, pair: str, since: datetime) -> list[PairMetric]:
        with self._transaction():
            found = [sample for sample in self._samples if sample.pair == pair and sample.at >= since]
            return sorted(found, key=lambda sample: sample.at)[:10_000]

    # operations

    def enqueue(
        self, pair: str, kind: OperationKind, tables: Sequence[str], requested_by: str
    ) -> OperationRecord:
        with self._transaction() as now:
            if self.pair(pair).desired == "deleted":
                raise Conflict(f"Sync pair {pair} is being deleted; nothing can be started on it.")
            for op in self._operations.values():
                if (op.pair, op.kind) == (pair, kind) and op.state in ACTIVE_STATES:
                    raise Conflict(
                        f"Sync pair {pair} already has an unfinished {kind} operation ({op.id}); "
                        "wait for it or cancel it."
                    )
            new = OperationRecord(str(uuid.uuid4()), pair, kind, list(tables), "queued", requested_by, now)
            self._operations[new.id] = new
            return new

    def operations(
        self,
        pair: str | None = None,
        state: OperationState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[OperationRecord]:
        with self._transaction():
            newest_first = list(reversed(self._operations.values()))
            if before is not None:
                ids = [op.id for op in newest_first]
                newest_first = newest_first[ids.index(before) + 1 :] if before in ids else []
            found = [op for op in newest_first if pair in (None, op.pair) and state in (None, op.state)]
            return copy.deepcopy(found[:limit])

    def last_operations(self) -> dict[str, OperationRecord]:
        with self._transaction():
            return copy.deepcopy({op.pair: op for op in self._operations.values()})

    def operation(self, id: str) -> OperationRecord:
        with self._transaction():
            if id not in self._operations:
                raise NotFound(f"There is no operation {id}; `terrafusion operations list` shows them.")
            return copy.deepcopy(self._operations[id])

    def request_cancel(self, id: str) -> OperationRecord:
        with self._transaction() as now:
            op = self.operation(id)
            if op.state not in ACTIVE_STATES:
                raise Conflict(f"Operation {id} has already {op.state}.")
            op = replace(op, cancel_requested=True)
            self._operations[id] = (
                replace(op, state="cancelled", finished_at=now) if op.state == "queued" else op
            )
            return self.operation(id)

    def claim_operation(self, owner: str, lease_seconds: float) -> OperationRecord | None:
        with self._transaction() as now:
            for op in self._operations.values():
                expired = op.state == "running" and op.lease_until is not None and op.lease_until < now
                if op.state == "queued" or expired:
                    self._operations[op.id] = replace(
                        op,
                        state="running",
                        lease_owner=owner,
                        lease_epoch=op.lease_epoch + 1,
                        started_at=op.started_at or now,
                        lease_until=now + timedelta(seconds=lease_seconds),
                    )
                    return self.operation(op.id)
            return None

    def renew_lease(self, id: str, owner: str, epoch: int, lease_seconds: float) -> bool:
        with self._transaction() as now:
            op = self._mine(id, epoch)
            if op is None or op.lease_owner != owner:
                return False
            self._operations[id] = replace(op, lease_until=now + timedelta(seconds=lease_seconds))
            return True

    def set_progress(self, id: str, epoch: int, phase: str, progress: Json) -> bool:
        with self._transaction():
            op = self._mine(id, epoch)
            if op is not None:
                self._operations[id] = replace(op, phase=phase, progress=copy.deepcopy(progress))
            return op is not None

    def finish_operation(
        self, id: str, epoch: int, state: OperationState, result: Json, error: Json | None
    ) -> bool:
        with self._transaction() as now:
            op = self._mine(id, epoch)
            if op is not None:
                self._operations[id] = replace(
                    op,
                    state=state,
                    result=copy.deepcopy(result),
                    error=copy.deepcopy(error),
                    finished_at=now,
                    lease_until=None,
                )
            return op is not None

    def add_operation_metrics(self, metrics: Sequence[OperationMetric]) -> None:
        with self._transaction():
            self._metrics |= {(metric.operation_id, metric.table): metric for metric in metrics}

    def operation_metrics(self, operation_id: str) -> list[OperationMetric]:
        with self._transaction():
            return [self._metrics[key] for key in sorted(self._metrics) if key[0] == operation_id]

    def _mine(self, id: str, epoch: int) -> OperationRecord | None:
        op = self._operations.get(id)
        return op if op is not None and op.state == "running" and op.lease_epoch == epoch else None

    # errors

    def record_error(
        self, pair: str | None, operation_id: str | None, code: str, message: str, remedy: str, retry: str
    ) -> ErrorRecord:
        with self._transaction() as now:
            fingerprint = fingerprint_of(pair, code, message)
            same = [
                e
                for e in self._errors
                if e.fingerprint == fingerprint and now - e.last_at < timedelta(hours=1)
            ]
            old = same[-1] if same else None
            new = ErrorRecord(
                id=old.id if old else next(self._error_ids),
                first_at=old.first_at if old else now,
                last_at=now,
                count=old.count + 1 if old else 1,
                pair=pair,
                operation_id=operation_id,
                code=code,
                message=message,
                remedy=remedy,
                retry=retry,
                fingerprint=fingerprint,
            )
            self._errors = [e for e in self._errors if e is not old] + [new]
            return new

    def errors(
        self, pair: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[ErrorRecord]:
        with self._transaction():
            found = [e for e in self._errors if pair in (None, e.pair) and (before is None or e.id < before)]
            return sorted(found, key=lambda e: -e.id)[:limit]

    # keys

    def add_key(
        self,
        id: str,
        name: str,
        hash: str,
        scopes: Sequence[Scope],
        pairs: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> KeyRecord:
        with self._transaction() as now:
            if id in self._keys:
                raise Conflict(f"There is already a key {id}.")
            limited = None if pairs is None else tuple(pairs)
            self._keys[id] = KeyRecord(id, name, hash, tuple(scopes), limited, now, expires_at)
            return self._keys[id]

    def keys(self) -> list[KeyRecord]:
        with self._transaction():
            return list(self._keys.values())

    def key(self, id: str) -> KeyRecord:
        with self._transaction():
            if id not in self._keys:
                raise NotFound(f"There is no key {id}; `terrafusion keys list` shows them.")
            return self._keys[id]

    def touch_key(self, id: str) -> None:
        with self._transaction() as now:
            if id in self._keys:
                self._keys[id] = replace(self._keys[id], last_used_at=now)

    def revoke_key(self, id: str) -> KeyRecord:
        with self._transaction() as now:
            old = self.key(id)
            self._keys[id] = replace(old, revoked_at=old.revoked_at or now)
            return self._keys[id]


def _check_version(kind: str, name: str, version: int, expected: int | None) -> None:
    if expected is not None and expected != version:
        now_is = f"is at version {version}" if version else "does not exist"
        raise VersionMismatch(
            f"{kind} {name} {now_is}, not at version {expected}; read it again, then repeat."
        )


def _being_deleted(name: str) -> Conflict:
    return Conflict(f"Sync pair {name} is being deleted; wait until it is gone, then apply it again.")
