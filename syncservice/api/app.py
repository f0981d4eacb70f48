"""The app factory of SyncService's API."""

from __future__ import annotations

from fastapi import FastAPI

from catalog.protocol import CatalogStore
from syncservice.api import answers, pairs, service, systems
from syncservice.api.access import Access
from syncservice.api.context import Context
from syncservice.api.engine import Engine

PREFIX = "/api/v1"
MIN_TOKEN_LENGTH = 16


def create_app(catalog: CatalogStore, engine: Engine, token: str) -> FastAPI:
    """The API over `catalog` and `engine`; every path but /livez needs `token` in X-Service-Token. Raises
    ValueError without a token of at least 16 characters: SyncService is never open."""
    if len(token) < MIN_TOKEN_LENGTH or token != token.strip():
        raise ValueError(
            f"SyncService needs a service token of at least {MIN_TOKEN_LENGTH} characters: "
            "put one into the file of TERRAFUSION_SERVICE_TOKEN_FILE."
        )
    app = FastAPI(
        title="TerraFusion SyncService",
        version="1",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = Context(catalog, engine)
    for router in (systems.router, pairs.router, service.api):
        app.include_router(router, prefix=PREFIX)
    app.include_router(service.probes)
    answers.install(app)
    app.add_middleware(Access, token=token)
    return app
