"""What the routes share, and how they answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

import httpx
from flask import Response, current_app, g, request

from catalog.errors import NotFound
from catalog.protocol import CatalogStore
from catalog.records import KeyRecord, PairRecord, SystemRecord
from catalog.requests import is_name
from gateway.client import SyncServiceClient
from gateway.config import Settings
from gateway.keys import KeyRing, sees
from gateway.service_state import ServiceState, Snapshot
from gateway.supervisor import Supervisor

Json = dict[str, Any]
_PASSED_BACK = ("ETag", "Location", "Retry-After")
_PASSED_ON = ("If-Match", "If-None-Match")


@dataclass(frozen=True)
class Parts:
    """Everything that the gateway is made of. `supervisor`: None where something else keeps SyncService running."""

    settings: Settings
    catalog: CatalogStore
    keys: KeyRing
    service: SyncServiceClient
    state: ServiceState
    supervisor: Supervisor | None = None


def parts() -> Parts:
    """The parts of the app that serves this request."""
    return cast("Parts", current_app.extensions["terrafusion"])


def catalog() -> CatalogStore:
    """The catalog."""
    return parts().catalog


def key() -> KeyRecord:
    """The key of this request."""
    return cast("KeyRecord", g.key)


def trace_id() -> str:
    """The trace id of this request."""
    return cast("str", g.trace_id)


def visible(pair: str) -> bool:
    """Whether this request's key may see the pair."""
    return sees(key(), pair)


def pair_named(name: str) -> PairRecord:
    """The pair. Raises NotFound, for impossible names too."""
    if not is_name(name):
        raise NotFound("There is no such sync pair; `terrafusion get pairs` lists them.")
    return catalog().pair(name)


def system_named(name: str) -> SystemRecord:
    """The system. Raises NotFound, for impossible names and for systems of other keys' pairs too."""
    if not is_name(name) or name not in visible_systems(name):
        raise NotFound("There is no such system; `terrafusion get systems` lists them.")
    return catalog().system(name)


def visible_systems(*names: str) -> set[str]:
    """Of `names`, those that this request's key may see: all, or those that its pairs use."""
    if key().pairs is None:
        return set(names)
    used = {
        name
        for pair in catalog().pairs()
        if visible(pair.name)
        for name in (pair.spec.source, pair.spec.target)
    }
    return used & set(names)


def staleness(state: Snapshot | None = None) -> Json:
    """{"stale", "age_s"}: whether SyncService is down, and how long ago it last answered (null: never)."""
    state = state or parts().state.snapshot()
    if state.up:
        return {"stale": False, "age_s": 0.0}
    return {"stale": True, "age_s": None if state.age_s is None else round(state.age_s, 1)}


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII, so that no text can break its encoding."""
    body = json.dumps(document, default=str)
    return Response(body, status, headers=headers, content_type="application/json")


def forward(method: str | None = None, path: str | None = None, content: bytes | None = None) -> Response:
    """Hand this request to SyncService and its answer back. `path`: with the prefix /api/v1, ASCII."""
    headers = {
        "X-Trace-Id": trace_id(),
        "X-Requested-By": f"key:{key().name}",
        **{name: request.headers[name] for name in _PASSED_ON if name in request.headers},
    }
    if content:
        headers["Content-Type"] = "application/json"
    forwarded = parts().service.send(method or request.method, path or request.path, content, headers)
    return _handed_back(forwarded)


def _handed_back(forwarded: httpx.Response) -> Response:
    headers = {name: forwarded.headers[name] for name in _PASSED_BACK if name in forwarded.headers}
    if forwarded.status_code == 204:
        return Response(status=204, headers=headers)
    kind = forwarded.headers.get("content-type", "application/json")
    return Response(forwarded.content, forwarded.status_code, headers=headers, content_type=kind)
