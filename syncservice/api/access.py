"""The outermost layer: every request gets a trace id, is logged, and needs the shared token (but for /livez)."""

from __future__ import annotations

import hmac
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.problems import PROBLEM_TYPE, Problem, trace_id_of

MAX_BODY_BYTES = 1_048_576
OPEN_PATHS = frozenset({"/livez"})
_log = structlog.get_logger("syncservice.api")


class Access:
    """ASGI middleware. `token`: compared in constant time with the header X-Service-Token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        trace_id = trace_id_of(headers.get(b"x-trace-id", b"").decode("latin-1"))
        scope.setdefault("state", {})["trace_id"] = trace_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        exchange = _Exchange(send, trace_id)
        refusal = self._refusal(scope["path"], headers)
        try:
            if refusal is not None:
                await exchange.answer(refusal)
            else:
                await self._app(scope, _limited(receive), exchange.send)
        finally:
            exchange.log(scope["method"], scope["path"])

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> Problem | None:
        if path in OPEN_PATHS:
            return None
        given = headers.get(b"x-service-token", b"")
        if not hmac.compare_digest(given, self._token):
            return Problem(
                401,
                "service_token_missing" if not given else "service_token_wrong",
                "SyncService answers only to its gateway: send the shared token in X-Service-Token "
                "(the file of TERRAFUSION_SERVICE_TOKEN_FILE), or ask the gateway instead.",
            )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            return Problem(413, "too_large", f"The body is larger than {MAX_BODY_BYTES} bytes; split it.")
        return None


class _Exchange:
    """One answer: remembers its status for the log and adds the trace id to its headers."""

    def __init__(self, send: Send, trace_id: str) -> None:
        self._send = send
        self._trace_id = trace_id
        self._status = 500
        self._started = time.perf_counter()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-trace-id", self._trace_id.encode())]
        await self._send(message)

    async def answer(self, problem: Problem) -> None:
        body = problem.body(self._trace_id)
        headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def log(self, method: str, path: str) -> None:
        quiet = path in OPEN_PATHS or path in ("/readyz", "/metrics")
        milliseconds = round((time.perf_counter() - self._started) * 1000, 1)
        write = _log.debug if quiet and self._status < 400 else _log.info
        write("request", method=method, path=path[:200], status=self._status, ms=milliseconds)


def _limited(receive: Receive) -> Receive:
    """Cut off bodies that are longer than they said they would be: the rest is never read."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_BODY_BYTES:
            return {"type": "http.disconnect"}
        return message

    return limited
