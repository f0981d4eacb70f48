"""A sync pair between two databases of its own, made through the REST API, and the oracle that compares both sides.

The oracle does not use the product: rows of the source, read through the mapping, must be the target's rows, value
by value as PostgreSQL spells them.
"""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from consumers.admin import TopicAdmin
from terrafusion.client import ApiError, Client, Json, Kind
from terrafusion.demo.comparison import SESSION
from terrafusion.stack import Stack
from terrafusion.stack.files import kept_secret

PATIENCE = 120.0
Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table of the pair. `columns`: target column → source column; `key`: of the source."""

    source: str
    target: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ("id",)

    def manifest(self) -> Json:
        """As it stands in the sync pair."""
        return {"from": self.source, "to": self.target, "columns": dict(self.columns)}

    def target_key(self) -> tuple[str, ...]:
        """The key's columns in the target."""
        back = {source: target for target, source in self.columns.items()}
        return tuple(back[name] for name in self.key)


def same(name: str, *columns: str, key: tuple[str, ...] = ("id",)) -> Table:
    """public.NAME → dst.NAME under the same column names."""
    return Table(f"public.{name}", f"dst.{name}", {column: column for column in columns}, key)


@dataclass(frozen=True)
class Database:
    """A database, seen as its server's superuser; each call is a connection of its own (servers are restarted)."""

    dsn: str

    def run(self, *statements: str) -> None:
        """Each statement a transaction of its own; one text with several is one transaction."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query.encode(), values or None).fetchall()

    def texts(self, table: str, columns: Sequence[str], key: Sequence[str]) -> list[tuple[str, Row]]:
        """(key, every column) as text in the key's order; NULL, '' and padding can be told apart."""
        query = sql.SQL('SELECT ROW({})::text COLLATE "C", ARRAY[{}] FROM {} ORDER BY 1').format(
            sql.SQL(", ").join(map(sql.Identifier, key)),
            sql.SQL(", ").join(sql.SQL("ROW({})::text").format(sql.Identifier(name)) for name in columns),
            sql.Identifier(*table.split(".", 1)),
        )
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(SESSION)
            return [(str(found), tuple(row)) for found, row in connection.execute(query)]


@dataclass
class Pair:
    """`name` names the pair; systems, databases and roles derive from it."""

    stack: Stack
    name: str
    source_ddl: str
    target_ddl: str
    tables: Sequence[Table]
    adopt: bool = False
    source: Database = field(init=False)
    target: Database = field(init=False)
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.env = self.stack.env()
        self.client = Client(self.env["TERRAFUSION_URL"], self.env["TERRAFUSION_API_KEY"])
        self.source_system, self.target_system = f"{self.name}-src", f"{self.name}-dst"
        self.publication = f"terrafusion_{self.source_system}".replace("-", "_")
        self.source = Database(make_conninfo(self.env["SOURCE_DSN"], dbname=self._database("src")))
        self.target = Database(make_conninfo(self.env["TARGET_DSN"], dbname=self._database("dst")))

    # -- made and removed --------------------------------------------------------------------------

    def make_databases(self) -> None:
        """Both databases with their roles; the applier owns the target, so that full syncs can swap."""
        role = self._make("SOURCE_DSN", "src", "LOGIN REPLICATION", owned=False)
        self.source.run(self.source_ddl, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        role = self._make("TARGET_DSN", "dst", "LOGIN", owned=True)
        self.target.run(
            f"SET ROLE {role}; CREATE SCHEMA dst; SET search_path = dst, public; {self.target_ddl}"
        )

    def publish(self) -> None:
        """What the administrator of the source does."""
        tables = ", ".join(table.source for table in self.tables)
        self.source.run(f"CREATE PUBLICATION {self.publication} FOR TABLE {tables}")

    def apply(self, tables: Sequence[Table] | None = None, name: str | None = None) -> Json:
        """Both systems and the pair, as manifests."""
        for system, dsn, role in (
            (self.source_system, "SOURCE_DSN", "src"),
            (self.target_system, "TARGET_DSN", "dst"),
        ):
            self.client.apply(self._system(system, dsn, role))
        return self.client.apply(self.manifest(self.tables if tables is None else tables, name))

    def manifest(self, tables: Sequence[Table], name: str | None = None) -> Json:
        """The sync pair's document."""
        spec = {
            "source": self.source_system,
            "target": self.target_system,
            "adopt": self.adopt,
            "tables": [table.manifest() for table in tables],
        }
        return {
            "apiVersion": "terrafusion/v1",
            "kind": "SyncPair",
            "metadata": {"name": name or self.name},
            "spec": spec,
        }

    def start(self) -> Self:
        """Databases, publication, manifests; returns when the first full sync is done and changes are applied."""
        self.make_databases()
        self.publish()
        self.apply()
        self.wait("running")
        return self

    def wait(self, state: str, seconds: float = PATIENCE, name: str | None = None) -> Json:
        """Wait until the pair is in this state; its document. A pair that halts instead ends the test."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.client.pair(name or self.name)
            if found["state"] == state:
                return found
            why = f"{found['state']}: {found['reason']}"
            assert found["state"] != "halted", why
            assert time.monotonic() < deadline, f"not {state} within {seconds:.0f} s, but {why}"
            time.sleep(0.1)

    def delete(self, name: str | None = None) -> None:
        """Delete the pair and wait until it is gone."""
        self.client.delete_pair(name or self.name)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = self.client.pair(name or self.name)
            except ApiError as error:
                if error.status == 404:
                    return
                raise
            assert time.monotonic() < deadline, f"still {found['state']}: {found['reason']}"
            time.sleep(0.1)

    def remove(self) -> None:
        """Pairs, systems, databases and roles go, whatever is there of them."""
        for found in self.client.pairs():
            if found["spec"]["source"] == self.source_system:
                self.delete(found["metadata"]["name"])
        for system in {s["metadata"]["name"] for s in self.client.systems()} & {
            self.source_system,
            self.target_system,
        }:
            self.client.delete_system(system)
        for server, side in (("SOURCE_DSN", "src"), ("TARGET_DSN", "dst")):
            name = self._database(side)
            admin = Database(make_conninfo(self.env[server], dbname="postgres"))
            admin.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {name}")

    def _database(self, side: str) -> str:
        return f"{self.name}_{side}".replace("-", "_")

    def _make(self, server: str, side: str, rights: str, owned: bool) -> str:
        """A role and a database of one name."""
        name = self._database(side)
        password = kept_secret(self._password_file(side), secrets.token_urlsafe(24))
        admin = Database(make_conninfo(self.env[server], dbname="postgres"))
        admin.run(
            f"CREATE ROLE {name} {rights} PASSWORD '{password}'",
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" + (f" OWNER {name}" if owned else ""),
        )
        return name

    def _password_file(self, side: str) -> Any:
        folder = self.stack.home.secrets
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / f"{self._database(side)}_password"

    def _system(self, name: str, server: str, side: str) -> Json:
        address = conninfo_to_dict(self.env[server])
        spec = {
            "kind": "postgresql",
            "host": address["host"],
            "port": int(address["port"] or 5432),
            "database": self._database(side),
            "user": self._database(side),
            "password": {"file": str(self._password_file(side))},
        }
        return {"apiVersion": "terrafusion/v1", "kind": "System", "metadata": {"name": name}, "spec": spec}

    # -- operations --------------------------------------------------------------------------------

    def operation(self, kind: Kind, seconds: float = PATIENCE) -> Json:
        """Start one and wait for its end; how it ended is the caller's to judge."""
        found = self.client.start(self.name, kind)
        deadline = time.monotonic() + seconds
        while found["state"] not in ("succeeded", "failed", "cancelled"):
            assert time.monotonic() < deadline, json.dumps(found, indent=1)
            time.sleep(0.1)
            found = self.client.operation(found["id"])
        return found

    def catch_up(self) -> None:
        """All that is committed at the source is applied."""
        found = self.operation("incremental")
        assert found["state"] == "succeeded", found["error"]

    def full_sync(self) -> Json:
        """A full sync that succeeds, and the pair runs after it; target table → its counts."""
        found = self.operation("full")
        assert found["state"] == "succeeded", found["error"]
        self.wait("running")
        return {table["table"]: table for table in found["result"]["tables"]}

    def status(self, table: str) -> Json:
        """The live report of a target table."""
        return next(t for t in self.client.status(self.name)["tables"] if t["table"] == table)

    # -- the oracle --------------------------------------------------------------------------------

    def differences(self, table: Table, limit: int = 8) -> list[str]:
        """What is not equal: missing and extra keys, and columns with other values."""
        ours = self.source.texts(table.source, list(table.columns.values()), table.key)
        theirs = self.target.texts(table.target, list(table.columns), table.target_key())
        if ours == theirs:
            return []
        one, other = dict(ours), dict(theirs)
        found = [f"{key} is missing" for key in one.keys() - other.keys()]
        found += [f"{key} is extra" for key in other.keys() - one.keys()]
        for key in one.keys() & other.keys():
            for name, want, have in zip(table.columns, one[key], other[key], strict=True):
                if want != have:
                    found.append(f"{key} {name}: {want[:100]} became {have[:100]}")
        return [
            *sorted(found)[:limit],
            f"{len(ours)} rows, {len(theirs)} in {table.target}, {len(found)} differences",
        ]

    def assert_equal(self, *names: str, settle: bool = True) -> None:
        """These tables (`public.…` without the schema; none: all) are equal once everything has been applied."""
        if settle:
            self.catch_up()
        wanted = [t for t in self.tables if not names or t.source.removeprefix("public.") in names]
        assert wanted
        found = {table.source: differing for table in wanted if (differing := self.differences(table))}
        assert not found, json.dumps(found, indent=1, ensure_ascii=False) + "\n" + str(self.letters())

    def letters(self, table: str | None = None) -> list[tuple[str, str | None, str, str]]:
        """(table, key, code, reason) of the dead letters, in the log's order."""
        found = self.target.rows(
            'SELECT table_name, key, code, reason FROM terrafusion.dead_letters WHERE pair = %s ORDER BY "offset"',
            [self.name],
        )
        return [(str(r[0]), r[1], str(r[2]), str(r[3])) for r in found if table in (None, r[0])]

    # -- the log -----------------------------------------------------------------------------------

    def prefix(self) -> str:
        """First part of the topics' and the connector's name."""
        return f"{self.source_system}-"

    def topic(self, target: str) -> str:
        """The topic of a target table."""
        return str(self.status(target)["topic"])

    def produce(self, topic: str, *records: tuple[str, bytes | None]) -> None:
        """Write records (key as JSON text, value) as if the connector had."""
        producer = Producer({"bootstrap.servers": self.env["KAFKA_BOOTSTRAP"]})
        for key, value in records:
            producer.produce(topic, key=key.encode(), value=value, partition=0)
        assert producer.flush(30) == 0

    def records(self, topic: str) -> list[tuple[str, bytes | None]]:
        """(key, value) of every record that the topic holds now."""
        consumer = Consumer({"bootstrap.servers": self.env["KAFKA_BOOTSTRAP"], "group.id": "cases"})
        try:
            ends: dict[int, int] = {}
            for partition in consumer.list_topics(topic, 30).topics[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 30)
                ends |= {partition: high} if high > low else {}
            consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
            found: list[tuple[str, bytes | None]] = []
            deadline = time.monotonic() + 30
            while ends:
                assert time.monotonic() < deadline, ends
                for message in consumer.consume(1000, 0.5):
                    assert message.error() is None, message.error()
                    found.append(((message.key() or b"").decode(), message.value()))
                reached = {
                    place.partition: place.offset for place in consumer.position(consumer.assignment())
                }
                ends = {partition: end for partition, end in ends.items() if reached.get(partition, 0) < end}
            return found
        finally:
            consumer.close()

    def restart_connector(self) -> None:
        """Connector and task, at once."""
        [name] = [c["name"] for c in self.client.connectors() if c["system"] == self.source_system]
        url = f"{self.env['CONNECT_URL']}/connectors/{name}/restart?includeTasks=true&onlyFailed=false"
        httpx.post(url, trust_env=False).raise_for_status()

    def left_behind(self) -> dict[str, list[str]]:
        """What a deleted pair must not leave: slots, connectors with their offsets, topics, its state in the target."""
        slots = self.source.rows(
            "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [self._database("src")]
        )
        connectors = httpx.get(f"{self.env['CONNECT_URL']}/connectors").raise_for_status().json()
        topics = TopicAdmin(self.env["KAFKA_BOOTSTRAP"]).list_topics("")
        state = [
            f"{table}: {count}"
            for table in ("offsets", "dead_letters", "parked_keys")
            for (count,) in self.target.rows(
                f"SELECT count(*) FROM terrafusion.{table} WHERE pair = %s", [self.name]
            )
            if count
        ]
        offsets = dict(self.records("terrafusion-connect-offsets"))  # the last value of each key
        secrets_left = (self.stack.home.root / "connect-secrets").glob(f"{self.prefix()}*")
        schema = self.target.rows(
            "SELECT relname FROM pg_class WHERE relname ~ 'shadow|_old' AND relname !~ '^pg_'"
        )
        found = {
            "slots": [str(row[0]) for row in slots],
            "connectors": [name for name in connectors if name.startswith(self.prefix())],
            "offsets": [key for key, value in offsets.items() if value is not None and self.prefix() in key],
            "secrets": [file.name for file in secrets_left],
            "topics": [name for name in topics if self.prefix() in name],
            "state": state,
            "tables": [str(row[0]) for row in schema],
        }
        return {name: what for name, what in found.items() if what}


class Load:
    """Inserts, updates, deletes and key changes of `table` (id, n, t), until left. It waits while the server is away."""

    def __init__(self, database: Database, table: str, seed: int, pause: float = 0.004) -> None:
        self._database, self._table, self._pause = database, table, pause
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.changes = 0
        self.failure: psycopg.Error | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert self.failure is None, self.failure
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._database.dsn, autocommit=True) as connection:
                    while not self._stop.wait(self._pause):
                        self._change(connection)
            except psycopg.OperationalError:
                time.sleep(0.2)
            except psycopg.Error as error:
                self.failure = error
                return

    def _change(self, connection: psycopg.Connection[Any]) -> None:
        """One change; it is a no-op when the key is (or is not) there."""
        table, key, other = self._table, self._random.randrange(500), self._random.randrange(500)
        statement = self._random.choice(
            (
                f"INSERT INTO {table} VALUES ({key}, {self.changes}, 'né {key}') ON CONFLICT DO NOTHING",
                f"UPDATE {table} SET n = {self.changes} WHERE id = {key}",
                f"UPDATE {table} SET n = n + 1, t = NULL WHERE id BETWEEN {key} AND {key + 5}",
                f"DELETE FROM {table} WHERE id = {key}",
                f"UPDATE {table} SET id = {other} WHERE id = {key} AND NOT EXISTS (SELECT FROM {table} WHERE id = {other})",
            )
        )
        connection.execute(statement.encode())
        self.changes += 1
