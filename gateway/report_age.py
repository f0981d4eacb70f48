"""How old a pair's report is."""

from __future__ import annotations

from datetime import UTC, datetime

from catalog.records import PairRecord
from gateway.context import Json, parts, staleness

REPORT_FRESH_S = 15.0


def report_staleness(record: PairRecord) -> Json:
    """{"stale", "age_s"} of the pair's live report: stale when SyncService is down, or has not reported on a running
    pair for 15 seconds. `age_s`: seconds since the report, or since SyncService answered where there is none."""
    if record.status_at is None:
        return staleness()
    age = max(0.0, (datetime.now(UTC) - record.status_at).total_seconds())
    silent = record.state == "running" and age > REPORT_FRESH_S
    return {"stale": silent or not parts().state.snapshot().up, "age_s": round(age, 1)}
