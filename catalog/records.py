"""What the catalog hands out: frozen records, never rows of the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from catalog.specs import SyncPairSpec, SystemSpec

Json = dict[str, Any]
Desired = Literal["running", "paused", "deleted"]
PairState = Literal["new", "preparing", "full_sync", "running", "paused", "halted", "retrying", "deleting"]
OperationKind = Literal["full", "incremental", "verify"]
OperationState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Scope = Literal["read", "operate", "admin"]

OPERATION_KINDS: tuple[OperationKind, ...] = ("full", "incremental", "verify")
OPERATION_STATES: tuple[OperationState, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
ACTIVE_STATES: tuple[OperationState, ...] = ("queued", "running")
SCOPES: tuple[Scope, ...] = ("read", "operate", "admin")


@dataclass(frozen=True)
class SystemRecord:
    """An external system. `version` counts its changes, from 1."""

    name: str
    spec: SystemSpec
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class PairRecord:
    """A sync pair: what is wanted (`spec`, `desired`) and what is (`state`, `reason`, `status`).

    `reason`: what is wrong and what to do, or None. `status`: the live report of SyncService, written every second
    (`status_at`): {"tables": [...], "lag_records", "lag_seconds", "latency_p50_ms", "latency_p99_ms", "connector",
    "replica"}. `initialised`: the first full sync is done. `version` counts changes of the spec."""

    name: str
    spec: SyncPairSpec
    version: int
    desired: Desired
    state: PairState
    reason: str | None
    status: Json
    status_at: datetime | None
    initialised: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class SourceRecord:
    """What a source system holds for us. `captured`: {"schema.table": {"since": "initial" | "later"}};
    `placeholder`: the connector's random unavailable.value.placeholder."""

    system: str
    generation: int
    connector: str
    slot: str
    publication: str
    placeholder: str
    captured: dict[str, Json]
    state: str
    conditions: list[Json] = field(default_factory=list)
    updated_at: datetime | None = None


@dataclass(frozen=True)
class OperationRecord:
    """A piece of work on a pair. `progress`: {"rows_done", "rows_total", "rows_per_s", "eta_s", "lag"}; `error`:
    {"code", "message", "remedy"}; whoever holds the lease of `lease_epoch` works on it."""

    id: str
    pair: str
    kind: OperationKind
    tables: list[str]
    state: OperationState
    requested_by: str
    requested_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    phase: str = ""
    progress: Json = field(default_factory=dict)
    result: Json = field(default_factory=dict)
    error: Json | None = None
    cancel_requested: bool = False
    lease_owner: str | None = None
    lease_epoch: int = 0
    lease_until: datetime | None = None


@dataclass(frozen=True)
class OperationMetric:
    """Counts of one table in one operation, rows and seconds."""

    operation_id: str
    table: str
    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    dead_letters: int = 0
    seconds: float = 0.0
    rows_per_s: float = 0.0


@dataclass(frozen=True)
class ErrorRecord:
    """An error and how often it came; the same `fingerprint` within an hour counts up."""

    id: int
    first_at: datetime
    last_at: datetime
    count: int
    pair: str | None
    operation_id: str | None
    code: str
    message: str
    remedy: str
    retry: str
    fingerprint: str


@dataclass(frozen=True)
class KeyRecord:
    """An API key without its secret; `hash` is the HMAC-SHA256 of it. `pairs`: the pairs it may touch, None: all."""

    id: str
    name: str
    hash: str
    scopes: tuple[Scope, ...]
    pairs: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class PairMetric:
    """One sample of a pair's table."""

    pair: str
    table: str
    at: datetime
    records: int
    rows_per_s: float
    lag_records: int
    lag_seconds: float | None
    dead_letters: int
