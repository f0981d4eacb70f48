"""The shapes of the API's requests and answers, for validation and for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.names import NAME
from catalog.records import OperationState, Scope
from catalog.specs import SyncPairSpec, SystemSpec

Json = dict[str, Any]
PairName = Annotated[str, Field(pattern=NAME)]
NO_NUL = r"^[^\x00]*$"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ListQuery(_Request):
    """Which page of a list."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=500)


class OperationsQuery(ListQuery):
    """Which operations."""

    pair: PairName | None = None
    state: OperationState | None = None


class ErrorsQuery(ListQuery):
    """Which errors."""

    pair: PairName | None = None


class HealthQuery(_Request):
    """`verbose`: every part with the age of its last success."""

    verbose: str | None = None


class KeyRequest(_Request):
    """A key to be made. `pairs`: the sync pairs that it may touch, none given: all."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$")
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=3)
    pairs: tuple[PairName, ...] | None = Field(default=None, min_length=1, max_length=1000)
    expires_at: datetime | None = None


class Metadata(BaseModel):
    """The name."""

    name: str


class Stale(BaseModel):
    """Whether the answer may be out of date (SyncService is down), and since when, in seconds."""

    stale: bool
    age_s: float | None


class System(BaseModel):
    """A manifest of kind System with its version."""

    apiVersion: str
    kind: Literal["System"]
    metadata: Metadata
    spec: SystemSpec
    version: int
    created_at: datetime
    updated_at: datetime
    outcome: Literal["created", "configured", "unchanged"] | None = None


class SyncPair(BaseModel):
    """A manifest of kind SyncPair with its version and state."""

    apiVersion: str
    kind: Literal["SyncPair"]
    metadata: Metadata
    spec: SyncPairSpec
    version: int
    desired: str
    state: str
    reason: str | None
    initialised: bool
    created_at: datetime
    updated_at: datetime
    outcome: Literal["created", "configured", "unchanged"] | None = None


class Operation(BaseModel):
    """A piece of work on a pair."""

    id: str
    pair: str
    kind: str
    tables: list[str]
    state: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    phase: str
    progress: Json
    result: Json
    error: Json | None
    cancel_requested: bool
    metrics: list[Json] | None = None


class Status(Stale):
    """State and live report of a pair."""

    pair: str
    source: str
    target: str
    desired: str
    state: str
    reason: str | None
    initialised: bool
    status_at: datetime | None
    freshness: Json
    tables: list[Json]
    lag_records: int | None
    lag_seconds: float | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    connector: Json | None
    replica: str | None
    last_operation: Operation | None


class Validation(BaseModel):
    """The outcome of a dry run."""

    pair: str
    valid: bool
    errors: list[Json]


class Check(BaseModel):
    """What a system has and lacks."""

    system: str
    ok: bool
    items: list[Json]


class Connector(BaseModel):
    """A source's connector."""

    name: str
    system: str
    state: str
    slot: str
    publication: str
    generation: int
    tables: list[str]
    conditions: list[Json]
    updated_at: datetime | None


class ErrorEntry(BaseModel):
    """An entry of the error log."""

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


class Key(BaseModel):
    """An API key; `key`, the secret itself, only in the answer that makes it."""

    id: str
    name: str
    scopes: list[str]
    pairs: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    key: str | None = None


class Service(Stale):
    """SyncService's availability."""

    available: bool
    since: datetime | None
    uptime_s: float | None
    restarts_total: int
    restarts: list[Json]
    replicas: list[Json]
    gateway: Json


class Accepted(BaseModel):
    """What was asked for will happen."""

    accepted: bool


class _Page(Stale):
    next_cursor: str | None


class SystemPage(_Page):
    """Systems by name."""

    items: list[System]


class PairPage(_Page):
    """Sync pairs by name."""

    items: list[SyncPair]


class OperationPage(_Page):
    """Operations, newest first."""

    items: list[Operation]


class ConnectorPage(_Page):
    """Connectors by name."""

    items: list[Connector]


class ErrorPage(_Page):
    """Errors, newest first."""

    items: list[ErrorEntry]


class KeyPage(BaseModel):
    """Keys, oldest first."""

    items: list[Key]
    next_cursor: str | None


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Json]
    trace_id: str
