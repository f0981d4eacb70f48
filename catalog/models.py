"""The catalog's tables (schema `catalog`), as SQLAlchemy models. Only the catalog sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "catalog"
Json = dict[str, Any]


class Base(DeclarativeBase):
    """Common types: text without limits, timestamps with zone, jsonb."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy's own hook)
        str: Text,
        datetime: DateTime(timezone=True),
        Json: JSONB,
        list[Json]: JSONB,
        list[str]: ARRAY(Text),
    }


class System(Base):
    """An external system."""

    __tablename__ = "system"

    name: Mapped[str] = mapped_column(primary_key=True)
    spec: Mapped[Json]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Pair(Base):
    """A sync pair, desired and actual."""

    __tablename__ = "sync_pair"

    name: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(ForeignKey("system.name"))
    target: Mapped[str] = mapped_column(ForeignKey("system.name"))
    spec: Mapped[Json]
    version: Mapped[int] = mapped_column(default=1)
    desired: Mapped[str] = mapped_column(default="running")
    state: Mapped[str] = mapped_column(default="new")
    reason: Mapped[str | None]
    status: Mapped[Json] = mapped_column(default=dict)
    status_at: Mapped[datetime | None]
    initialised: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Source(Base):
    """What a source system holds for us: connector, slot, publication."""

    __tablename__ = "source"

    system: Mapped[str] = mapped_column(ForeignKey("system.name"), primary_key=True)
    generation: Mapped[int]
    connector: Mapped[str]
    slot: Mapped[str]
    publication: Mapped[str]
    placeholder: Mapped[str]
    captured: Mapped[Json] = mapped_column(default=dict)
    state: Mapped[str]
    conditions: Mapped[list[Json]] = mapped_column(default=list)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Generation(Base):
    """The last generation given to a system; survives the system itself."""

    __tablename__ = "generation"

    system: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int]


class Operation(Base):
    """A piece of work on a pair; kept after the pair is gone."""

    __tablename__ = "operation"

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    pair: Mapped[str]
    kind: Mapped[str]
    tables: Mapped[list[str]]
    state: Mapped[str] = mapped_column(default="queued")
    requested_by: Mapped[str]
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    phase: Mapped[str] = mapped_column(default="")
    progress: Mapped[Json] = mapped_column(default=dict)
    result: Mapped[Json] = mapped_column(default=dict)
    error: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    lease_owner: Mapped[str | None]
    lease_epoch: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "operation_one_active",
            "pair",
            "kind",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("operation_of_pair", "pair", "number"),
    )


class OperationMetric(Base):
    """Counts of one table in one operation."""

    __tablename__ = "operation_metric"

    operation_id: Mapped[str] = mapped_column(
        ForeignKey("operation.id", ondelete="CASCADE"), primary_key=True
    )
    table: Mapped[str] = mapped_column("table_name", primary_key=True)
    read: Mapped[int] = mapped_column(BigInteger)
    inserted: Mapped[int] = mapped_column(BigInteger)
    updated: Mapped[int] = mapped_column(BigInteger)
    deleted: Mapped[int] = mapped_column(BigInteger)
    unchanged: Mapped[int] = mapped_column(BigInteger)
    dead_letters: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
    rows_per_s: Mapped[float]


class Error(Base):
    """The error log, grouped by fingerprint within an hour."""

    __tablename__ = "error"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    first_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_at: Mapped[datetime] = mapped_column(server_default=func.now())
    count: Mapped[int] = mapped_column(BigInteger, default=1)
    pair: Mapped[str | None]
    operation_id: Mapped[str | None]
    code: Mapped[str]
    message: Mapped[str]
    remedy: Mapped[str]
    retry: Mapped[str]
    fingerprint: Mapped[str]

    __table_args__ = (
        Index("error_fingerprint", "fingerprint", "last_at"),
        Index("error_last_at", "last_at"),
    )


class Key(Base):
    """An API key: never its secret, only the secret's HMAC."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hash: Mapped[str]
    scopes: Mapped[list[str]]
    pairs: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class PairMetric(Base):
    """One sample of a pair's table, kept seven days."""

    __tablename__ = "pair_metric"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    pair: Mapped[str]
    table: Mapped[str] = mapped_column("table_name")
    at: Mapped[datetime]
    records: Mapped[int] = mapped_column(BigInteger)
    rows_per_s: Mapped[float]
    lag_records: Mapped[int] = mapped_column(BigInteger)
    lag_seconds: Mapped[float | None]
    dead_letters: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        Index("pair_metric_pair_at", "pair", "at"),
        Index("pair_metric_at", "at"),
    )
