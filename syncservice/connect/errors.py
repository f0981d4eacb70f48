"""What can go wrong with Kafka Connect, as seen from SyncService.

    ConnectFailure
    ├── ConnectUnavailable      the worker does not answer (retry: timed)
    └── ConnectError            it answers no; `status` is the HTTP status
        ├── ConnectorMissing    404
        └── ConnectorConflict   something of an earlier life is in the way, or a wait ran out

Messages never hold a secret: Connect keeps passwords as `${file:…}` references, and texts from
traces pass :func:`syncservice.connect.health.redacted`.
"""

from __future__ import annotations

from typing import Literal

Retry = Literal["timed", "manual", "never"]


class ConnectFailure(Exception):
    """Root; `code` for programs, `retry` says whether waiting helps, `remedy` what a person does."""

    code = "connect_failed"
    retry: Retry = "manual"
    remedy = "See the log of Kafka Connect."


class ConnectUnavailable(ConnectFailure):
    """No answer from Kafka Connect, or it stayed busy (rebalancing) beyond our patience."""

    code = "connect_unavailable"
    retry: Retry = "timed"
    remedy = (
        "Check that Kafka Connect runs and that CONNECT_URL names it; the work goes on by itself afterwards."
    )


class ConnectError(ConnectFailure):
    """Kafka Connect refused a request."""

    def __init__(self, message: str, *, status: int, code: str = "connect_refused", remedy: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.remedy = remedy or ConnectFailure.remedy


class ConnectorMissing(ConnectError):
    """There is no connector, or no plugin, of that name; or Connect is still starting."""

    retry = "timed"

    def __init__(self, message: str) -> None:
        super().__init__(
            message, status=404, code="connector_missing", remedy="It is created again by the next reconcile."
        )


class ConnectorConflict(ConnectError):
    """Left-overs of an earlier connector, or a state that was not reached in time."""

    def __init__(self, message: str, *, code: str, remedy: str) -> None:
        super().__init__(message, status=409, code=code, remedy=remedy)
