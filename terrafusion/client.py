"""A client of the gateway's REST API, for the CLI and for programs.

    with Client("http://127.0.0.1:5000", key) as client:
        operation = client.start("pacs-to-cama", "full")
        client.wait(operation["id"])

ClientError
├── Unreachable   nobody listens at the address
└── ApiError      the gateway answered with a problem (RFC 9457)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

Json = dict[str, Any]
Kind = Literal["full", "incremental", "verify"]
PAGE = 200
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class ClientError(Exception):
    """Base; the message says what to do."""


class Unreachable(ClientError):
    """Nobody answers at the gateway's address."""


class ApiError(ClientError):
    """A problem document. `errors`: [{"path", "message", "allowed"}]."""

    def __init__(self, document: Json) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or "unknown error"))
        self.status = int(document.get("status", 0))
        self.code = str(document.get("code", ""))
        self.errors: list[Json] = list(document.get("errors") or [])
        self.trace_id = str(document.get("trace_id", ""))


class Client:
    """One gateway. `patience`: seconds to go on trying while SyncService is being (re)started; `on_wait(message)` is
    called once when that begins."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        patience: float = 60.0,
        on_wait: Callable[[str], None] = lambda message: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._patience = patience
        self._on_wait = on_wait
        headers = {"X-API-Key": key} if key else {}
        timeout = httpx.Timeout(90.0, connect=5.0)
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout, trust_env=False, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # manifests

    def apply(self, document: Json, *, if_match: str | None = None) -> Json:
        """PUT a manifest; the answer's `outcome` is created, configured or unchanged."""
        folder = "systems" if document.get("kind") == "System" else "sync-pairs"
        name = _part(str(document.get("metadata", {}).get("name", "")))
        headers = {"If-Match": if_match} if if_match else {}
        return self.request("PUT", f"/{folder}/{name}", body=document, headers=headers)

    def systems(self) -> list[Json]:
        """All systems."""
        return list(self.items("/systems"))

    def system(self, name: str) -> Json:
        """One system."""
        return self.request("GET", f"/systems/{_part(name)}")

    def check(self, system: str) -> Json:
        """{"system", "ok", "items": [{"name", "ok", "message", "statement"}]}"""
        return self.request("POST", f"/systems/{_part(system)}/check")

    def delete_system(self, name: str) -> None:
        """Delete a system that no pair uses."""
        self.request("DELETE", f"/systems/{_part(name)}")

    def pairs(self) -> list[Json]:
        """All sync pairs."""
        return list(self.items("/sync-pairs"))

    def pair(self, name: str) -> Json:
        """One sync pair."""
        return self.request("GET", f"/sync-pairs/{_part(name)}")

    def status(self, pair: str) -> Json:
        """State, lag, freshness and the live report of a pair."""
        return self.request("GET", f"/sync-pairs/{_part(pair)}/status")

    def delete_pair(self, name: str) -> Json:
        """Begin to delete a pair; it is gone when `pair` raises ApiError with status 404."""
        return self.request("DELETE", f"/sync-pairs/{_part(name)}")

    def pause(self, pair: str) -> Json:
        """Stop applying."""
        return self.request("POST", f"/sync-pairs/{_part(pair)}/pause")

    def resume(self, pair: str) -> Json:
        """Go on applying."""
        return self.request("POST", f"/sync-pairs/{_part(pair)}/resume")

    # operations

    def start(self, pair: str, kind: Kind, tables: Sequence[str] = ()) -> Json:
        """Queue an operation. `tables`: target tables, none for all."""
        body = {"kind": kind, "tables": list(tables)}
        return self.request("POST", f"/sync-pairs/{_part(pair)}/operations", body=body)

    def operation(self, id: str) -> Json:
        """One operation, with its counts per table."""
        return self.request("GET", f"/operations/{_part(id)}")

    def operations(self, *, pair: str | None = None, state: str | None = None, limit: int = 50) -> list[Json]:
        """Newest first, at most `limit`."""
        return list(self.items("/operations", limit=limit, pair=pair, state=state))

    def cancel(self, id: str) -> Json:
        """Ask an operation to stop."""
        return self.request("POST", f"/operations/{_part(id)}/cancel")

    def wait(
        self, id: str, on_progress: Callable[[Json], None] = lambda operation: None, *, every: float = 0.5
    ) -> Json:
        """The operation when it has ended; `on_progress` sees it on the way. A gateway that goes away for less than
        `patience` seconds is waited for."""
        lost_at: float | None = None
        while True:
            try:
                operation = self.operation(id)
            except ClientError as error:
                if isinstance(error, ApiError) and error.status != 503:
                    raise
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > self._patience:
                    raise
            else:
                lost_at = None
                on_progress(operation)
                if operation["state"] in ENDED:
                    return operation
            time.sleep(every)

    # the rest

    def connectors(self) -> list[Json]:
        """All connectors."""
        return list(self.items("/connectors"))

    def connector(self, name: str) -> Json:
        """One connector."""
        return self.request("GET", f"/connectors/{_part(name)}")

    def restart_connector(self, name: str) -> Json:
        """Restart a connector's failed tasks."""
        return self.request("POST", f"/connectors/{_part(name)}/restart")

    def errors(self, *, pair: str | None = None, limit: int = 50) -> list[Json]:
        """The error log, newest first."""
        return list(self.items("/errors", limit=limit, pair=pair))

    def service(self) -> Json:
        """Availability, uptime and restarts of SyncService."""
        return self.request("GET", "/service")

    def keys(self) -> list[Json]:
        """All keys, without secrets."""
        return list(self.items("/keys"))

    def create_key(
        self,
        name: str,
        scopes: Sequence[str],
        pairs: Sequence[str] | None = None,
        expires_at: str | None = None,
    ) -> Json:
        """A new key; the answer's `key` is shown only now."""
        body = {
            "name": name,
            "scopes": list(scopes),
            "pairs": list(pairs) if pairs else None,
            "expires_at": expires_at,
        }
        return self.request("POST", "/keys", body=body)

    def revoke_key(self, id: str) -> Json:
        """End a key at once."""
        return self.request("DELETE", f"/keys/{_part(id)}")

    def items(self, path: str, *, limit: int | None = None, **filters: str | None) -> Iterator[Json]:
        """The items of a list, page by page, at most `limit` (None: all)."""
        left, cursor = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            given = {"limit": str(size), "cursor": cursor, **filters}
            query = {name: value for name, value in given.items() if value is not None}
            page = self.request("GET", path, query=query)
            yield from page["items"][:left]
            left = None if left is None else left - len(page["items"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        """One request below /api/v1; {} for an answer without content. While SyncService is not running yet (nothing
        was done then), it is repeated for `patience` seconds. Raises ApiError and Unreachable."""
        began, waited = time.monotonic(), False
        while True:
            try:
                return self._once(method, path, body, query, headers)
            except ApiError as error:
                if error.code != "syncservice_unavailable" or time.monotonic() - began > self._patience:
                    raise
                if not waited:
                    self._on_wait("SyncService is not running yet; waiting for it …")
                waited = True
            time.sleep(1.0)

    def _once(
        self,
        method: str,
        path: str,
        body: Json | None,
        query: dict[str, str] | None,
        headers: dict[str, str] | None,
    ) -> Json:
        try:
            response = self._http.request(method, f"/api/v1{path}", json=body, params=query, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise Unreachable(
                f"Nobody answers at {self.url}. Run `terrafusion stack up`, or name another server with --server."
            ) from None
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} broke off ({type(error).__name__}). Try again.") from None
        if response.is_success:
            return _object(response) or {}
        raise ApiError(
            _object(response) or {"status": response.status_code, "detail": _not_ours(self.url, response)}
        )


def _part(name: str) -> str:
    """A name as one part of a path; an empty one would be another path."""
    if not name:
        raise ClientError("A name is empty.")
    return quote(name, safe="")


def _object(response: httpx.Response) -> Json | None:
    try:
        value = response.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _not_ours(url: str, response: httpx.Response) -> str:
    return f"{url} answered {response.status_code}, but not like a TerraFusion gateway; check --server."
