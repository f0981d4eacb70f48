"""The gateway's own metrics about SyncService."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

_up = Gauge("terrafusion_service_up", "Whether SyncService answers (1) or not (0).")
_restarts = Counter("terrafusion_service_restarts", "Restarts of SyncService by this gateway.")


def restarted() -> None:
    """SyncService has been restarted."""
    _restarts.inc()


def note_up(up: bool) -> None:
    """Whether SyncService answers now."""
    _up.set(1 if up else 0)
