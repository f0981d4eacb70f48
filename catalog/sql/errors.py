"""The error log: the same error within an hour counts up instead of filling the log."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.sql.functions import now

from catalog import models
from catalog.fingerprint import fingerprint_of
from catalog.records import ErrorRecord
from catalog.sql.session import Database

SAME_WITHIN = timedelta(hours=1)


class Errors:
    """Queries on the error log."""

    _db: Database

    def record_error(
        self, pair: str | None, operation_id: str | None, code: str, message: str, remedy: str, retry: str
    ) -> ErrorRecord:
        """Log an error, or count it up when the same one came within the last hour (the newest wording is kept)."""
        fingerprint = fingerprint_of(pair, code, message)
        same = select(models.Error).where(
            models.Error.fingerprint == fingerprint, models.Error.last_at > now() - SAME_WITHIN
        )
        with self._db.transaction() as session:
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext(fingerprint))))
            row = session.scalars(same.order_by(models.Error.id.desc()).limit(1)).first()
            if row is None:
                row = models.Error(pair=pair, code=code, fingerprint=fingerprint, count=0)
                session.add(row)
            row.operation_id, row.message, row.remedy, row.retry = operation_id, message, remedy, retry
            row.count, row.last_at = row.count + 1, now()
            session.flush()
            session.refresh(row)
            return _error(row)

    def errors(
        self, pair: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[ErrorRecord]:
        """Newest first. `before`: only entries with a smaller id."""
        query = select(models.Error).order_by(models.Error.id.desc()).limit(limit)
        if pair is not None:
            query = query.where(models.Error.pair == pair)
        if before is not None:
            query = query.where(models.Error.id < before)
        with self._db.transaction() as session:
            return [_error(row) for row in session.scalars(query)]


def _error(row: models.Error) -> ErrorRecord:
    return ErrorRecord(
        id=row.id,
        first_at=row.first_at,
        last_at=row.last_at,
        count=row.count,
        pair=row.pair,
        operation_id=row.operation_id,
        code=row.code,
        message=row.message,
        remedy=row.remedy,
        retry=row.retry,
        fingerprint=row.fingerprint,
    )
