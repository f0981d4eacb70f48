"""Every error of the API as a problem document; the one place that maps errors to statuses."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from catalog.errors import CatalogError
from catalog.manifest import ManifestError, ManifestProblem
from catalog.names import format_path
from catalog.problems import PROBLEM_TYPE, RETRY_AFTER_S, Problem, ProblemError, invalid, problem_of
from catalog.secrets import SecretError
from syncservice.connect.errors import ConnectFailure
from syncservice.errors import SyncError
from syncservice.sources.errors import SourceFailure

Failure = SyncError | ConnectFailure | SourceFailure | SecretError

_log = structlog.get_logger("syncservice.api")


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the same form."""
    app.add_exception_handler(ProblemError, _expected)
    app.add_exception_handler(ManifestError, _expected)
    app.add_exception_handler(CatalogError, _expected)
    for failure in (SyncError, ConnectFailure, SourceFailure, SecretError):
        app.add_exception_handler(failure, _failure)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def failure_problem(error: Failure) -> Problem:
    """What mends itself: 503, come back; anything that a person must mend: 409."""
    remedy = "" if isinstance(error, SecretError) else error.remedy
    detail = f"{str(error).rstrip('.')}. {remedy}".strip()
    if error.retry == "timed":
        return Problem(503, error.code, detail, headers={"Retry-After": str(RETRY_AFTER_S)})
    return Problem(409, error.code, detail)


def _answer(request: Request, problem: Problem) -> Response:
    body = problem.body(request.state.trace_id)
    return Response(body, problem.status, headers=problem.headers, media_type=PROBLEM_TYPE)


def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError | ManifestError | CatalogError)  # noqa: S101  (how it is registered)
    return _answer(request, problem_of(error))


def _failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, Failure)  # noqa: S101
    return _answer(request, failure_problem(error))


def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems = [
        ManifestProblem(format_path(item["loc"][1:]), _sentence(item["type"], item["msg"]))
        for item in error.errors()
    ]
    return _answer(request, invalid(problems).problem)


def _sentence(kind: str, message: str) -> str:
    return "the body is not valid JSON" if kind == "json_invalid" else message


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    codes = {404: "not_found", 405: "method_not_allowed", 400: "bad_request"}
    details = {
        404: "There is nothing at this address; /api/v1/openapi.json lists what is.",
        405: "This address does not take that method; /api/v1/openapi.json lists what it takes.",
        400: "The body cannot be read as JSON.",
    }
    detail = details.get(error.status_code, str(error.detail))
    problem = Problem(
        error.status_code, codes.get(error.status_code, "error"), detail, headers=dict(error.headers or {})
    )
    return _answer(request, problem)


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("request failed", path=request.url.path[:200], exc_info=error)
    detail = "SyncService failed on this request; its log has the details under this trace id."
    return _answer(request, Problem(500, "internal", detail))
