"""Every error of the gateway as a problem document."""

from __future__ import annotations

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from catalog.errors import CatalogError
from catalog.manifest import ManifestError
from catalog.problems import PROBLEM_TYPE, Problem, ProblemError, problem_of
from gateway.context import trace_id

_log = structlog.get_logger("gateway")
_WORDS = {
    400: ("bad_request", "The request cannot be read."),
    404: ("not_found", "There is nothing at this address; /docs lists what is."),
    405: ("method_not_allowed", "This address does not take that method; /docs lists what it takes."),
    413: ("too_large", "The body is larger than 1 MiB; split it."),
    415: ("unsupported_media_type", "Send JSON, with the header Content-Type: application/json."),
}


def install(app: Flask) -> None:
    """Make `app` answer every error in the same form."""
    app.register_error_handler(ProblemError, _known)
    app.register_error_handler(ManifestError, _known)
    app.register_error_handler(CatalogError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def respond(problem: Problem) -> Response:
    """The answer that a problem is."""
    body = problem.body(trace_id())
    return Response(body, problem.status, headers=problem.headers, content_type=PROBLEM_TYPE)


def _known(error: ProblemError | ManifestError | CatalogError) -> Response:
    return respond(problem_of(error))


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    code, detail = _WORDS.get(status, ("error", error.name))
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    return respond(Problem(status, code, detail, headers=allowed))


def _unexpected(error: Exception) -> Response:
    _log.error("request failed", exc_info=error)
    detail = "The gateway failed on this request; its log has the details under this trace id."
    return respond(Problem(500, "internal", detail))
