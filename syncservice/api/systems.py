"""Routes of external systems."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header
from starlette.responses import Response

from catalog.documents import etag, system_document
from catalog.requests import system_of
from syncservice.api.context import Ctx, answer, outcome
from syncservice.api.engine import CheckItem
from syncservice.api.preconditions import expected_version

router = APIRouter(prefix="/systems", tags=["systems"])


@router.put("/{name}")
def put_system(
    name: str,
    context: Ctx,
    body: Annotated[Any, Body()],
    if_match: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Create or replace; idempotent. The body is the manifest."""
    document = system_of(name, body)
    before = context.find_system(name)
    version = expected_version(before, if_match, if_none_match)
    record = context.catalog.put_system(name, document.spec, version)
    did = outcome(before, record)
    if did != "unchanged":
        context.engine.wake()
    shown = {**system_document(record), "outcome": did}
    return answer(shown, 201 if before is None else 200, {"ETag": etag(record)})


@router.delete("/{name}")
def delete_system(name: str, context: Ctx) -> Response:
    """Forget a system that no pair uses."""
    context.system(name)
    context.catalog.delete_system(name)
    return Response(status_code=204)


@router.post("/{name}/check")
def check_system(name: str, context: Ctx) -> Response:
    """What the system has and lacks for the pairs that use it, each with the statement that mends it."""
    record = context.system(name)
    pairs = [pair.spec for pair in context.catalog.pairs() if name in (pair.spec.source, pair.spec.target)]
    items = [_item(item) for item in context.engine.check_system(name, record.spec, pairs)]
    return answer({"system": name, "ok": all(item["ok"] for item in items), "items": items})


def _item(item: CheckItem) -> dict[str, Any]:
    return {"name": item.name, "ok": item.ok, "message": item.message, "statement": item.statement}
