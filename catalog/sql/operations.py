"""Operations: a queue with leases. Whoever claims an operation works on it until the lease ends; the epoch tells a
late owner that somebody else has taken over."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.functions import coalesce, now

from catalog import models
from catalog.errors import Conflict, NotFound
from catalog.records import Json, OperationKind, OperationMetric, OperationRecord, OperationState
from catalog.sql.session import Database

_Operation = models.Operation


class Operations:
    """Queries on operations and their counts."""

    _db: Database

    def enqueue(
        self, pair: str, kind: OperationKind, tables: Sequence[str], requested_by: str
    ) -> OperationRecord:
        """A new queued operation. Raises NotFound for an unknown pair; Conflict when the pair is being deleted or
        has an unfinished operation of that kind."""
        try:
            with self._db.transaction() as session:
                found = session.get(models.Pair, pair, with_for_update={"read": True})
                if found is None:
                    raise NotFound(f"There is no sync pair {pair}; `terrafusion get pairs` lists them.")
                if found.desired == "deleted":
                    raise Conflict(f"Sync pair {pair} is being deleted; nothing can be started on it.")
                row = _Operation(
                    id=str(uuid.uuid4()), pair=pair, kind=kind, tables=list(tables), requested_by=requested_by
                )
                session.add(row)
                session.flush()
                session.refresh(row)
                return _operation(row)
        except IntegrityError:
            active = self.operations(pair=pair, limit=200)
            ids = [op.id for op in active if op.kind == kind and op.state in ("queued", "running")]
            which = f" ({ids[0]})" if ids else ""
            raise Conflict(
                f"Sync pair {pair} already has an unfinished {kind} operation{which}; wait for it or cancel it."
            ) from None

    def operations(
        self,
        pair: str | None = None,
        state: OperationState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[OperationRecord]:
        """Newest first. `before`: only operations older than the one with that id."""
        query = select(_Operation).order_by(_Operation.number.desc()).limit(limit)
        if pair is not None:
            query = query.where(_Operation.pair == pair)
        if state is not None:
            query = query.where(_Operation.state == state)
        if before is not None:
            query = query.where(
                _Operation.number < select(_Operation.number).where(_Operation.id == before).scalar_subquery()
            )
        with self._db.transaction() as session:
            return [_operation(row) for row in session.scalars(query)]

    def last_operations(self) -> dict[str, OperationRecord]:
        """The newest operation of each pair that has one, by pair."""
        newest = select(func.max(_Operation.number)).group_by(_Operation.pair)
        query = select(_Operation).where(_Operation.number.in_(newest))
        with self._db.transaction() as session:
            return {row.pair: _operation(row) for row in session.scalars(query)}

    def operation(self, id: str) -> OperationRecord:
        """Raises NotFound."""
        with self._db.transaction() as session:
            row = session.get(_Operation, id)
            if row is None:
                raise _no_operation(id)
            return _operation(row)

    def request_cancel(self, id: str) -> OperationRecord:
        """A queued operation is cancelled at once, a running one is asked to stop. Raises NotFound; Conflict when it
        has ended."""
        with self._db.transaction() as session:
            row = session.get(_Operation, id, with_for_update=True)
            if row is None:
                raise _no_operation(id)
            if row.state not in ("queued", "running"):
                raise Conflict(f"Operation {id} has already {row.state}.")
            row.cancel_requested = True
            if row.state == "queued":
                row.state, row.finished_at = "cancelled", now()
            session.flush()
            session.refresh(row)
            return _operation(row)

    def claim_operation(self, owner: str, lease_seconds: float) -> OperationRecord | None:
        """The oldest operation that is queued, or running with a lease that has run out; it becomes `owner`'s for
        `lease_seconds` of the database's time, with an epoch of its own. None when there is nothing to do."""
        free = or_(
            _Operation.state == "queued", and_(_Operation.state == "running", _Operation.lease_until < now())
        )
        candidate = select(_Operation).where(free).order_by(_Operation.number).limit(1)
        with self._db.transaction() as session:
            row = session.scalars(candidate.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            row.state, row.lease_owner, row.lease_epoch = "running", owner, row.lease_epoch + 1
            row.started_at = coalesce(_Operation.started_at, now())
            row.lease_until = now() + timedelta(seconds=lease_seconds)
            session.flush()
            session.refresh(row)
            return _operation(row)

    def renew_lease(self, id: str, owner: str, epoch: int, lease_seconds: float) -> bool:
        """Prolong the lease from now; False when it belongs to somebody else or the operation has ended: stop."""
        values = {"lease_until": now() + timedelta(seconds=lease_seconds)}
        return self._change(id, epoch, values, owner=owner)

    def set_progress(self, id: str, epoch: int, phase: str, progress: Json) -> bool:
        """Report; False (and nothing written) when the lease is no longer the caller's."""
        return self._change(id, epoch, {"phase": phase, "progress": progress})

    def finish_operation(
        self, id: str, epoch: int, state: OperationState, result: Json, error: Json | None
    ) -> bool:
        """End with `succeeded`, `failed` or `cancelled`; False when the lease is no longer the caller's."""
        values = {"state": state, "result": result, "error": error, "finished_at": now(), "lease_until": None}
        return self._change(id, epoch, values)

    def add_operation_metrics(self, metrics: Sequence[OperationMetric]) -> None:
        """Counts per table; the same table again replaces its counts."""
        if not metrics:
            return
        rows = [{("table_name" if k == "table" else k): v for k, v in asdict(m).items()} for m in metrics]
        table = models.OperationMetric.__table__
        statement = insert(models.OperationMetric).values([_by_attribute(row) for row in rows])
        replace = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
        with self._db.transaction() as session:
            session.execute(
                statement.on_conflict_do_update(index_elements=["operation_id", "table_name"], set_=replace)
            )

    def operation_metrics(self, operation_id: str) -> list[OperationMetric]:
        """Counts of an operation by table."""
        query = (
            select(models.OperationMetric)
            .where(models.OperationMetric.operation_id == operation_id)
            .order_by(models.OperationMetric.table)
        )
        with self._db.transaction() as session:
            return [_metric(row) for row in session.scalars(query)]

    def _change(self, id: str, epoch: int, values: dict[str, Any], owner: str | None = None) -> bool:
        mine = [_Operation.id == id, _Operation.lease_epoch == epoch, _Operation.state == "running"]
        if owner is not None:
            mine.append(_Operation.lease_owner == owner)
        with self._db.transaction() as session:
            changed = session.execute(
                update(_Operation).where(*mine).values(**values).returning(_Operation.id)
            )
            return changed.first() is not None


def _no_operation(id: str) -> NotFound:
    return NotFound(f"There is no operation {id}; `terrafusion operations list` shows them.")


def _by_attribute(row: dict[str, Any]) -> dict[str, Any]:
    return {("table" if name == "table_name" else name): value for name, value in row.items()}


def _operation(row: models.Operation) -> OperationRecord:
    return OperationRecord(
        id=row.id,
        pair=row.pair,
        kind=cast("OperationKind", row.kind),
        tables=list(row.tables),
        state=cast("OperationState", row.state),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        phase=row.phase,
        progress=row.progress,
        result=row.result,
        error=row.error,
        cancel_requested=row.cancel_requested,
        lease_owner=row.lease_owner,
        lease_epoch=row.lease_epoch,
        lease_until=row.lease_until,
    )


def _metric(row: models.OperationMetric) -> OperationMetric:
    return OperationMetric(
        operation_id=row.operation_id,
        table=row.table,
        read=row.read,
        inserted=row.inserted,
        updated=row.updated,
        deleted=row.deleted,
        unchanged=row.unchanged,
        dead_letters=row.dead_letters,
        seconds=row.seconds,
        rows_per_s=row.rows_per_s,
    )
