"""Operations: read from the catalog, cancelled through SyncService."""

from __future__ import annotations

from uuid import UUID

from apiflask import APIBlueprint
from flask import Response

from catalog.documents import operation_document
from catalog.errors import NotFound
from catalog.records import OperationRecord
from gateway import shapes
from gateway.context import answer, catalog, forward, key, staleness, visible
from gateway.endpoints import endpoint
from gateway.paging import after, cursor_of

operations = APIBlueprint("operations", __name__, url_prefix="/api/v1/operations", tag="operations")


@endpoint(
    operations,
    "GET",
    "",
    summary="List operations",
    query=shapes.OperationsQuery,
    answers=shapes.OperationPage,
)
def list_operations(query: shapes.OperationsQuery) -> Response:
    """Newest first."""
    found = _visible_operations(query)
    shown = found[: query.limit]
    cursor = cursor_of(shown[-1].id) if len(found) > query.limit else None
    items = [operation_document(operation) for operation in shown]
    return answer({"items": items, "next_cursor": cursor, **staleness()})


@endpoint(operations, "GET", "/<id>", summary="Show an operation", answers=shapes.Operation)
def get_operation(id: str) -> Response:
    """One operation, with its counts per table."""
    operation = _operation(id)
    metrics = catalog().operation_metrics(operation.id)
    return answer({**operation_document(operation, metrics), **staleness()})


@endpoint(
    operations, "POST", "/<id>/cancel", summary="Cancel an operation", answers=shapes.Operation, status=202
)
def cancel_operation(id: str) -> Response:
    """A queued one is cancelled at once, a running one stops at its next step."""
    operation = _operation(id)
    return forward(path=f"/api/v1/operations/{operation.id}/cancel")


def _operation(id: str) -> OperationRecord:
    try:
        operation = catalog().operation(str(UUID(id)))
    except ValueError:
        operation = None
    if operation is None or not visible(operation.pair):
        raise NotFound("There is no such operation; `terrafusion operations list` shows them.")
    return operation


def _visible_operations(query: shapes.OperationsQuery) -> list[OperationRecord]:
    """One more than the page holds, skipping what the key may not see."""
    before = after(query.cursor, str)
    if key().pairs is None or (query.pair is not None and visible(query.pair)):
        return catalog().operations(query.pair, query.state, query.limit + 1, _known(before))
    found: list[OperationRecord] = []
    while len(found) <= query.limit:
        batch = catalog().operations(query.pair, query.state, 200, _known(before))
        found += [operation for operation in batch if visible(operation.pair)]
        if len(batch) < 200:
            break
        before = batch[-1].id
    return found[: query.limit + 1]


def _known(before: str | None) -> str | None:
    """A cursor holds an id of ours; what is none finds nothing."""
    if before is None:
        return None
    try:
        return str(UUID(before))
    except ValueError:
        return str(UUID(int=0))
