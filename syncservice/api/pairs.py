"""Routes of sync pairs: they write what is wanted and wake the reconcile loop, which does the rest."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path
from starlette.responses import Response

from catalog.documents import etag, operation_document, pair_document
from catalog.manifest import ManifestError, ManifestProblem, SyncPairSpec
from catalog.records import Desired
from catalog.requests import OperationRequest, check_tables, pair_of
from syncservice.api.context import Context, Ctx, answer, outcome
from syncservice.api.preconditions import expected_version
from syncservice.api.rules import problems_between

router = APIRouter(prefix="/sync-pairs", tags=["sync-pairs"])
Name = Annotated[str, Path(max_length=200)]
Requester = Annotated[str, Header(alias="X-Requested-By", max_length=200)]


@router.put("/{name}")
def put_pair(
    name: Name,
    context: Ctx,
    body: Annotated[Any, Body()],
    if_match: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Create or replace; idempotent. The body is the manifest, checked against both databases first."""
    document = pair_of(name, body)
    before = context.find_pair(name)
    version = expected_version(before, if_match, if_none_match)
    if before is None or before.spec != document.spec:
        problems = _problems(context, name, document.spec)
        if problems:
            raise ManifestError(problems)
    record = context.catalog.put_pair(name, document.spec, version)
    did = outcome(before, record)
    if did != "unchanged":
        context.engine.wake()
    shown = {**pair_document(record), "outcome": did}
    return answer(shown, 201 if before is None else 200, {"ETag": etag(record)})


@router.delete("/{name}")
def delete_pair(name: Name, context: Ctx) -> Response:
    """Stop and remove the pair, and what only it needed. Goes on after the answer: 404 says that it is gone."""
    context.pair(name)
    return _desire(context, name, "deleted")


@router.post("/{name}/validate")
def validate_pair(name: Name, context: Ctx, body: Annotated[Any, Body()] = None) -> Response:
    """A dry run of PUT with the body, or of the stored manifest when there is no body."""
    spec = context.pair(name).spec if body is None else pair_of(name, body).spec
    problems = _problems(context, name, spec)
    errors = [{"path": p.path, "message": p.message, "allowed": p.allowed} for p in problems]
    return answer({"pair": name, "valid": not errors, "errors": errors})


@router.post("/{name}/pause")
def pause_pair(name: Name, context: Ctx) -> Response:
    """Stop applying; events wait in Kafka."""
    context.pair(name)
    return _desire(context, name, "paused")


@router.post("/{name}/resume")
def resume_pair(name: Name, context: Ctx) -> Response:
    """Go on where it stopped; also what a halted pair needs once its cause is mended."""
    context.pair(name)
    context.catalog.set_desired(name, "running")
    context.catalog.set_pair_state(name, "preparing", None)  # the reconcile loop tries a halted pair again
    context.engine.wake()
    return answer(pair_document(context.pair(name)), 202)


@router.post("/{name}/operations")
def start_operation(
    name: Name, context: Ctx, body: OperationRequest, requester: Requester = "unknown"
) -> Response:
    """Queue a full sync, an incremental catch-up or a verification."""
    pair = context.pair(name)
    check_tables(body.tables, [table.to for table in pair.spec.tables])
    operation = context.catalog.enqueue(name, body.kind, body.tables, requester)
    context.engine.wake()
    location = {"Location": f"/api/v1/operations/{operation.id}"}
    return answer(operation_document(operation), 202, location)


def _problems(context: Context, name: str, spec: SyncPairSpec) -> list[ManifestProblem]:
    between = problems_between(name, spec, context.catalog.systems(), context.catalog.pairs())
    return between or list(context.engine.validate_pair(spec))


def _desire(context: Context, name: str, desired: Desired) -> Response:
    record = context.catalog.set_desired(name, desired)
    context.engine.wake()
    return answer(pair_document(record), 202)
