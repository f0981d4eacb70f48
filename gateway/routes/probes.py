"""Probes and metrics: liveness asks nobody, readiness asks the catalog, health tells of every part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from catalog.errors import CatalogUnavailable
from catalog.problems import RETRY_AFTER_S
from gateway import shapes
from gateway.context import Json, answer, catalog, parts, staleness
from gateway.endpoints import endpoint
from gateway.metrics import note_up

probes = APIBlueprint("probes", __name__, tag="probes")


@endpoint(probes, "GET", "/livez", summary="Is the gateway alive?")
def livez() -> Response:
    """No dependency is asked."""
    return answer({"status": "ok"})


@endpoint(probes, "GET", "/readyz", summary="Can the gateway serve?")
def readyz() -> Response:
    """Ready when the catalog answers; reads work without SyncService."""
    catalog().ping()
    return answer({"status": "ok", "syncservice": "up" if parts().state.snapshot().up else "down"})


@endpoint(probes, "GET", "/healthz", summary="How is every part?", query=shapes.HealthQuery)
def healthz(query: shapes.HealthQuery) -> Response:
    """200 while the gateway can serve reads, else 503. `?verbose`: each part with the age of its last success."""
    sources: list[Json] = []
    checks: dict[str, Callable[[], Json]] = {"catalog": _catalog_health, "syncservice": _service_health}
    found = {name: check() for name, check in checks.items()}
    if found["catalog"]["state"] == "up":
        sources = _connector_health()
    status = _overall([part["state"] for part in found.values()] + [part["state"] for part in sources])
    document: Json = {"status": status}
    if query.verbose is not None:
        document["parts"] = [{"name": name, **part} for name, part in found.items()] + sources
    down = found["catalog"]["state"] != "up"
    return answer(document, 503 if down else 200, {"Retry-After": str(RETRY_AFTER_S)} if down else None)


@endpoint(probes, "GET", "/metrics", summary="Metrics for Prometheus")
def metrics() -> Response:
    """Prometheus text."""
    note_up(parts().state.snapshot().up)
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _catalog_health() -> Json:
    try:
        catalog().ping()
    except CatalogUnavailable:
        remedy = (
            "Start the control database (`terrafusion stack up control-db`); running pairs go on meanwhile."
        )
        return {"state": "down", "age_s": None, "remedy": remedy}
    return {"state": "up", "age_s": 0.0, "remedy": None}


def _service_health() -> Json:
    state = parts().state.snapshot()
    age = staleness(state)["age_s"]
    remedy = (
        None
        if state.up
        else "The gateway is bringing it back; its log is logs/syncservice.log in the state folder."
    )
    return {"state": "up" if state.up else "down", "age_s": age, "remedy": remedy}


def _connector_health() -> list[Json]:
    found = []
    for record in catalog().sources():
        age = None if record.updated_at is None else (datetime.now(UTC) - record.updated_at).total_seconds()
        well = record.state.lower() in ("running", "ok", "up")
        state = "up" if well else record.state.lower()
        found.append({"name": f"connector {record.connector}", "state": state, "age_s": age, "remedy": None})
    return found


def _overall(states: list[str]) -> str:
    if states[0] != "up":
        return "down"
    return "ok" if all(state == "up" for state in states) else "degraded"
