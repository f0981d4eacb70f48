"""The app factory."""

from __future__ import annotations

import hashlib
import hmac

from apiflask import APIFlask

from gateway import errors, openapi, requests
from gateway.access import check_routes
from gateway.context import Parts
from gateway.routes.connectors import connectors
from gateway.routes.error_log import error_log
from gateway.routes.keys import keys
from gateway.routes.operations import operations
from gateway.routes.pages import pages
from gateway.routes.pairs import pairs
from gateway.routes.probes import probes
from gateway.routes.service import service
from gateway.routes.systems import systems

MAX_BODY_BYTES = 1_048_576


def create_app(parts: Parts, session_secret: str) -> APIFlask:
    """The gateway's app. `session_secret`: signs the dashboard's cookies. Raises RuntimeError when a route has no
    scope in `gateway/access.py`."""
    app = APIFlask(
        "gateway", title="TerraFusion gateway", version="1", spec_path="/api/v1/openapi.json", docs_path=None
    )
    app.config.update(
        SECRET_KEY=hmac.new(session_secret.encode(), b"dashboard-session", hashlib.sha256).digest(),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        SESSION_COOKIE_NAME="tf_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.extensions["terrafusion"] = parts
    app.url_map.strict_slashes = False
    for blueprint in (probes, service, systems, pairs, operations, connectors, error_log, keys, pages):
        app.register_blueprint(blueprint)
    errors.install(app)
    requests.install(app)
    openapi.install(app)
    check_routes(app)
    return app
