"""The life of one source system's connector: made, kept as wanted, watched, removed without a trace.

Every method takes the catalog's SourceRecord and keeps no state of its own, so that any replica may go on where
another stopped. All of them may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumers.admin import TopicAdmin, TopicSpec
from syncservice.connect import names, template
from syncservice.connect.client import ConnectClient
from syncservice.connect.errors import ConnectorConflict
from syncservice.connect.health import SLOT_LOST, ConnectorHealth, assess
from syncservice.connect.secret_file import remove_secret, secret_path, write_secret
from syncservice.sources.checks import publication_statement
from syncservice.sources.errors import SourceFailure, SourceRefused

if TYPE_CHECKING:
    from catalog.records import SourceRecord
    from catalog.specs import SystemSpec
    from syncservice.sources.postgresql import PostgresSource


@dataclass(frozen=True)
class ConnectSettings:
    """Where things are: `registry_url` as Connect sees it (…/apis/registry/v2), the folder of Connect's password files,
    and the template. `snapshot_threads` tables are read side by side; `stop_patience` is in seconds."""

    registry_url: str
    secrets_dir: Path
    template: Path
    snapshot_threads: int = 2
    stop_patience: float = 60.0


class SourceConnector:
    """The connector of `system`. Raises ConnectFailure, SourceFailure, ConsumerError (Kafka) and TemplateError."""

    def __init__(
        self,
        system: str,
        spec: SystemSpec,
        password: str,
        client: ConnectClient,
        admin: TopicAdmin,
        source: PostgresSource,
        settings: ConnectSettings,
    ) -> None:
        self._system = system
        self._spec = spec
        self._password = password
        self._client = client
        self._admin = admin
        self._source = source
        self._settings = settings

    def ensure(self, record: SourceRecord, tables: Sequence[str]) -> SourceRecord:
        """Make topics, password file and connector as `tables` ("schema.table", of all pairs of the system) want them.

        The returned record has `captured` brought up to date and is to be stored: tables of the first call are
        "initial" (the snapshot holds them), later ones "later" (only new changes flow: they need a full sync by
        extract). Does not wait for the connector to run: `health` tells. Raises SourceRefused where the publication
        lacks a table, ConnectorConflict where left-overs or lost positions forbid to go on.
        """
        self._require_published(record, tables)
        prefix = self.prefix(record)
        configs = names.topic_configs(prefix, tables)
        self._admin.ensure_topics([TopicSpec(name, configs=config) for name, config in configs.items()])
        secret_changed = write_secret(self._settings.secrets_dir, prefix, self._password)
        current = self._client.config(record.connector)
        self._apply(record, current, self.config(record, tables), secret_changed)
        return replace(record, captured=_captured(record, tables, current))

    def config(self, record: SourceRecord, tables: Iterable[str]) -> dict[str, str]:
        """The connector's configuration, the password as a reference to a file."""
        prefix = self.prefix(record)
        values = {
            "host": self._spec.host,
            "port": str(self._spec.port),
            "database": self._spec.database,
            "user": self._spec.user,
            "tls": self._spec.tls,
            "ca": self._spec.ca,
            "secrets_file": str(secret_path(self._settings.secrets_dir, prefix)),
            "slot": record.slot,
            "publication": record.publication,
            "prefix": prefix,
            "tables": template.table_list(tables),
            "placeholder": record.placeholder,
            "registry_url": self._settings.registry_url,
            "snapshot_threads": str(self._settings.snapshot_threads),
        }
        return template.fill(template.load(self._settings.template), values)

    def prefix(self, record: SourceRecord) -> str:
        """The topics' prefix: `<system>-<generation>`."""
        return names.prefix(self._system, record.generation)

    def committed_lsn(self, record: SourceRecord) -> int | None:
        """Source position up to which every committed transaction is in Kafka; None before the first one.

        Compare with `PostgresSource.emit_marker`: reached when ≥.
        """
        offset = self._client.offsets(record.connector) or {}
        position = offset.get("lsn_commit")
        return None if position is None else int(position)

    def await_committed(self, record: SourceRecord, lsn: int, timeout: float) -> bool:
        """Wait up to `timeout` seconds until `committed_lsn` has reached `lsn`."""
        deadline = time.monotonic() + timeout
        while (reached := self.committed_lsn(record)) is None or reached < lsn:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def snapshot_done(self, record: SourceRecord) -> bool:
        """Whether every row of Debezium's initial snapshot is in Kafka.

        While it runs, the committed offset holds `snapshot: INITIAL` and `last_snapshot_record: false`; the last row's
        offset says true, and later ones have no `snapshot` at all.
        """
        offset = self._client.offsets(record.connector)
        return offset is not None and ("snapshot" not in offset or offset.get("last_snapshot_record") is True)

    def health(self, record: SourceRecord) -> ConnectorHealth:
        """State, and what is wrong in words. A lost slot shows even while Connect still says RUNNING."""
        found = assess(record.connector, self._client.status(record.connector), self._password)
        if found.state in {"MISSING", "STOPPED"} or found.code == SLOT_LOST.code:
            return found
        try:
            slot = self._source.slot(record.slot)
        except SourceFailure as error:
            return (
                found
                if found.code
                else replace(found, trace=str(error), code=error.code, remedy=error.remedy)
            )
        started = self._client.offsets(record.connector) is not None
        if (slot is None and started) or (slot is not None and slot.lost):
            state = "is gone" if slot is None else "was invalidated: its WAL has been removed"
            trace = found.trace or f"replication slot {record.slot} {state}"
            return replace(found, state="FAILED", code=SLOT_LOST.code, trace=trace, remedy=SLOT_LOST.remedy)
        return found

    def restart(self, record: SourceRecord) -> None:
        """Restart what has failed."""
        self._client.restart(record.connector, only_failed=True)

    def remove(self, record: SourceRecord) -> None:
        """Undo everything, in the order that leaves nothing behind; may be repeated after a failure at any step.

        Stop, forget the offsets, delete the connector, drop the slot, delete topics, delete the password file. The
        registry's schemas stay: their ids must never mean something else.
        """
        if self._client.config(record.connector) is not None:
            self._stop(record.connector)
            self._client.delete_offsets(record.connector)
            self._client.delete(record.connector)
        self._source.drop_slot(record.slot)
        prefix = self.prefix(record)
        topics = [name for name in self._admin.list_topics(f"{prefix}.") if name.startswith(f"{prefix}.")]
        self._admin.delete_topics([*topics, names.heartbeat_topic(prefix)])
        remove_secret(self._settings.secrets_dir, prefix)

    def _require_published(self, record: SourceRecord, tables: Sequence[str]) -> None:
        published = self._source.published_tables(record.publication)
        missing = [table for table in tables if table not in (published or ())]
        if missing:
            statement = publication_statement(record.publication, missing, exists=published is not None)
            lacking = f"publication {record.publication} lacks {', '.join(missing)}"
            raise SourceRefused(
                lacking, code="publication_incomplete", remedy=f"Let the administrator run: {statement}"
            )

    def _apply(
        self,
        record: SourceRecord,
        current: dict[str, str] | None,
        config: dict[str, str],
        secret_changed: bool,
    ) -> None:
        """Create it stopped, look at what Connect and the source remember, and only then let it start."""
        if current is None:
            self._client.create_stopped(record.connector, config)
        elif {k: v for k, v in current.items() if k != "name"} != config:
            self._client.put_config(record.connector, config)
        elif secret_changed:
            self._client.restart(record.connector, only_failed=False)
        status = self._client.status(record.connector)
        if current is None or (status is not None and status.state in {"STOPPED", "PAUSED"}):
            self._require_consistent(record)
            self._client.resume(record.connector)

    def _require_consistent(self, record: SourceRecord) -> None:
        """A new generation finds neither offsets nor slot, an old one both; else the connector is deleted again."""
        offsets = self._client.offsets(record.connector) is not None
        slot = self._source.slot(record.slot) is not None
        if offsets == slot == bool(record.captured):
            return
        if not record.captured and offsets:
            self._stop(record.connector)
            self._client.delete_offsets(record.connector)
        self._client.delete(record.connector)
        found = (
            f"offsets {'exist' if offsets else 'are missing'}, the slot {'exists' if slot else 'is missing'}"
        )
        raise ConnectorConflict(
            f"{record.connector} cannot start: {found}",
            code="position_lost" if record.captured else "leftover_slot",
            remedy="Delete the system's pairs and apply them again: a new generation starts with a full sync.",
        )

    def _stop(self, name: str) -> None:
        self._client.stop(name)
        deadline = time.monotonic() + self._settings.stop_patience
        while (status := self._client.status(name)) is not None and (
            status.state != "STOPPED" or status.tasks
        ):
            if time.monotonic() > deadline:
                remedy = "See Kafka Connect's log for the task that does not end, then try again."
                raise ConnectorConflict(
                    f"{name} does not stop: {status.state}", code="does_not_stop", remedy=remedy
                )
            time.sleep(0.1)


def _captured(
    record: SourceRecord, tables: Sequence[str], current: dict[str, str] | None
) -> dict[str, dict[str, Any]]:
    """Tables that a connector found at the first call lists already are "initial" too: the call was interrupted."""
    if record.captured:
        since = dict.fromkeys(tables, "later")
    elif current is None:
        since = dict.fromkeys(tables, "initial")
    else:
        listed = current.get("table.include.list", "").split(",")
        since = {t: "initial" if template.table_list([t]) in listed else "later" for t in tables}
    return {table: record.captured.get(table, {"since": since[table]}) for table in tables}
