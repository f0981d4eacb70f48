"""External systems and what a source system holds for us."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import now

from catalog import models
from catalog.errors import Conflict, NotFound, VersionMismatch
from catalog.records import SourceRecord, SystemRecord
from catalog.specs import SystemSpec
from catalog.sql.session import Database


class Systems:
    """Queries on systems and sources."""

    _db: Database

    def systems(self) -> list[SystemRecord]:
        """All systems by name."""
        with self._db.transaction() as session:
            rows = session.scalars(select(models.System).order_by(models.System.name))
            return [_system(row) for row in rows]

    def system(self, name: str) -> SystemRecord:
        """One system. Raises NotFound."""
        with self._db.transaction() as session:
            return _system(_get(session, name))

    def put_system(self, name: str, spec: SystemSpec, if_version: int | None = None) -> SystemRecord:
        """Create or replace; an equal spec changes nothing. Raises VersionMismatch unless the version is
        `if_version` (0: must not exist yet)."""
        document = spec.model_dump(mode="json", by_alias=True)
        with self._db.transaction() as session:
            row = session.get(models.System, name, with_for_update=True)
            check_version("System", name, row.version if row else 0, if_version)
            if row is None:
                session.execute(
                    insert(models.System).values(name=name, spec=document, version=1).on_conflict_do_nothing()
                )
                row = _get(session, name, lock=True)
            if row.spec != document:
                row.spec, row.version, row.updated_at = document, row.version + 1, now()
            session.flush()
            session.refresh(row)
            return _system(row)

    def delete_system(self, name: str) -> None:
        """Raises NotFound, and Conflict while a pair or a connector uses it."""
        with self._db.transaction() as session:
            row = _get(session, name, lock=True)
            users = session.scalars(
                select(models.Pair.name)
                .where(or_(models.Pair.source == name, models.Pair.target == name))
                .order_by(models.Pair.name)
            ).all()
            if users:
                raise Conflict(f"System {name} is used by {', '.join(users)}; delete the sync pair first.")
            if session.get(models.Source, name):
                raise Conflict(
                    f"System {name} still has a connector that is being removed; try again in a moment."
                )
            session.delete(row)

    def sources(self) -> list[SourceRecord]:
        """All source systems with a connector, by name."""
        with self._db.transaction() as session:
            return [
                _source(row) for row in session.scalars(select(models.Source).order_by(models.Source.system))
            ]

    def source(self, system: str) -> SourceRecord:
        """Raises NotFound."""
        with self._db.transaction() as session:
            row = session.get(models.Source, system)
            if row is None:
                raise NotFound(f"System {system} has no connector.")
            return _source(row)

    def put_source(self, record: SourceRecord) -> SourceRecord:
        """Create or replace; `updated_at` is set by the database. Raises NotFound for an unknown system."""
        with self._db.transaction() as session:
            _get(session, record.system, lock=True)
            row = session.get(models.Source, record.system) or models.Source(system=record.system)
            row.generation, row.connector, row.slot = record.generation, record.connector, record.slot
            row.publication, row.placeholder = record.publication, record.placeholder
            row.captured, row.state, row.conditions = (
                dict(record.captured),
                record.state,
                list(record.conditions),
            )
            row.updated_at = now()
            session.add(row)
            session.flush()
            session.refresh(row)
            return _source(row)

    def forget_source(self, system: str) -> None:
        """Forget the connector of a system; unknown is fine. The generation goes on counting."""
        with self._db.transaction() as session:
            row = session.get(models.Source, system)
            if row is not None:
                session.delete(row)

    def next_generation(self, system: str) -> int:
        """1, 2, 3 … for ever, whatever is forgotten or deleted in between."""
        with self._db.transaction() as session:
            statement = insert(models.Generation).values(system=system, last=1)
            counted = statement.on_conflict_do_update(
                index_elements=["system"], set_={"last": models.Generation.last + 1}
            ).returning(models.Generation.last)
            return session.execute(counted).scalar_one()


def check_version(kind: str, name: str, version: int, expected: int | None) -> None:
    """Raise VersionMismatch unless `version` (0: does not exist) is what the caller expects."""
    if expected is not None and expected != version:
        now_is = f"is at version {version}" if version else "does not exist"
        raise VersionMismatch(
            f"{kind} {name} {now_is}, not at version {expected}; read it again, then repeat."
        )


def _get(session: Session, name: str, *, lock: bool = False) -> models.System:
    row = session.get(models.System, name, with_for_update=lock or None)
    if row is None:
        raise NotFound(f"There is no system {name}; `terrafusion get systems` lists them.")
    return row


def _system(row: models.System) -> SystemRecord:
    spec = SystemSpec.model_validate(row.spec)
    return SystemRecord(row.name, spec, row.version, row.created_at, row.updated_at)


def _source(row: models.Source) -> SourceRecord:
    return SourceRecord(
        system=row.system,
        generation=row.generation,
        connector=row.connector,
        slot=row.slot,
        publication=row.publication,
        placeholder=row.placeholder,
        captured=row.captured,
        state=row.state,
        conditions=row.conditions,
        updated_at=row.updated_at,
    )
