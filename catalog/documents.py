"""How records look as JSON: one form for the gateway's answers and SyncService's, and for the CLI's `-o json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from catalog.records import (
    ErrorRecord,
    KeyRecord,
    OperationMetric,
    OperationRecord,
    PairRecord,
    SystemRecord,
)
from catalog.specs import API_VERSION

Json = dict[str, Any]


def timestamp(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def etag(record: SystemRecord | PairRecord) -> str:
    """A strong validator of the manifest; a record made anew under an old name never has an old one."""
    return f'"{record.version}-{int(record.created_at.timestamp() * 1_000_000):x}"'


def system_document(record: SystemRecord) -> Json:
    """The manifest, with version and times."""
    return {
        "apiVersion": API_VERSION,
        "kind": "System",
        "metadata": {"name": record.name},
        "spec": record.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "version": record.version,
        "created_at": timestamp(record.created_at),
        "updated_at": timestamp(record.updated_at),
    }


def pair_document(record: PairRecord) -> Json:
    """The manifest, with version, times, desired and actual state (the live report is `status_document`)."""
    return {
        "apiVersion": API_VERSION,
        "kind": "SyncPair",
        "metadata": {"name": record.name},
        "spec": record.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "version": record.version,
        "desired": record.desired,
        "state": record.state,
        "reason": record.reason,
        "initialised": record.initialised,
        "created_at": timestamp(record.created_at),
        "updated_at": timestamp(record.updated_at),
    }


def status_document(record: PairRecord, last_operation: OperationRecord | None) -> Json:
    """State and the live report: {"pair", "desired", "state", "reason", "initialised", "status_at", "freshness",
    "tables", "lag_records", "lag_seconds", "latency_p50_ms", "latency_p99_ms", "connector", "replica",
    "last_operation"}."""
    report = record.status
    return {
        "pair": record.name,
        "source": record.spec.source,
        "target": record.spec.target,
        "desired": record.desired,
        "state": record.state,
        "reason": record.reason,
        "initialised": record.initialised,
        "status_at": timestamp(record.status_at),
        "freshness": freshness_document(record),
        "tables": report.get("tables", []),
        "lag_records": report.get("lag_records"),
        "lag_seconds": report.get("lag_seconds"),
        "latency_p50_ms": report.get("latency_p50_ms"),
        "latency_p99_ms": report.get("latency_p99_ms"),
        "connector": report.get("connector"),
        "replica": report.get("replica"),
        "last_operation": operation_document(last_operation) if last_operation else None,
    }


def freshness_document(record: PairRecord) -> Json:
    """The objective and whether it is met: {"objective_s", "lag_seconds", "met": true | false | null (unknown)}.
    Met means: running, and the oldest change not yet applied is younger than the objective."""
    objective = record.spec.freshness.total_seconds()
    lag = record.status.get("lag_seconds")
    behind = record.status.get("lag_records")
    met: bool | None = None
    if record.state in ("halted", "retrying"):
        met = False
    elif record.state == "running" and record.status_at is not None:
        met = not behind or lag is None or lag <= objective
    return {"objective_s": objective, "lag_seconds": lag, "met": met}


def operation_document(record: OperationRecord, metrics: list[OperationMetric] | None = None) -> Json:
    """An operation; with `metrics` also its counts per table."""
    document: Json = {
        "id": record.id,
        "pair": record.pair,
        "kind": record.kind,
        "tables": list(record.tables),
        "state": record.state,
        "requested_by": record.requested_by,
        "requested_at": timestamp(record.requested_at),
        "started_at": timestamp(record.started_at),
        "finished_at": timestamp(record.finished_at),
        "phase": record.phase,
        "progress": record.progress,
        "result": record.result,
        "error": record.error,
        "cancel_requested": record.cancel_requested,
    }
    if metrics is not None:
        document["metrics"] = [_metric_document(metric) for metric in metrics]
    return document


def _metric_document(metric: OperationMetric) -> Json:
    return {
        "table": metric.table,
        "read": metric.read,
        "inserted": metric.inserted,
        "updated": metric.updated,
        "deleted": metric.deleted,
        "unchanged": metric.unchanged,
        "dead_letters": metric.dead_letters,
        "seconds": metric.seconds,
        "rows_per_s": metric.rows_per_s,
    }


def error_document(record: ErrorRecord) -> Json:
    """An entry of the error log."""
    return {
        "id": record.id,
        "first_at": timestamp(record.first_at),
        "last_at": timestamp(record.last_at),
        "count": record.count,
        "pair": record.pair,
        "operation_id": record.operation_id,
        "code": record.code,
        "message": record.message,
        "remedy": record.remedy,
        "retry": record.retry,
        "fingerprint": record.fingerprint,
    }


def key_document(record: KeyRecord) -> Json:
    """A key without anything secret: neither the secret nor its hash."""
    return {
        "id": record.id,
        "name": record.name,
        "scopes": list(record.scopes),
        "pairs": None if record.pairs is None else list(record.pairs),
        "created_at": timestamp(record.created_at),
        "expires_at": timestamp(record.expires_at),
        "revoked_at": timestamp(record.revoked_at),
        "last_used_at": timestamp(record.last_used_at),
    }
