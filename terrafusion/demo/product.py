"""The product as the demo sees it: the gateway's REST API, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from terrafusion.demo.errors import DemoError

Document = dict[str, Any]
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.25
COLLECTIONS = {"System": "systems", "SyncPair": "sync-pairs"}


@dataclass(frozen=True)
class Operation:
    """One operation as the API reports it; `progress`, `result` and `error` have the shapes of the contract."""

    id: str
    kind: str
    state: str
    phase: str
    progress: Mapping[str, Any]
    result: Mapping[str, Any]
    error: Mapping[str, Any] | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Operation:
        return cls(
            str(document["id"]),
            str(document["kind"]),
            str(document["state"]),
            str(document.get("phase") or ""),
            document.get("progress") or {},
            document.get("result") or {},
            document.get("error") or None,
        )

    @property
    def finished(self) -> bool:
        return self.state in {"succeeded", "failed", "cancelled"}

    def succeeded(self) -> Operation:
        """Itself; raises DemoError with the operation's own words when it did not succeed."""
        if self.state != "succeeded":
            error = self.error or {}
            raise DemoError(
                f"the {self.kind} operation {self.id} {self.state}: {error.get('message', 'no reason given')}",
                str(error.get("remedy") or "terrafusion stack logs syncservice"),
            )
        return self


@dataclass
class Product:
    """A gateway's address and a key of scope operate or above. Waits up to a minute while a service restarts."""

    url: str
    key: str
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1", headers={"X-API-Key": self.key}, timeout=30, trust_env=False
        )

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Create or change what the manifest describes."""
        path = f"/{COLLECTIONS[manifest['kind']]}/{manifest['metadata']['name']}"
        self._call("PUT", path, manifest)

    def pair(self, name: str) -> Document | None:
        """The sync pair, None when there is none."""
        return self._find(f"/sync-pairs/{name}")

    def pairs(self) -> list[Document]:
        return _items(self._call("GET", "/sync-pairs").json())

    def delete_pair(self, name: str) -> None:
        """Ask for the pair to be removed; it is gone when `pair` says None."""
        self._call("DELETE", f"/sync-pairs/{name}", absent_ok=True)

    def status(self, name: str) -> Document:
        """The live report of a pair."""
        document: Document = self._call("GET", f"/sync-pairs/{name}/status").json()
        return document

    def operations(self, pair: str) -> list[Operation]:
        """The pair's operations, newest first as the API lists them."""
        answer = self._call("GET", f"/operations?pair={pair}&limit=200", absent_ok=True)
        return [] if answer.is_error else [Operation.of(item) for item in _items(answer.json())]

    def operation(self, identity: str) -> Operation:
        return Operation.of(self._call("GET", f"/operations/{identity}").json())

    def start(self, pair: str, kind: str) -> Operation:
        """Request an operation (full, incremental, verify)."""
        answer = self._call("POST", f"/sync-pairs/{pair}/operations", {"kind": kind})
        document = answer.json() if answer.content else {}
        return self.operation(str(document.get("id") or answer.headers["Location"].rsplit("/", 1)[-1]))

    def follow(
        self,
        operation: Operation,
        seconds: float,
        on_change: Callable[[Operation], None] = lambda _operation: None,
    ) -> Operation:
        """Wait until the operation has finished and succeeded; `on_change` is called at every look."""
        deadline = time.monotonic() + seconds
        while not operation.finished:
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the {operation.kind} operation {operation.id} has not finished in {seconds:.0f} s"
                    f" (phase {operation.phase or '?'})",
                    "terrafusion stack logs syncservice",
                )
            on_change(operation)
            time.sleep(POLL_SECONDS)
            operation = self.operation(operation.id)
        on_change(operation)
        return operation.succeeded()

    def _find(self, path: str) -> Document | None:
        answer = self._call("GET", path, absent_ok=True)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        document: Document = answer.json()
        return document

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, absent_ok: bool = False
    ) -> httpx.Response:
        """One request. 503, and for all but POST an unanswered one, are tried again until patience ends."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                if method == "POST" or time.monotonic() > deadline:
                    raise DemoError(
                        f"the gateway at {self.url} does not answer: {error}", "terrafusion stack status"
                    ) from error
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    break
            time.sleep(0.5)
        if answer.is_error and not (absent_ok and answer.status_code == httpx.codes.NOT_FOUND):
            raise DemoError(
                f"{method} {path} was refused: {problem_text(answer)}", "terrafusion stack logs gateway"
            )
        return answer


def problem_text(answer: httpx.Response) -> str:
    """An RFC 9457 answer in one text: status, title, detail and every error; the plain text of other answers."""
    try:
        document = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text[:500]}"
    said = [str(document[name]) for name in ("title", "detail") if document.get(name)]
    said += [
        " ".join(str(error[name]) for name in ("path", "message", "allowed") if error.get(name))
        for error in document.get("errors") or []
    ]
    return f"{answer.status_code} " + "; ".join(said)


def _items(document: Any) -> list[Document]:
    """The rows of a list answer."""
    return list(document if isinstance(document, list) else document["items"])
