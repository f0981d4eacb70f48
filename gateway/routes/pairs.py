"""Sync pairs: read from the catalog, written through SyncService."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, request

from catalog.documents import etag, pair_document, status_document
from catalog.requests import OperationRequest, check_tables, pair_of
from catalog.specs import SyncPair as PairManifest
from gateway import shapes
from gateway.context import answer, catalog, forward, pair_named, staleness, visible
from gateway.endpoints import endpoint, json_body
from gateway.paging import page_by_name
from gateway.report_age import report_staleness

pairs = APIBlueprint("sync-pairs", __name__, url_prefix="/api/v1/sync-pairs", tag="sync-pairs")


@endpoint(pairs, "GET", "", summary="List sync pairs", query=shapes.ListQuery, answers=shapes.PairPage)
def list_pairs(query: shapes.ListQuery) -> Response:
    """Sync pairs by name, with desired and actual state."""
    shown = [record for record in catalog().pairs() if visible(record.name)]
    page, cursor = page_by_name(shown, lambda record: record.name, query.cursor, query.limit)
    return answer({"items": [pair_document(record) for record in page], "next_cursor": cursor, **staleness()})


@endpoint(pairs, "GET", "/<name>", summary="Show a sync pair", answers=shapes.SyncPair)
def get_pair(name: str) -> Response:
    """One sync pair, with the ETag of its manifest."""
    record = pair_named(name)
    return answer({**pair_document(record), **staleness()}, headers={"ETag": etag(record)})


@endpoint(pairs, "GET", "/<name>/status", summary="Show a pair's status", answers=shapes.Status)
def get_status(name: str) -> Response:
    """State, lag and freshness, at most a second old while SyncService runs."""
    record = pair_named(name)
    last = catalog().operations(pair=name, limit=1)
    return answer({**status_document(record, last[0] if last else None), **report_staleness(record)})


@endpoint(
    pairs,
    "PUT",
    "/<name>",
    summary="Create or replace a sync pair",
    answers=shapes.SyncPair,
    documented_body=PairManifest,
)
def put_pair(name: str) -> Response:
    """Idempotent; the body is the manifest, checked against both databases. If-Match and If-None-Match are honoured
    (412). A new pair begins with a full sync."""
    pair_of(name, json_body())
    return forward(content=request.get_data())


@endpoint(pairs, "DELETE", "/<name>", summary="Delete a sync pair", answers=shapes.SyncPair, status=202)
def delete_pair(name: str) -> Response:
    """Stops and removes it, and what only it needed; target rows stay. It is gone when a GET answers 404."""
    pair_named(name)
    return forward()


@endpoint(
    pairs,
    "POST",
    "/<name>/validate",
    summary="Validate a sync pair",
    answers=shapes.Validation,
    documented_body=PairManifest,
)
def validate_pair(name: str) -> Response:
    """A dry run of PUT with the manifest in the body, or of the stored one when there is no body."""
    if not request.get_data():
        pair_named(name)
        return forward()
    pair_of(name, json_body())
    return forward(content=request.get_data())


@endpoint(pairs, "POST", "/<name>/pause", summary="Pause a sync pair", answers=shapes.SyncPair, status=202)
def pause_pair(name: str) -> Response:
    """Stop applying; events wait in Kafka."""
    pair_named(name)
    return forward()


@endpoint(pairs, "POST", "/<name>/resume", summary="Resume a sync pair", answers=shapes.SyncPair, status=202)
def resume_pair(name: str) -> Response:
    """Go on where it stopped."""
    pair_named(name)
    return forward()


@endpoint(
    pairs,
    "POST",
    "/<name>/operations",
    summary="Start an operation",
    body=OperationRequest,
    answers=shapes.Operation,
    status=202,
)
def start_operation(name: str, body: OperationRequest) -> Response:
    """A full sync, an incremental catch-up or a verification; 409 while one of that kind is unfinished."""
    pair = pair_named(name)
    check_tables(body.tables, [table.to for table in pair.spec.tables])
    return forward(content=body.model_dump_json().encode())
