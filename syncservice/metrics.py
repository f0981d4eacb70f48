"""Prometheus metrics of SyncService (names are fixed in the interfaces)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("terrafusion_sync_records_total", "Records read and applied", ["pair", "table", "kind"])
DEAD_LETTERS = Counter(
    "terrafusion_dead_letters_total", "Events parked as dead letters", ["pair", "table", "reason"]
)
APPLY_SECONDS = Histogram(
    "terrafusion_apply_duration_seconds",
    "One apply transaction",
    ["pair"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LAG_SECONDS = Gauge(
    "terrafusion_lag_seconds", "Age of the newest applied change while behind", ["pair", "table", "stage"]
)
LAG_RECORDS = Gauge("terrafusion_lag_records", "Records in Kafka that are not applied yet", ["pair", "table"])
FRESHNESS = Gauge(
    "terrafusion_freshness_seconds", "How old the target is against the source, at most", ["pair", "table"]
)
OPERATIONS = Counter("terrafusion_operations_total", "Operations ended", ["pair", "kind", "outcome"])
OPERATION_SECONDS = Histogram(
    "terrafusion_operation_duration_seconds",
    "Operations",
    ["pair", "kind"],
    buckets=(1, 5, 15, 60, 300, 1800, 7200),
)
CONNECTOR_UP = Gauge("terrafusion_connector_up", "1 while the connector and its tasks run", ["connector"])
SLOT_BYTES = Gauge("terrafusion_slot_retained_bytes", "WAL that the replication slot keeps", ["connector"])
