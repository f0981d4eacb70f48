"""A source database of its own with a running connector, for tests of the real thing."""

from __future__ import annotations

import io
import json
import secrets
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import httpx
import psycopg
from confluent_kafka import Consumer, TopicPartition
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from catalog.records import SourceRecord
from catalog.specs import SecretRef, SystemSpec
from consumers.admin import TopicAdmin
from syncservice.connect.client import ConnectClient
from syncservice.connect.lifecycle import ConnectSettings, SourceConnector
from syncservice.connect.names import fresh_names, table_topic
from syncservice.sources.postgresql import PostgresSource

TEMPLATE = Path(__file__).parents[2] / "connect-configs" / "postgresql.json"
PASSWORD = "s3cret: \\ü=#!"


@dataclass(frozen=True)
class Event:
    """One record, decoded: key as JSON text, headers as text, value as Python objects (None for a tombstone)."""

    topic: str
    key: str | None
    headers: dict[str, str]
    value: dict[str, Any] | None
    schema_id: int | None


class SourceLab:
    """`system`, made unique, names the database and its role (with `_`) and the topics; `ddl` makes the tables."""

    def __init__(self, env: Mapping[str, str], system: str, ddl: str, tables: list[str]) -> None:
        self.env = env
        self.system = system = f"{system}-{secrets.token_hex(3)}"
        self.tables = tables
        self.database = system.replace("-", "_")
        self.role = f"{self.database}_cdc"
        self._server = {key: str(value) for key, value in conninfo_to_dict(env["SOURCE_DSN"]).items()}
        self._make_database(ddl)
        names = fresh_names(system, 1)
        self.record = SourceRecord(
            system, 1, names.connector, names.slot, names.publication, names.placeholder, {}, "new"
        )
        self.spec = SystemSpec(
            kind="postgresql",
            host=self._server["host"],
            port=int(self._server["port"]),
            database=self.database,
            user=self.role,
            password=SecretRef(env="UNUSED"),
            tls="disable",
        )
        self.client = ConnectClient(env["CONNECT_URL"])
        self.admin = TopicAdmin(env["KAFKA_BOOTSTRAP"])
        self.source = PostgresSource(self.spec, PASSWORD)
        registry = env["SCHEMA_REGISTRY_URL"].replace("ccompat/v7", "registry/v2")
        self.secrets_dir = Path(env["TERRAFUSION_HOME"]) / "connect-secrets"
        settings = ConnectSettings(registry, self.secrets_dir, TEMPLATE)
        self.connector = SourceConnector(
            system, self.spec, PASSWORD, self.client, self.admin, self.source, settings
        )

    def _make_database(self, ddl: str) -> None:
        name = sql.Identifier(self.database)
        with psycopg.connect(self.env["SOURCE_DSN"], autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
            role = sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}")
            connection.execute(role.format(sql.Identifier(self.role), sql.Literal(PASSWORD)))
        self.sql(ddl)

    def sql(self, *statements: str) -> None:
        """Run statements as the database's administrator, each its own transaction."""
        with self.administrator() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def administrator(self) -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommit connection of the superuser."""
        return psycopg.connect(**{**self._server, "dbname": self.database}, autocommit=True)  # type: ignore[arg-type]

    def mend(self) -> None:
        """Run the statements that the checks print, until they print none."""
        for _ in range(3):
            items = self.source.check(self.tables, self.record.publication, self.role)
            if not (statements := [item.statement for item in items if not item.ok and item.statement]):
                return
            self.sql(*statements)
        raise AssertionError([item for item in items if not item.ok])

    def start(self) -> None:
        """Make the connector and wait for the end of its snapshot."""
        self.mend()
        self.record = self.connector.ensure(self.record, self.tables)
        deadline = time.monotonic() + 60
        while not self.connector.snapshot_done(self.record):
            health = self.connector.health(self.record)
            assert health.state != "FAILED", health
            assert time.monotonic() < deadline, health
            time.sleep(0.1)

    def settle(self, timeout: float = 30.0) -> None:
        """Wait until everything committed so far is in Kafka."""
        lsn = self.source.emit_marker("chelper")
        assert self.connector.await_committed(self.record, lsn, timeout), self.connector.health(self.record)

    def topic(self, table: str) -> str:
        """Topic of "schema.table"."""
        return table_topic(self.connector.prefix(self.record), table)

    def events(self, topics: Iterable[str]) -> list[Event]:
        """All records of the topics so far."""
        ends = {topic: end for topic, end in self.admin.end_offsets(topics).items() if end}
        settings = {"bootstrap.servers": self.env["KAFKA_BOOTSTRAP"], "group.id": "chelper"}
        consumer = Consumer({**settings, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(topic, 0, 0) for topic in ends])
        found: list[Event] = []
        deadline = time.monotonic() + 30
        while len(found) < sum(ends.values()) and time.monotonic() < deadline:
            found += [self._event(m) for m in consumer.consume(10_000, 0.5) if m.error() is None]
        consumer.close()
        return found

    def _event(self, message: Any) -> Event:
        schema_id, value = self._decoded(message.value())
        headers = {name: text.decode() for name, text in message.headers() or []}
        key = message.key()
        return Event(message.topic(), key.decode() if key else None, headers, value, schema_id)

    def _decoded(self, payload: bytes | None) -> tuple[int | None, dict[str, Any] | None]:
        if payload is None:
            return None, None
        magic, schema_id = struct.unpack(">bI", payload[:5])
        assert magic == 0
        value = fastavro.schemaless_reader(io.BytesIO(payload[5:]), self.schema(schema_id), None)
        assert isinstance(value, dict)
        return schema_id, value

    def schema(self, schema_id: int) -> Any:
        """The writer's schema as registered."""
        answer = httpx.get(f"{self.env['SCHEMA_REGISTRY_URL']}/schemas/ids/{schema_id}").raise_for_status()
        return json.loads(answer.json()["schema"])

    def close(self) -> None:
        """Remove connector, slot, topics and database."""
        self.connector.remove(self.record)
        self.client.close()
        with psycopg.connect(self.env["SOURCE_DSN"], autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self.database))
            connection.execute(drop)
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(self.role)))
