"""API keys: the catalog holds the HMAC of each secret, never the secret."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.functions import coalesce, now

from catalog import models
from catalog.errors import Conflict, NotFound
from catalog.records import KeyRecord, Scope
from catalog.sql.session import Database


class Keys:
    """Queries on API keys."""

    _db: Database

    def add_key(
        self,
        id: str,
        name: str,
        hash: str,
        scopes: Sequence[Scope],
        pairs: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> KeyRecord:
        """Register a key. Raises Conflict when the id is taken."""
        row = models.Key(
            id=id,
            name=name,
            hash=hash,
            scopes=list(scopes),
            pairs=None if pairs is None else list(pairs),
            expires_at=expires_at,
        )
        try:
            with self._db.transaction() as session:
                session.add(row)
                session.flush()
                session.refresh(row)
                return _key(row)
        except IntegrityError:
            raise Conflict(f"There is already a key {id}.") from None

    def keys(self) -> list[KeyRecord]:
        """All keys, oldest first, revoked ones too."""
        with self._db.transaction() as session:
            rows = session.scalars(select(models.Key).order_by(models.Key.created_at, models.Key.id))
            return [_key(row) for row in rows]

    def key(self, id: str) -> KeyRecord:
        """Raises NotFound."""
        with self._db.transaction() as session:
            row = session.get(models.Key, id)
            if row is None:
                raise NotFound(f"There is no key {id}; `terrafusion keys list` shows them.")
            return _key(row)

    def touch_key(self, id: str) -> None:
        """Note that the key was used now; unknown is fine."""
        with self._db.transaction() as session:
            session.execute(update(models.Key).where(models.Key.id == id).values(last_used_at=now()))

    def revoke_key(self, id: str) -> KeyRecord:
        """End a key for good; again is fine. Raises NotFound."""
        with self._db.transaction() as session:
            statement = update(models.Key).where(models.Key.id == id)
            session.execute(statement.values(revoked_at=coalesce(models.Key.revoked_at, now())))
        return self.key(id)


def _key(row: models.Key) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        hash=row.hash,
        scopes=tuple(cast("list[Scope]", row.scopes)),
        pairs=None if row.pairs is None else tuple(row.pairs),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
