"""Errors as RFC 9457 problem documents: one form for the gateway and SyncService."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from catalog.errors import CatalogError, CatalogUnavailable, NotFound, VersionMismatch
from catalog.manifest import ManifestError, ManifestProblem

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_TRACE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True)
class Problem:
    """What went wrong, for a program (`code`, `errors`) and for a person (`detail`, which names the fix)."""

    status: int
    code: str
    detail: str
    errors: tuple[ManifestProblem, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, trace_id: str) -> bytes:
        """The JSON document (ASCII, so that no input can break its encoding)."""
        return json.dumps(self.document(trace_id)).encode("ascii")

    def document(self, trace_id: str) -> dict[str, Any]:
        """{"type", "title", "status", "detail", "code", "errors": [{"path", "message", "allowed"}], "trace_id"}"""
        return {
            "type": f"urn:terrafusion:problem:{self.code}",
            "title": _title(self.status),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "errors": [problem_item(item) for item in self.errors],
            "trace_id": trace_id,
        }


class ProblemError(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[ManifestProblem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(status, code, detail, tuple(errors), headers or {})


def problem_item(item: ManifestProblem) -> dict[str, str]:
    """One entry of `errors[]`."""
    return {"path": item.path, "message": item.message, "allowed": item.allowed}


def invalid(errors: Sequence[ManifestProblem], code: str = "invalid") -> ProblemError:
    """422 with every error."""
    return ProblemError(422, code, "; ".join(map(str, errors))[:2000], errors)


def problem_of(error: CatalogError | ManifestError | ProblemError) -> Problem:
    """The problem that a catalog's or manifest's error is."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, ManifestError):
        return invalid(error.errors, error.code).problem
    if isinstance(error, CatalogUnavailable):
        return Problem(503, error.code, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})
    if isinstance(error, NotFound):
        return Problem(404, error.code, str(error))
    return Problem(412 if isinstance(error, VersionMismatch) else 409, error.code, str(error))


def trace_id_of(given: str | None) -> str:
    """The caller's trace id where it is well-formed, else a new one."""
    return given if given and _TRACE_ID.fullmatch(given) else secrets.token_hex(16)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
