"""What the API asks of the engine, at the API's side of the seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from catalog.manifest import ManifestProblem, SyncPairSpec, SystemSpec


class CheckItem(Protocol):
    """One thing that a system needs. `statement`: the SQL that mends it, or empty."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def message(self) -> str: ...
    @property
    def statement(self) -> str | None: ...


class Engine(Protocol):
    """The running SyncService. Calls may raise SyncError; `check_system`, `validate_pair`, `connectors` and
    `restart_connector` do network calls and may take seconds."""

    def check_system(self, name: str, spec: SystemSpec, pairs: Sequence[SyncPairSpec]) -> Sequence[CheckItem]:
        """What is there and what is missing on the system `name` for the `pairs` that use it."""

    def validate_pair(self, spec: SyncPairSpec) -> Sequence[ManifestProblem]:
        """Everything wrong with the pair, seen against source and target: [] when fine."""

    def connectors(self) -> Sequence[dict[str, Any]]:
        """Each at least {"name", "state"}; never a secret."""

    def restart_connector(self, name: str) -> None:
        """Restart the failed tasks of a connector."""

    def wake(self) -> None:
        """Look at the catalog at once."""

    def report(self) -> dict[str, Any]:
        """Replica id, uptime, pid, threads, rss, age of the last loop."""
