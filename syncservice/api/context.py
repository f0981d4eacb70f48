"""What the routes share: catalog and engine of their app, and the answers that several of them give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import Response

from catalog.errors import NotFound
from catalog.protocol import CatalogStore
from catalog.records import PairRecord, SystemRecord
from catalog.requests import is_name
from syncservice.api.engine import Engine


@dataclass(frozen=True)
class Context:
    """The two things that the API stands on."""

    catalog: CatalogStore
    engine: Engine

    def find_pair(self, name: str) -> PairRecord | None:
        """The pair, or None."""
        try:
            return self.pair(name)
        except NotFound:
            return None

    def find_system(self, name: str) -> SystemRecord | None:
        """The system, or None."""
        try:
            return self.system(name)
        except NotFound:
            return None

    def pair(self, name: str) -> PairRecord:
        """The pair. Raises NotFound, for impossible names too."""
        if not is_name(name):
            raise NotFound("There is no such sync pair; `terrafusion get pairs` lists them.")
        return self.catalog.pair(name)

    def system(self, name: str) -> SystemRecord:
        """The system. Raises NotFound, for impossible names too."""
        if not is_name(name):
            raise NotFound("There is no such system; `terrafusion get systems` lists them.")
        return self.catalog.system(name)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII (no text can break its encoding); values that JSON does not know are written as text."""
    body = json.dumps(document, default=str)
    return Response(body, status, headers=headers, media_type="application/json")


def outcome(before: SystemRecord | PairRecord | None, after: SystemRecord | PairRecord) -> str:
    """What a PUT did: created, configured or unchanged."""
    if before is None:
        return "created"
    return "unchanged" if before.version == after.version else "configured"
