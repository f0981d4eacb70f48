"""What the API asks of the running service (api.engine.Engine)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import psutil

from catalog.errors import NotFound
from catalog.manifest import ManifestProblem
from catalog.specs import SyncPairSpec, SystemSpec
from syncservice.connect import names
from syncservice.kit import Kit
from syncservice.operations import late_tables, start_over
from syncservice.reconcile import Reconciler
from syncservice.sources.checks import CheckItem
from syncservice.targets.checks import check_target


class SyncEngine:
    """The engine over the reconcile loop."""

    def __init__(self, kit: Kit, reconciler: Reconciler, replica: str) -> None:
        self._kit, self._reconciler, self._replica = kit, reconciler, replica
        self._began = time.time()
        self._process = psutil.Process()
        self._process.cpu_percent()

    def check_system(self, name: str, spec: SystemSpec, pairs: Sequence[SyncPairSpec]) -> list[CheckItem]:
        """What is there and what is missing, with the statement that mends it."""
        items: list[CheckItem] = []
        sources = [t.from_ for p in pairs if p.source == name for t in p.tables]
        targets = [t.to for p in pairs if p.target == name for t in p.tables]
        if sources or not targets:
            items += self._check_source(name, spec, sources)
        if targets:
            with self._kit.connect(spec, "check")() as connection:
                items += check_target(connection, targets)
        return items

    def _check_source(self, name: str, spec: SystemSpec, tables: Sequence[str]) -> list[CheckItem]:
        record = self._kit.source_record(name)
        slot = record.slot if record else ""
        return self._kit.source(spec).check(tables, names.publication(name), spec.user, slot)

    def validate_pair(self, spec: SyncPairSpec) -> list[ManifestProblem]:
        """Everything wrong with a pair, seen against source and target."""
        problems = list(self._kit.plan(spec, None).problems) + self._late(spec)
        for role, name in (("source", spec.source), ("target", spec.target)):
            items = self.check_system(name, self._kit.catalog.system(name).spec, [spec])
            problems += [
                ManifestProblem(f"spec.{role}", item.message, item.statement or "")
                for item in items
                if not item.ok
            ]
        return problems

    def _late(self, spec: SyncPairSpec) -> list[ManifestProblem]:
        """Tables that would join a connector after its snapshot: their first full sync could not be made."""
        record = self._kit.source_record(spec.source)
        late = late_tables(record, [t.from_ for t in spec.tables]) if record and record.captured else []
        return [
            ManifestProblem(
                f"spec.tables[{index}].from",
                f"{table.from_} was not in the snapshot of the running connector {record.connector if record else ''}",
                start_over(spec.source),
            )
            for index, table in enumerate(spec.tables)
            if table.from_ in late
        ]

    def connectors(self) -> list[dict[str, Any]]:
        """All connectors of ours, with state and tasks."""
        found = []
        for record in self._kit.catalog.sources():
            shown = self._reconciler.keeper(record.system).show()
            shown |= {"name": record.connector, "system": record.system, "slot": record.slot}
            shown |= {"tables": sorted(record.captured), "generation": record.generation}
            found.append(shown)
        return found

    def restart_connector(self, name: str) -> None:
        """Restart failed tasks. Raises NotFound."""
        for record in self._kit.catalog.sources():
            if record.connector == name:
                return self._reconciler.keeper(record.system).restart(record)
        raise NotFound(f"There is no connector {name}; `terrafusion connectors list` shows them.")

    def wake(self) -> None:
        """Start the next reconcile round at once."""
        self._reconciler.wake()

    def report(self) -> dict[str, Any]:
        """This replica: id, uptime, resources, age of the last round."""
        last = self._reconciler.last_round
        with self._process.oneshot():
            memory, cpu = self._process.memory_info().rss, self._process.cpu_percent()
        return {
            "replica": self._replica,
            "pid": os.getpid(),
            "uptime_s": round(time.time() - self._began, 1),
            "threads": threading.active_count(),
            "rss_bytes": memory,
            "cpu_percent": cpu,
            "last_round_age_s": None if last is None else round(time.time() - last, 3),
        }
