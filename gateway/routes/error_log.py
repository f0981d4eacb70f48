"""The error log."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response

from catalog.documents import error_document
from catalog.records import ErrorRecord
from gateway import shapes
from gateway.context import answer, catalog, key, staleness, visible
from gateway.endpoints import endpoint
from gateway.paging import after, page

error_log = APIBlueprint("errors", __name__, url_prefix="/api/v1/errors", tag="errors")


@endpoint(error_log, "GET", "", summary="List errors", query=shapes.ErrorsQuery, answers=shapes.ErrorPage)
def list_errors(query: shapes.ErrorsQuery) -> Response:
    """Newest first; the same error within an hour is one entry with a count."""
    items = [error_document(record) for record in _found(query)]
    return answer({**page(items, query.limit, "id"), **staleness()})


def _found(query: shapes.ErrorsQuery) -> list[ErrorRecord]:
    before = after(query.cursor, int)
    if before is not None:
        before = max(min(before, 2**63 - 1), 0)
    limit = query.limit + 1
    if key().pairs is None or (query.pair is not None and visible(query.pair)):
        return catalog().errors(query.pair, limit, before)
    pairs = [pair for pair in key().pairs or () if query.pair in (None, pair)]
    found = [record for pair in pairs for record in catalog().errors(pair, limit, before)]
    return sorted(found, key=lambda record: -record.id)[:limit]
