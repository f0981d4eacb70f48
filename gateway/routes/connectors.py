"""Connectors: what the catalog knows of them; restarted through SyncService."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response

from catalog.documents import timestamp
from catalog.errors import NotFound
from catalog.records import SourceRecord
from gateway import shapes
from gateway.context import Json, answer, catalog, forward, staleness, visible_systems
from gateway.endpoints import endpoint
from gateway.paging import page_by_name

connectors = APIBlueprint("connectors", __name__, url_prefix="/api/v1/connectors", tag="connectors")


@endpoint(
    connectors, "GET", "", summary="List connectors", query=shapes.ListQuery, answers=shapes.ConnectorPage
)
def list_connectors(query: shapes.ListQuery) -> Response:
    """Connectors by name, with their state and conditions; never a secret."""
    shown = sorted(_visible(), key=lambda record: record.connector)
    page, cursor = page_by_name(shown, lambda record: record.connector, query.cursor, query.limit)
    return answer({"items": [_document(record) for record in page], "next_cursor": cursor, **staleness()})


@endpoint(connectors, "GET", "/<name>", summary="Show a connector", answers=shapes.Connector)
def get_connector(name: str) -> Response:
    """One connector."""
    return answer({**_document(_named(name)), **staleness()})


@endpoint(
    connectors, "POST", "/<name>/restart", summary="Restart a connector", answers=shapes.Accepted, status=202
)
def restart_connector(name: str) -> Response:
    """Restart its failed tasks."""
    return forward(path=f"/api/v1/connectors/{_named(name).connector}/restart")


def _visible() -> list[SourceRecord]:
    records = catalog().sources()
    seen = visible_systems(*(record.system for record in records))
    return [record for record in records if record.system in seen]


def _named(name: str) -> SourceRecord:
    for record in _visible():
        if record.connector == name:
            return record
    raise NotFound("There is no such connector; `terrafusion connectors list` shows them.")


def _document(record: SourceRecord) -> Json:
    return {
        "name": record.connector,
        "system": record.system,
        "state": record.state,
        "slot": record.slot,
        "publication": record.publication,
        "generation": record.generation,
        "tables": sorted(record.captured),
        "conditions": record.conditions,
        "updated_at": timestamp(record.updated_at),
    }
