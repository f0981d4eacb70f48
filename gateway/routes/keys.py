"""API keys: made, listed, revoked by admins. The secret is shown once, in the answer that makes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import Response

from catalog.documents import key_document
from catalog.errors import NotFound
from catalog.manifest import ManifestProblem
from catalog.problems import invalid
from gateway import shapes
from gateway.context import answer, catalog, parts
from gateway.endpoints import endpoint
from gateway.paging import after, cursor_of

keys = APIBlueprint("keys", __name__, url_prefix="/api/v1/keys", tag="keys")
_ID = re.compile(r"[A-Za-z0-9]{1,64}")


@endpoint(keys, "GET", "", summary="List keys", query=shapes.ListQuery, answers=shapes.KeyPage)
def list_keys(query: shapes.ListQuery) -> Response:
    """Oldest first, revoked ones too; neither secrets nor their hashes."""
    records = catalog().keys()
    last = after(query.cursor, str)
    ids = [record.id for record in records]
    start = ids.index(last) + 1 if last in ids else 0
    rest = records[start:]
    shown = rest[: query.limit]
    cursor = cursor_of(shown[-1].id) if len(rest) > query.limit else None
    return answer({"items": [key_document(record) for record in shown], "next_cursor": cursor})


@endpoint(keys, "POST", "", summary="Create a key", body=shapes.KeyRequest, answers=shapes.Key, status=201)
def create_key(body: shapes.KeyRequest) -> Response:
    """The answer holds the key; it is not shown again."""
    expires = body.expires_at
    if expires is not None and expires.tzinfo is None:
        raise invalid([ManifestProblem("expires_at", "has no time zone", "2030-01-31T00:00:00Z")])
    if expires is not None and expires <= datetime.now(UTC):
        raise invalid([ManifestProblem("expires_at", "lies in the past", "a time to come")])
    record, key = parts().keys.create(body.name, body.scopes, body.pairs, expires)
    headers = {"Location": f"/api/v1/keys/{record.id}", "Cache-Control": "no-store"}
    return answer({**key_document(record), "key": key}, 201, headers)


@endpoint(keys, "DELETE", "/<id>", summary="Revoke a key", answers=shapes.Key)
def revoke_key(id: str) -> Response:
    """At once and for good; again is fine."""
    if not _ID.fullmatch(id):
        raise NotFound("There is no such key; `terrafusion keys list` shows them.")
    return answer(key_document(parts().keys.revoke(id)))
