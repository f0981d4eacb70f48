"""The REST interface of Kafka Connect, typed.

Every call is bounded in time. 409 (the workers rebalance) and a request that timed out inside the worker are
retried for `patience` seconds; all requests used here may be repeated safely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import stamina

from syncservice.connect.errors import ConnectError, ConnectorMissing, ConnectUnavailable


@dataclass(frozen=True)
class TaskStatus:
    """One task; `trace` is Java's stack trace while it is FAILED, else empty. Not yet redacted."""

    id: int
    state: str
    worker: str
    trace: str = ""


@dataclass(frozen=True)
class ConnectorStatus:
    """`state`: RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED or RESTARTING; a connector may run while a task failed."""

    name: str
    state: str
    trace: str
    tasks: tuple[TaskStatus, ...]


class _Busy(Exception):
    """The worker asks to come again."""


class ConnectClient:
    """`url` of any worker; `timeout` seconds a request, `patience` seconds of 409s."""

    def __init__(self, url: str, *, timeout: float = 30.0, patience: float = 60.0) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"), timeout=timeout, headers={"Accept": "application/json"}
        )
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the HTTP connections back."""
        self._http.close()

    def connectors(self) -> list[str]:
        """Names of all connectors, sorted."""
        return sorted(self._call("GET", "/connectors"))

    def config(self, name: str) -> dict[str, str] | None:
        """Its configuration as it was put, secrets as references; None where there is no such connector."""
        try:
            found: dict[str, str] = self._call("GET", f"{_path(name)}/config")
        except ConnectorMissing:
            return None
        return found

    def create_stopped(self, name: str, config: Mapping[str, str]) -> None:
        """Create it STOPPED, so that what is stored under its name can be looked at before it starts."""
        body = {"name": name, "config": dict(config), "initial_state": "STOPPED"}
        self._call("POST", "/connectors", json=body)

    def put_config(self, name: str, config: Mapping[str, str]) -> None:
        """Create the connector or replace its configuration (its tasks restart)."""
        self._call("PUT", f"{_path(name)}/config", json=dict(config))

    def validate(self, plugin: str, config: Mapping[str, str]) -> list[str]:
        """Connect's objections as "setting: message"; [] where it has none. `plugin` is the class name."""
        answer = self._call("PUT", f"/connector-plugins/{_quoted(plugin)}/config/validate", json=dict(config))
        values = (entry["value"] for entry in answer["configs"])
        return [f"{value['name']}: {message}" for value in values for message in value["errors"]]

    def status(self, name: str) -> ConnectorStatus | None:
        """State of connector and tasks; None where there is no such connector."""
        try:
            answer = self._call("GET", f"{_path(name)}/status")
        except ConnectorMissing:
            return None
        connector = answer["connector"]
        tasks = tuple(
            TaskStatus(task["id"], task["state"], task.get("worker_id", ""), task.get("trace", ""))
            for task in answer["tasks"]
        )
        return ConnectorStatus(answer["name"], connector["state"], connector.get("trace", ""), tasks)

    def pause(self, name: str) -> None:
        """Ask the tasks to stop polling; they keep their connections."""
        self._call("PUT", f"{_path(name)}/pause")

    def resume(self, name: str) -> None:
        """Undo pause or stop."""
        self._call("PUT", f"{_path(name)}/resume")

    def stop(self, name: str) -> None:
        """Ask for STOPPED: no tasks; the only state in which offsets may be deleted. Returns before it is reached."""
        self._call("PUT", f"{_path(name)}/stop")

    def restart(self, name: str, only_failed: bool = True) -> None:
        """Restart connector and tasks, by default only those that failed."""
        flags = {"includeTasks": "true", "onlyFailed": str(only_failed).lower()}
        self._call("POST", f"{_path(name)}/restart", params=flags)

    def offsets(self, name: str) -> dict[str, Any] | None:
        """The committed source offset of the first partition; None where none is committed yet (or no connector)."""
        try:
            answer = self._call("GET", f"{_path(name)}/offsets")
        except ConnectorMissing:
            return None
        for entry in answer["offsets"]:
            if entry["offset"] is not None:
                return dict(entry["offset"])
        return None

    def delete_offsets(self, name: str) -> None:
        """Forget the committed offsets of a STOPPED connector."""
        self._call("DELETE", f"{_path(name)}/offsets")

    def delete(self, name: str) -> None:
        """Delete the connector; its offsets stay behind unless deleted before. Missing is fine."""
        try:
            self._call("DELETE", _path(name))
        except ConnectorMissing:
            return

    def _call(self, method: str, path: str, **request: Any) -> Any:
        try:
            for attempt in stamina.retry_context(
                on=_Busy, attempts=None, timeout=self._patience, wait_max=2.0
            ):
                with attempt:
                    return self._sure(method, path, request)
        except _Busy as error:
            raise ConnectUnavailable(
                f"Kafka Connect stayed busy for {self._patience:.0f} s: {error}"
            ) from error
        raise AssertionError("unreachable: a retry context returns or raises")

    def _sure(self, method: str, path: str, request: Mapping[str, Any]) -> Any:
        try:
            return self._once(method, path, request)
        except ConnectorMissing:
            self._require_started()
            return self._once(method, path, request)

    def _once(self, method: str, path: str, request: Mapping[str, Any]) -> Any:
        try:
            response = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ConnectUnavailable(f"Kafka Connect does not answer: {type(error).__name__}") from error
        if response.is_success:
            return response.json() if response.content else None
        raise _refusal(response)

    def _require_started(self) -> None:
        """A worker that is starting knows no connector yet: what it calls missing may exist."""
        try:
            response = self._http.get("/health")
        except httpx.HTTPError as error:
            raise ConnectUnavailable(f"Kafka Connect does not answer: {type(error).__name__}") from error
        if not response.is_success and response.status_code != 404:  # before 3.9 there is no such path
            raise ConnectUnavailable("Kafka Connect is still starting")


def _refusal(response: httpx.Response) -> Exception:
    message = _message(response)
    if response.status_code == 409 or (response.status_code == 500 and "timed out" in message):
        return _Busy(message)
    if response.status_code == 404:
        return ConnectorMissing(message)
    if response.status_code in {502, 503, 504}:
        return ConnectUnavailable(f"Kafka Connect is not ready: {message}")
    return ConnectError(
        f"Kafka Connect refused ({response.status_code}): {message}", status=response.status_code
    )


def _message(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:500]
    return str(body.get("message", body) if isinstance(body, dict) else body)


def _path(name: str) -> str:
    return f"/connectors/{_quoted(name)}"


def _quoted(name: str) -> str:
    return quote(name, safe="")
