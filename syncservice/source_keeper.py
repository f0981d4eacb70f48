"""Keeps one source system's connector as the pairs want it: made, watched, restarted, marked, removed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog

from catalog.records import SourceRecord, SystemRecord
from syncservice import metrics
from syncservice.catch_up import MARKER
from syncservice.connect import names
from syncservice.connect.health import ConnectorHealth
from syncservice.connect.lifecycle import SourceConnector
from syncservice.kit import Kit

log = structlog.get_logger(__name__)
ENSURE_SECONDS = 30.0
HEALTH_SECONDS = 2.0
MARKER_SECONDS = 5.0
ESCALATE_AFTER = 5
_NOT_BY_RESTART = frozenset({"slot_lost", "record_too_large", "publication_missing"})


class SourceKeeper:
    """The connector of one system, as this replica sees it."""

    def __init__(self, kit: Kit, system: SystemRecord) -> None:
        self._kit, self.system = kit, system
        self._connector: SourceConnector = kit.source_connector(system)
        self._source = kit.source(system.spec)
        self._ensured_at = self._looked_at = self._marked_at = self._restart_at = 0.0
        self._tables: tuple[str, ...] = ()
        self._restarts = 0
        self.health: ConnectorHealth | None = None

    def keep(self, tables: Sequence[str]) -> SourceRecord:
        """Bring the connector to where it should be. Raises ConnectFailure, SourceFailure, ConsumerError, CatalogError."""
        now = time.monotonic()
        record = self._record()
        wanted = tuple(sorted(set(tables)))
        if wanted != self._tables or now - self._ensured_at > ENSURE_SECONDS:
            after = self._connector.ensure(record, wanted)
            if after != record:
                record = self._kit.catalog.put_source(after)
            self._tables, self._ensured_at = wanted, now
        if now - self._marked_at > MARKER_SECONDS:
            self._source.emit_marker(MARKER)  # an idle source's slot and offset move on only so
            self._marked_at = now
        if now - self._looked_at > HEALTH_SECONDS:
            self._looked_at = now
            record = self._watch(record, now)
        return record

    def remove(self) -> None:
        """Remove connector, offsets, slot and topics; a second call goes on where the first failed."""
        record = self._kit.source_record(self.system.name)
        if record is not None:
            self._connector.remove(record)
            self._kit.catalog.forget_source(self.system.name)

    def restart(self, record: SourceRecord) -> None:
        """Restart failed tasks because someone asked."""
        self._restarts = 0
        self._connector.restart(record)

    def show(self) -> dict[str, Any]:
        """For status: name, state, tasks, and what is wrong."""
        health = self.health
        if health is None:
            return {"name": None, "state": "UNKNOWN", "tasks": []}
        tasks = [{"id": id_, "state": state} for id_, state in health.tasks]
        shown: dict[str, Any] = {"name": health.name, "state": health.state, "tasks": tasks}
        if health.code or health.trace:
            shown |= {"code": health.code, "reason": health.trace, "remedy": health.remedy}
        return shown

    def _record(self) -> SourceRecord:
        if (record := self._kit.source_record(self.system.name)) is not None:
            return record
        generation = self._kit.catalog.next_generation(self.system.name)
        fresh = names.fresh_names(self.system.name, generation)
        return self._kit.catalog.put_source(
            SourceRecord(
                system=self.system.name,
                generation=generation,
                connector=fresh.connector,
                slot=fresh.slot,
                publication=fresh.publication,
                placeholder=fresh.placeholder,
                captured={},
                state="new",
            )
        )

    def _watch(self, record: SourceRecord, now: float) -> SourceRecord:
        health = self.health = self._connector.health(record)
        metrics.CONNECTOR_UP.labels(record.connector).set(1 if health.ok else 0)
        slot = self._source.slot(record.slot)
        if slot is not None and slot.retained_bytes is not None:
            metrics.SLOT_BYTES.labels(record.connector).set(slot.retained_bytes)
        if health.ok:
            self._restarts = 0
        elif health.state == "FAILED" and health.code not in _NOT_BY_RESTART and now >= self._restart_at:
            self._restarts += 1
            self._restart_at = now + min(300.0, 2.0**self._restarts)
            log.warning(
                "restarting failed tasks",
                connector=record.connector,
                reason=health.trace,
                attempt=self._restarts,
            )
            self._connector.restart(record)
        conditions = [] if health.ok or not health.code else [self._condition(health)]
        if (record.state, record.conditions) != (health.state, conditions):
            return self._kit.catalog.put_source(replace(record, state=health.state, conditions=conditions))
        return record

    def _condition(self, health: ConnectorHealth) -> dict[str, Any]:
        return {
            "code": health.code,
            "message": health.trace,
            "remedy": health.remedy,
            "restarts": self._restarts,
            "escalated": self._restarts >= ESCALATE_AFTER or health.code in _NOT_BY_RESTART,
        }
