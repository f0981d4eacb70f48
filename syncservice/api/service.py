"""Routes of operations, connectors and of SyncService itself."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from catalog.documents import operation_document
from catalog.errors import CatalogUnavailable, NotFound
from catalog.problems import RETRY_AFTER_S, ProblemError
from syncservice.api.context import Ctx, answer

api = APIRouter(tags=["service"])
probes = APIRouter(tags=["probes"])


@probes.get("/livez")
def livez() -> Response:
    """Alive; asks nothing of anybody."""
    return answer({"status": "ok"})


@probes.get("/readyz")
def readyz(context: Ctx) -> Response:
    """Ready: the catalog answers."""
    try:
        context.catalog.ping()
    except CatalogUnavailable as error:
        retry = {"Retry-After": str(RETRY_AFTER_S)}
        raise ProblemError(503, error.code, str(error), headers=retry) from None
    return answer({"status": "ok"})


@probes.get("/metrics")
def metrics() -> Response:
    """Prometheus text."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@api.get("/service")
def service(context: Ctx) -> Response:
    """What this replica says about itself."""
    return answer(context.engine.report())


@api.post("/operations/{id}/cancel")
def cancel_operation(id: UUID, context: Ctx) -> Response:
    """A queued operation is cancelled at once, a running one stops at its next step."""
    operation = context.catalog.request_cancel(str(id))
    context.engine.wake()
    return answer(operation_document(operation), 202)


@api.get("/connectors")
def connectors(context: Ctx) -> Response:
    """All connectors of ours."""
    return answer({"items": list(context.engine.connectors()), "next_cursor": None})


@api.get("/connectors/{name}")
def connector(name: str, context: Ctx) -> Response:
    """One connector."""
    return answer(_find(context, name))


@api.post("/connectors/{name}/restart")
def restart_connector(name: str, context: Ctx) -> Response:
    """Restart a connector's failed tasks."""
    _find(context, name)
    context.engine.restart_connector(name)
    return answer({"name": name, "restarted": True}, 202)


def _find(context: Ctx, name: str) -> dict[str, object]:
    for found in context.engine.connectors():
        if found.get("name") == name:
            return found
    raise NotFound("There is no such connector; `terrafusion connectors list` shows them.")
