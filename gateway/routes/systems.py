"""External systems: read from the catalog, written through SyncService."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, request

from catalog.documents import etag, system_document
from catalog.requests import system_of
from catalog.specs import System as SystemManifest
from gateway import shapes
from gateway.context import answer, catalog, forward, staleness, system_named, visible_systems
from gateway.endpoints import endpoint, json_body
from gateway.paging import page_by_name

systems = APIBlueprint("systems", __name__, url_prefix="/api/v1/systems", tag="systems")


@endpoint(systems, "GET", "", summary="List systems", query=shapes.ListQuery, answers=shapes.SystemPage)
def list_systems(query: shapes.ListQuery) -> Response:
    """External systems by name; passwords are references, never values."""
    records = catalog().systems()
    seen = visible_systems(*(record.name for record in records))
    shown = [record for record in records if record.name in seen]
    page, cursor = page_by_name(shown, lambda record: record.name, query.cursor, query.limit)
    return answer(
        {"items": [system_document(record) for record in page], "next_cursor": cursor, **staleness()}
    )


@endpoint(systems, "GET", "/<name>", summary="Show a system", answers=shapes.System)
def get_system(name: str) -> Response:
    """One system, with its ETag."""
    record = system_named(name)
    return answer({**system_document(record), **staleness()}, headers={"ETag": etag(record)})


@endpoint(
    systems,
    "PUT",
    "/<name>",
    summary="Create or replace a system",
    answers=shapes.System,
    documented_body=SystemManifest,
)
def put_system(name: str) -> Response:
    """Idempotent; the body is the manifest. If-Match and If-None-Match are honoured (412)."""
    system_of(name, json_body())
    return forward(content=request.get_data())


@endpoint(systems, "DELETE", "/<name>", summary="Delete a system", status=204)
def delete_system(name: str) -> Response:
    """Refused (409) while a sync pair uses it."""
    system_named(name)
    return forward()


@endpoint(systems, "POST", "/<name>/check", summary="Check a system", answers=shapes.Check)
def check_system(name: str) -> Response:
    """What is missing for its pairs (rights, settings, identity), each with the statement that mends it."""
    system_named(name)
    return forward()
