"""Sync pairs: what is wanted, what is, and their samples."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import now

from catalog import models
from catalog.errors import Conflict, NotFound
from catalog.records import ACTIVE_STATES, Desired, Json, PairMetric, PairRecord, PairState
from catalog.specs import SyncPairSpec
from catalog.sql.session import Database
from catalog.sql.systems import check_version

METRICS_KEPT = timedelta(days=7)
_PRUNE_EVERY_S = 60.0


class Pairs:
    """Queries on sync pairs."""

    _db: Database
    _pruned_at: float = 0.0

    def pairs(self) -> list[PairRecord]:
        """All pairs by name, those being deleted too."""
        with self._db.transaction() as session:
            return [_pair(row) for row in session.scalars(select(models.Pair).order_by(models.Pair.name))]

    def pair(self, name: str) -> PairRecord:
        """One pair. Raises NotFound."""
        with self._db.transaction() as session:
            return _pair(_get(session, name))

    def put_pair(self, name: str, spec: SyncPairSpec, if_version: int | None = None) -> PairRecord:
        """Create (desired: running, state: new) or replace the spec; an equal spec changes nothing. Raises
        VersionMismatch unless the version is `if_version` (0: must not exist yet), NotFound for an unknown system,
        Conflict while the pair is being deleted."""
        document = spec.model_dump(mode="json", by_alias=True)
        with self._db.transaction() as session:
            for system in {spec.source, spec.target}:
                if session.get(models.System, system, with_for_update={"read": True}) is None:
                    raise NotFound(f"There is no system {system}; apply it first.")
            row = session.get(models.Pair, name, with_for_update=True)
            check_version("Sync pair", name, row.version if row else 0, if_version)
            if row is None:
                session.execute(
                    insert(models.Pair)
                    .values(name=name, spec=document, source=spec.source, target=spec.target, status={})
                    .on_conflict_do_nothing()
                )
                row = _get(session, name, lock=True)
            if row.desired == "deleted":
                raise Conflict(
                    f"Sync pair {name} is being deleted; wait until it is gone, then apply it again."
                )
            if row.spec != document:
                row.spec, row.source, row.target = document, spec.source, spec.target
                row.version, row.updated_at = row.version + 1, now()
            session.flush()
            session.refresh(row)
            return _pair(row)

    def set_desired(self, name: str, desired: Desired) -> PairRecord:
        """What the reconcile loop shall reach. Raises NotFound; Conflict to bring back a pair being deleted."""
        with self._db.transaction() as session:
            row = _get(session, name, lock=True)
            if row.desired == "deleted" and desired != "deleted":
                raise Conflict(
                    f"Sync pair {name} is being deleted; wait until it is gone, then apply it again."
                )
            row.desired = desired
            session.flush()
            return _pair(row)

    def set_pair_state(self, name: str, state: PairState, reason: str | None = None) -> None:
        """What is. Raises NotFound."""
        self._update(name, state=state, reason=reason)

    def set_pair_initialised(self, name: str, initialised: bool) -> None:
        """Whether the first full sync is done. Raises NotFound."""
        self._update(name, initialised=initialised)

    def set_pair_status(self, name: str, status: Json) -> None:
        """The live report; `status_at` becomes the database's now. Raises NotFound."""
        self._update(name, status=status, status_at=now())

    def forget_pair(self, name: str) -> None:
        """The last step of a deletion: the record goes, its operations stay as history (unfinished ones as
        cancelled). Unknown is fine."""
        with self._db.transaction() as session:
            session.execute(delete(models.Pair).where(models.Pair.name == name))
            session.execute(
                update(models.Operation)
                .where(models.Operation.pair == name, models.Operation.state.in_(ACTIVE_STATES))
                .values(state="cancelled", finished_at=now(), lease_epoch=models.Operation.lease_epoch + 1)
            )
            session.execute(delete(models.PairMetric).where(models.PairMetric.pair == name))

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
        """One sample of a table; samples are kept seven days. `at` with zone."""
        sample = models.PairMetric(
            pair=pair,
            table=table,
            at=at,
            records=records,
            rows_per_s=rows_per_s,
            lag_records=lag_records,
            lag_seconds=lag_seconds,
            dead_letters=dead_letters,
        )
        with self._db.transaction() as session:
            session.add(sample)
            if time.monotonic() - self._pruned_at > _PRUNE_EVERY_S:
                session.execute(delete(models.PairMetric).where(models.PairMetric.at < now() - METRICS_KEPT))
                self._pruned_at = time.monotonic()

    def pair_metrics(self, pair: str, since: datetime) -> list[PairMetric]:
        """Samples of a pair from `since` on, oldest first, at most 10,000."""
        query = (
            select(models.PairMetric)
            .where(models.PairMetric.pair == pair, models.PairMetric.at >= since)
            .order_by(models.PairMetric.at, models.PairMetric.id)
            .limit(10_000)
        )
        with self._db.transaction() as session:
            return [_metric(row) for row in session.scalars(query)]

    def _update(self, name: str, **values: object) -> None:
        with self._db.transaction() as session:
            result = session.execute(
                update(models.Pair)
                .where(models.Pair.name == name)
                .values(**values)
                .returning(models.Pair.name)
            )
            if result.first() is None:
                raise _no_pair(name)


def _no_pair(name: str) -> NotFound:
    return NotFound(f"There is no sync pair {name}; `terrafusion get pairs` lists them.")


def _get(session: Session, name: str, *, lock: bool = False) -> models.Pair:
    row = session.get(models.Pair, name, with_for_update=lock or None)
    if row is None:
        raise _no_pair(name)
    return row


def _pair(row: models.Pair) -> PairRecord:
    return PairRecord(
        name=row.name,
        spec=SyncPairSpec.model_validate(row.spec),
        version=row.version,
        desired=cast("Desired", row.desired),
        state=cast("PairState", row.state),
        reason=row.reason,
        status=row.status,
        status_at=row.status_at,
        initialised=row.initialised,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _metric(row: models.PairMetric) -> PairMetric:
    return PairMetric(
        pair=row.pair,
        table=row.table,
        at=row.at,
        records=row.records,
        rows_per_s=row.rows_per_s,
        lag_records=row.lag_records,
        lag_seconds=row.lag_seconds,
        dead_letters=row.dead_letters,
    )
