"""The pages for people: overview, sign-in, and the list of the API's routes. Plain HTML, no script."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import structlog
from apiflask import APIBlueprint
from flask import Response, current_app, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as BaseResponse

from catalog.documents import freshness_document
from catalog.errors import CatalogUnavailable
from catalog.records import OperationRecord, PairRecord
from gateway import sessions
from gateway.context import Json, catalog, parts, visible
from gateway.keys import KeyRefused
from gateway.report_age import report_staleness
from gateway.words import ago, amount, duration

pages = APIBlueprint("pages", __name__, enable_openapi=False)
_log = structlog.get_logger("gateway")
_SLOW_DOWN_S = 0.5


@pages.route("/", methods=["GET"])
def overview() -> Response:
    """Every pair with state, reason, lag, freshness and last operation; refreshed every few seconds."""
    trouble, rows = "", []
    try:
        last = catalog().last_operations()
        rows = [_row(pair, last.get(pair.name)) for pair in catalog().pairs() if visible(pair.name)]
    except CatalogUnavailable as error:
        trouble = str(error)
    return _page("overview.html", rows=rows, trouble=trouble, service=_service(), refresh=3)


@pages.route("/sign-in", methods=["GET"])
def sign_in_form() -> Response:
    """The form that takes an API key."""
    return _page("sign_in.html", wrong="")


@pages.route("/sign-in", methods=["POST"])
def sign_in() -> BaseResponse:
    """Check the key and open a session."""
    if not sessions.csrf_matches(request.form.get("csrf", "")):
        return _page("sign_in.html", 400, wrong="The form was too old. Please try again.")
    try:
        record = parts().keys.verify(request.form.get("key", "").strip())
    except KeyRefused:
        _log.warning("sign-in refused", remote=request.remote_addr)
        time.sleep(_SLOW_DOWN_S)
        return _page("sign_in.html", 403, wrong="This key is not valid: it is mistyped, revoked or expired.")
    except CatalogUnavailable:
        return _page("sign_in.html", 503, wrong="The catalog does not answer, so the key cannot be checked.")
    sessions.open_session(record)
    return redirect("/", 303)


@pages.route("/sign-out", methods=["POST"])
def sign_out() -> BaseResponse:
    """End the session."""
    if sessions.csrf_matches(request.form.get("csrf", "")):
        session.clear()
    return redirect("/sign-in", 303)


@pages.route("/docs", methods=["GET"])
def docs() -> Response:
    """Every route of the API with its scope; the whole contract is /api/v1/openapi.json."""
    spec: Any = current_app._get_spec("json")  # type: ignore[attr-defined]
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation["summary"],
            "scope": operation["x-scope"],
        }
        for path, operations in sorted(spec["paths"].items())
        for method, operation in operations.items()
    ]
    return _page("docs.html", routes=routes)


def _page(template: str, status: int = 200, **values: Any) -> Response:
    signed_in = isinstance(session.get("key"), str)
    html = render_template(template, csrf=sessions.csrf_token(), signed_in=signed_in, **values)
    return make_response(html, status)


def _row(pair: PairRecord, last: OperationRecord | None) -> Json:
    freshness = freshness_document(pair)
    age = report_staleness(pair)
    return {
        "name": pair.name,
        "way": f"{pair.spec.source} → {pair.spec.target}",
        "tables": len(pair.spec.tables),
        "state": "deleting" if pair.desired == "deleted" else pair.state,
        "reason": pair.reason or "",
        "lag_rows": amount(pair.status.get("lag_records")),
        "lag": duration(pair.status.get("lag_seconds")),
        "latency": duration(_seconds(pair.status.get("latency_p50_ms"))),
        "freshness": {True: "fresh", False: "late", None: "unknown"}[freshness["met"]],
        "objective": duration(freshness["objective_s"]),
        "report": ago(pair.status_at, datetime.now(UTC)),
        "stale": age["stale"],
        "operation": _operation(last),
    }


def _operation(last: OperationRecord | None) -> Json | None:
    if last is None:
        return None
    now = datetime.now(UTC)
    done, total = last.progress.get("rows_done"), last.progress.get("rows_total")
    rows = f"{amount(done)} of {amount(total)} rows" if last.state == "running" and done is not None else ""
    remedy = (last.error or {}).get("message", "")
    return {
        "kind": last.kind,
        "state": last.state,
        "when": ago(last.finished_at or last.started_at or last.requested_at, now),
        "detail": remedy or (f"{last.phase} {rows}".strip() if last.state == "running" else ""),
    }


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else None


def _service() -> Json:
    state = parts().state.snapshot()
    last = state.restarts[-1] if state.restarts else None
    return {
        "up": state.up,
        "since": ago(state.since, datetime.now(UTC)) if state.up else "",
        "seen": duration(state.age_s),
        "restarts": state.restarts_total,
        "last_restart": f"{ago(last.at, datetime.now(UTC))}: {last.reason}" if last else "",
    }
