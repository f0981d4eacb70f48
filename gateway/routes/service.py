"""SyncService's availability, as the gateway sees it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import psutil
from apiflask import APIBlueprint
from flask import Response

from catalog.documents import timestamp
from catalog.problems import ProblemError
from gateway import shapes
from gateway.context import Json, answer, key, parts, staleness
from gateway.endpoints import endpoint
from gateway.service_state import Snapshot

service = APIBlueprint("service", __name__, url_prefix="/api/v1/service", tag="service")
STARTED_AT = time.monotonic()


@endpoint(service, "GET", "", summary="Show SyncService", answers=shapes.Service)
def get_service() -> Response:
    """Availability, uptime, restarts and why, and the resources of each replica."""
    state = parts().state.snapshot()
    uptime = (datetime.now(UTC) - state.since).total_seconds() if state.up and state.since else None
    restarts = [{"at": timestamp(restart.at), "reason": restart.reason} for restart in state.restarts]
    document = {
        "available": state.up,
        "since": timestamp(state.since),
        "uptime_s": None if uptime is None else round(uptime, 1),
        "restarts_total": state.restarts_total,
        "restarts": list(reversed(restarts)),
        "replicas": _replicas(state),
        "gateway": {
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - STARTED_AT, 1),
            "supervises": state.supervised_here,
            **_resources(os.getpid()),
        },
        **staleness(state),
    }
    return answer(document)


@endpoint(service, "POST", "/restart", summary="Restart SyncService", answers=shapes.Accepted, status=202)
def restart_service() -> Response:
    """Gracefully: batches in flight are finished."""
    supervisor = parts().supervisor
    if supervisor is None or not parts().state.snapshot().supervised_here:
        detail = "This gateway does not start SyncService here; restart it where it is started."
        raise ProblemError(409, "not_supervised_here", detail)
    supervisor.restart(f"asked for with the key {key().name}")
    return answer({"accepted": True}, 202)


def _replicas(state: Snapshot) -> list[Json]:
    report = parts().service.report() if state.up else None
    if report is None and state.pid is None:
        return []
    resources = _resources(state.pid) if state.pid else {}
    return [{"pid": state.pid, "up": state.up, **resources, **(report or {})}]


def _resources(pid: int) -> Json:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return {
                "rss_bytes": process.memory_info().rss,
                "cpu_s": round(sum(process.cpu_times()[:2]), 2),
                "threads": process.num_threads(),
            }
    except psutil.Error:
        return {}
