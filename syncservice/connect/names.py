"""Names that belong together: connector, slot, publication, topics and fields of one generation of a source.

A generation is one life of a system's connector. Connector name, slot and topic prefix carry it, because Kafka
Connect remembers offsets by connector name and a re-created topic must not continue an old one. The publication
does not: the database's administrator makes it once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DAY_MS = 86_400_000
RETENTION_MS = 7 * DAY_MS
MAX_MESSAGE_BYTES = 32 * 1024 * 1024

_ODD_TOPIC = re.compile(r"[^A-Za-z0-9._-]")
_ODD_FIELD = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class SourceNames:
    """What a fresh source record is filled with."""

    connector: str
    slot: str
    publication: str
    placeholder: str


def fresh_names(system: str, generation: int) -> SourceNames:
    """Names of a new generation. `placeholder` (for unchanged TOAST) is random: no row can hold it by chance."""
    slot = f"terrafusion_{system}_{generation}".replace("-", "_")[:63]
    return SourceNames(
        connector=prefix(system, generation),
        slot=slot,
        publication=publication(system),
        placeholder=f"__unavailable_{secrets.token_hex(16)}",
    )


def publication(system: str) -> str:
    """The publication that the administrator makes for `system`."""
    return f"terrafusion_{system}".replace("-", "_")


def prefix(system: str, generation: int) -> str:
    """First part of every topic of that generation; also the connector's name."""
    return f"{system}-{generation}"


def table_topic(topic_prefix: str, table: str) -> str:
    """Topic of "schema.table", spelled as Debezium spells it."""
    return _ODD_TOPIC.sub("_", f"{topic_prefix}.{table}")


def truncates_topic(topic_prefix: str) -> str:
    """Topic of truncate events of all tables."""
    return f"{topic_prefix}.truncates"


def heartbeat_topic(topic_prefix: str) -> str:
    """Topic of Debezium's heartbeats; it does not start with the prefix."""
    return f"__debezium-heartbeat.{topic_prefix}"


def message_topic(topic_prefix: str) -> str:
    """Topic of logical decoding messages, our markers among them."""
    return f"{topic_prefix}.message"


def field_name(column: str) -> str:
    """Name of a column's Avro field and JSON key, as Debezium's `field.name.adjustment.mode=avro` makes it.

    Every UTF-16 unit that Avro does not allow becomes `_`; a leading digit gets a `_` before it. The column's own
    name stays readable in the Avro schema: `connect.parameters` → `__debezium.source.column.name`.
    """
    units = "".join(c if ord(c) < 0x10000 else "  " for c in column)
    adjusted = _ODD_FIELD.sub("_", units)
    return f"_{adjusted}" if adjusted[:1].isdigit() else adjusted


def colliding_columns(columns: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of columns that would get one field name: such a table cannot be captured."""
    seen: dict[str, str] = {}
    collisions = []
    for column in columns:
        other = seen.setdefault(field_name(column), column)
        if other != column:
            collisions.append((other, column))
    return collisions


def topic_configs(topic_prefix: str, tables: Iterable[str]) -> Mapping[str, dict[str, str]]:
    """Topic → Kafka settings, for every topic that the connector writes to.

    Table topics are compacted and keep superseded records, deletes and tombstones for seven days. Truncates are kept
    for ever (they are few, and a replay needs them); heartbeats and markers for a day.
    """
    large = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    table = large | {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(RETENTION_MS),
        "delete.retention.ms": str(RETENTION_MS),
    }
    short = {"cleanup.policy": "delete", "retention.ms": str(DAY_MS), "segment.ms": str(DAY_MS // 24)}
    return {table_topic(topic_prefix, name): table for name in tables} | {
        truncates_topic(topic_prefix): large | {"cleanup.policy": "delete", "retention.ms": "-1"},
        heartbeat_topic(topic_prefix): short,
        message_topic(topic_prefix): short | large,
    }
