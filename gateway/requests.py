"""What happens around every request: trace id, key and scope, log, metrics, headers."""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, make_response, redirect, render_template, request
from prometheus_client import Histogram
from werkzeug.wrappers import Response as BaseResponse

from catalog.errors import CatalogUnavailable
from catalog.problems import RETRY_AFTER_S, ProblemError, trace_id_of
from gateway.access import Access, access_of
from gateway.context import parts
from gateway.keys import KeyRefused, allows, sees
from gateway.sessions import session_key

_log = structlog.get_logger("gateway")
_duration = Histogram(
    "http_request_duration_seconds", "Duration of HTTP requests.", ["app", "method", "route", "status"]
)
_QUIET = frozenset({"/livez", "/readyz", "/metrics", "/static/<path:filename>"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}


def install(app: Flask) -> None:
    """Put all of it around every request of `app`."""
    app.before_request(_begin)
    app.before_request(_authorise)
    app.after_request(_end)


def _begin() -> None:
    g.started = time.perf_counter()
    g.trace_id = trace_id_of(request.headers.get("X-Trace-Id"))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(trace_id=g.trace_id)


def _authorise() -> BaseResponse | None:
    if request.url_rule is None:
        return None  # 404 or 405, and nothing to protect
    access = access_of(request.method, request.url_rule.rule)
    way = access.way
    if way == "metrics":
        way = "open" if parts().settings.gateway_metrics_open else "key"
    if way == "open":
        return None
    if way == "session":
        return _require_session()
    _require_key(access)
    return None


def _require_session() -> BaseResponse | None:
    """People are led to the sign-in page, and told in a page, not in JSON, that the catalog is down."""
    try:
        g.key = session_key(parts().keys)
    except CatalogUnavailable as error:
        page = render_template("trouble.html", trouble=str(error), refresh=5)
        return make_response(page, 503, {"Retry-After": str(RETRY_AFTER_S)})
    return redirect("/sign-in", 303) if g.key is None else None


def _require_key(access: Access) -> None:
    given = request.headers.get("X-API-Key", "")
    if not given:
        detail = "Send an API key in the header X-API-Key; `terrafusion keys create` makes one."
        raise ProblemError(401, "key_missing", detail, headers={"WWW-Authenticate": "ApiKey"})
    try:
        g.key = parts().keys.verify(given)
    except KeyRefused:
        detail = "The API key is not valid: it is mistyped, revoked or expired."
        raise ProblemError(401, "key_refused", detail, headers={"WWW-Authenticate": "ApiKey"}) from None
    structlog.contextvars.bind_contextvars(key=g.key.id)
    if not allows(g.key, access.scope):
        detail = f"This needs a key with the scope {access.scope}; yours has {', '.join(g.key.scopes)}."
        raise ProblemError(403, "scope_missing", detail)
    if g.key.pairs is not None:
        _check_limit(access)


def _check_limit(access: Access) -> None:
    if access.limit == "whole":
        detail = "Your key is limited to some sync pairs; this concerns more than those."
        raise ProblemError(403, "key_limited", detail)
    name = (request.view_args or {}).get("name", "")
    if access.limit == "pair" and not sees(g.key, name):
        raise ProblemError(403, "key_limited", "Your key is not for this sync pair.")


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    route = request.url_rule.rule if request.url_rule else "none"
    _duration.labels("gateway", request.method, route, response.status_code).observe(seconds)
    response.headers["X-Trace-Id"] = g.trace_id
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not route.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    write = _log.debug if route in _QUIET and response.status_code < 400 else _log.info
    write(
        "request",
        method=request.method,
        path=request.path[:200],
        status=response.status_code,
        ms=round(seconds * 1000, 1),
        remote=request.remote_addr,
    )
    return response
