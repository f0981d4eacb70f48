"""The gateway's client for SyncService: the shared token, the trace id, deadlines, and no secrets in errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from catalog.problems import RETRY_AFTER_S, ProblemError
from gateway.service_state import Snapshot

CONNECT_S = 1.0
WRITE_S = 60.0
ASK_S = 1.5


class SyncServiceClient:
    """Thread-safe. `state`: what the supervisor knows, for messages."""

    def __init__(
        self,
        address: str,
        token: str,
        state: Callable[[], Snapshot],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._state = state
        self._http = httpx.Client(
            base_url=address,
            headers={"X-Service-Token": token},
            timeout=httpx.Timeout(WRITE_S, connect=CONNECT_S),
            trust_env=False,
            transport=transport,
        )

    def send(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> httpx.Response:
        """Forward a write. Raises ProblemError: 503 when SyncService cannot be reached (nothing was done), 504 when
        it did not answer in time (it may have been done)."""
        try:
            return self._http.request(method, path, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise self._down() from None
        except httpx.HTTPError:
            detail = (
                "SyncService broke off or did not answer in time; look whether it was done before repeating."
            )
            raise ProblemError(504, "syncservice_timeout", detail, headers=_retry()) from None

    def report(self) -> dict[str, Any] | None:
        """What SyncService says about itself, None when it does not say it quickly."""
        try:
            response = self._http.get("/api/v1/service", timeout=ASK_S)
            report = response.json() if response.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None
        return report if isinstance(report, dict) else None

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _down(self) -> ProblemError:
        state = self._state()
        seen = (
            "It has not answered yet" if state.age_s is None else f"It last answered {state.age_s:.0f} s ago"
        )
        why = f" (last restart: {state.restarts[-1].reason})" if state.restarts else ""
        detail = (
            f"SyncService is not running. {seen}{why}; the gateway is bringing it back. Reads still work; "
            "repeat this in a moment, or read .terrafusion/logs/syncservice.log."
        )
        return ProblemError(503, "syncservice_unavailable", detail, headers=_retry())


def _retry() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S)}
