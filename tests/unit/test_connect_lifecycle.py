"""The order of steps in a connector's life, with Connect, Kafka and source as twins in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from catalog.records import SourceRecord
from catalog.specs import SecretRef, SystemSpec
from consumers.admin import TopicAdmin, TopicSpec
from syncservice.connect.client import ConnectClient, ConnectorStatus, TaskStatus
from syncservice.connect.errors import ConnectorConflict
from syncservice.connect.lifecycle import ConnectSettings, SourceConnector
from syncservice.sources.errors import SourceRefused, SourceUnavailable
from syncservice.sources.postgresql import PostgresSource, SlotInfo

TEMPLATE = Path(__file__).parents[2] / "connect-configs" / "postgresql.json"
SPEC = SystemSpec(
    kind="postgresql", host="db", database="pacs", user="cdc", password=SecretRef(env="PACS_PASSWORD")
)
RECORD = SourceRecord("pacs", 1, "pacs-1", "slot_1", "pub", "__ph", {}, "new")
TABLES = ["public.parcel", "public.owner"]


@dataclass
class World:
    """Everything outside: `log` holds the changes in order."""

    log: list[str] = field(default_factory=list)
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    state: str = ""
    stored: dict[str, Any] | None = None
    slots: set[str] = field(default_factory=set)
    lost: bool = False
    published: set[str] | None = field(default_factory=lambda: set(TABLES))
    topics: set[str] = field(default_factory=set)
    sticky: bool = False
    away: bool = False

    # Kafka Connect
    def config(self, name: str) -> dict[str, str] | None:
        return self.configs.get(name)

    def create_stopped(self, name: str, config: dict[str, str]) -> None:
        self.log.append("create stopped")
        self.configs[name] = {**config, "name": name}
        self.state = "STOPPED"

    def put_config(self, name: str, config: dict[str, str]) -> None:
        self.log.append("put config")
        self.configs[name] = {**config, "name": name}

    def restart(self, name: str, only_failed: bool = True) -> None:
        self.log.append(f"restart {'failed' if only_failed else 'all'}")

    def resume(self, name: str) -> None:
        self.log.append("resume")
        self.state = "RUNNING"

    def stop(self, name: str) -> None:
        self.log.append("stop")
        self.state = "RUNNING" if self.sticky else "STOPPED"

    def status(self, name: str) -> ConnectorStatus | None:
        if name not in self.configs:
            return None
        tasks = (TaskStatus(0, "RUNNING", "w"),) if self.state == "RUNNING" else ()
        return ConnectorStatus(name, self.state, "", tasks)

    def offsets(self, name: str) -> dict[str, Any] | None:
        return self.stored

    def delete_offsets(self, name: str) -> None:
        self.log.append("delete offsets")
        self.stored = None

    def delete(self, name: str) -> None:
        self.log.append("delete connector")
        self.configs.pop(name, None)

    # source
    def published_tables(self, publication: str) -> set[str] | None:
        return self.published

    def slot(self, name: str) -> SlotInfo | None:
        if self.away:
            raise SourceUnavailable("the source database does not answer")
        return (
            SlotInfo(name, True, 1, 1, "lost" if self.lost else "reserved", 0) if name in self.slots else None
        )

    def drop_slot(self, name: str) -> None:
        self.log.append("drop slot")
        self.slots.discard(name)

    # Kafka
    def ensure_topics(self, topics: Iterable[TopicSpec]) -> list[str]:
        self.log.append("topics")
        self.topics |= {topic.name for topic in topics}
        return []

    def list_topics(self, prefix: str) -> list[str]:
        return sorted(topic for topic in self.topics if topic.startswith(prefix))

    def delete_topics(self, names: Iterable[str]) -> None:
        self.log.append("delete topics")
        self.topics -= set(names)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def connector(world: World, tmp_path: Path) -> SourceConnector:
    settings = ConnectSettings("http://registry", tmp_path, TEMPLATE, stop_patience=0.2)
    return SourceConnector(
        "pacs",
        SPEC,
        "hunter2",
        cast(ConnectClient, world),
        cast(TopicAdmin, world),
        cast(PostgresSource, world),
        settings,
    )


def running(world: World, connector: SourceConnector) -> SourceRecord:
    record = connector.ensure(RECORD, TABLES)
    world.slots.add("slot_1")
    world.stored = {"lsn_commit": 7}
    world.log.clear()
    return record


def test_topics_come_before_the_connector(world: World, connector: SourceConnector) -> None:
    record = connector.ensure(RECORD, TABLES)
    assert world.log == ["topics", "create stopped", "resume"]
    assert record.captured == {table: {"since": "initial"} for table in TABLES}
    assert "pacs-1.public.parcel" in world.topics
    assert "hunter2" not in str(world.configs)


def test_nothing_happens_twice(world: World, connector: SourceConnector) -> None:
    record = running(world, connector)
    assert connector.ensure(record, TABLES) == record
    assert world.log == ["topics"]


def test_a_table_added_later_is_marked(world: World, connector: SourceConnector) -> None:
    record = running(world, connector)
    world.published = {*TABLES, "public.sale"}
    record = connector.ensure(record, [*TABLES, "public.sale"])
    assert record.captured["public.sale"] == {"since": "later"}
    assert record.captured["public.parcel"] == {"since": "initial"}
    assert world.log == ["topics", "put config"]
    assert r"public\.sale" in world.configs["pacs-1"]["table.include.list"]


def test_an_interrupted_first_call_is_finished(world: World, connector: SourceConnector) -> None:
    running(world, connector)
    world.published = {*TABLES, "public.sale"}
    record = connector.ensure(RECORD, [*TABLES, "public.sale"])
    assert {table: mark["since"] for table, mark in record.captured.items()} == {
        "public.parcel": "initial",
        "public.owner": "initial",
        "public.sale": "later",
    }


def test_a_new_password_restarts_the_tasks(world: World, connector: SourceConnector, tmp_path: Path) -> None:
    record = running(world, connector)
    (tmp_path / "pacs-1.properties").write_text("password=old\n")
    connector.ensure(record, TABLES)
    assert world.log == ["topics", "restart all"]


@pytest.mark.parametrize(("published", "word"), [(None, "CREATE"), ({"public.parcel"}, "ALTER")])
def test_unpublished_tables_are_refused_with_the_statement(
    world: World, connector: SourceConnector, published: set[str] | None, word: str
) -> None:
    world.published = published
    with pytest.raises(SourceRefused) as caught:
        connector.ensure(RECORD, TABLES)
    assert f'{word} PUBLICATION "pub"' in caught.value.remedy
    assert '"public"."owner"' in caught.value.remedy
    assert world.log == []


@pytest.mark.parametrize("leftover", ["slot", "offsets"])
def test_leftovers_of_an_earlier_life_stop_a_fresh_one(
    world: World, connector: SourceConnector, leftover: str
) -> None:
    if leftover == "slot":
        world.slots.add("slot_1")
    else:
        world.stored = {"lsn_commit": 7}
    with pytest.raises(ConnectorConflict) as caught:
        connector.ensure(RECORD, TABLES)
    assert caught.value.code == "leftover_slot"
    assert "resume" not in world.log
    assert world.configs == {}
    assert world.stored is None


@pytest.mark.parametrize("gone", ["slot", "offsets"])
def test_a_lost_position_is_never_made_good_silently(
    world: World, connector: SourceConnector, gone: str
) -> None:
    record = running(world, connector)
    del world.configs["pacs-1"]
    if gone == "slot":
        world.slots.clear()
    else:
        world.stored = None
    with pytest.raises(ConnectorConflict) as caught:
        connector.ensure(record, TABLES)
    assert caught.value.code == "position_lost"
    assert "resume" not in world.log


def test_a_connector_deleted_by_hand_goes_on(world: World, connector: SourceConnector) -> None:
    record = running(world, connector)
    del world.configs["pacs-1"]
    connector.ensure(record, TABLES)
    assert world.log == ["topics", "create stopped", "resume"]


def test_removal_leaves_nothing_and_may_be_repeated(
    world: World, connector: SourceConnector, tmp_path: Path
) -> None:
    record = running(world, connector)
    world.topics.add("pacs-10.public.other")
    connector.remove(record)
    assert world.log == ["stop", "delete offsets", "delete connector", "drop slot", "delete topics"]
    assert world.topics == {"pacs-10.public.other"}
    assert list(tmp_path.iterdir()) == []
    connector.remove(record)


def test_a_connector_that_does_not_stop_keeps_its_offsets(world: World, connector: SourceConnector) -> None:
    record = running(world, connector)
    world.sticky = True
    with pytest.raises(ConnectorConflict, match="does not stop"):
        connector.remove(record)
    assert world.log == ["stop"]


@pytest.mark.parametrize(
    ("offset", "done"),
    [
        (None, False),
        ({"snapshot": "INITIAL", "last_snapshot_record": False}, False),
        ({"snapshot": "INITIAL", "last_snapshot_record": True}, True),
        ({"lsn": 5}, True),
    ],
)
def test_snapshot_done(
    world: World, connector: SourceConnector, offset: dict[str, Any] | None, done: bool
) -> None:
    world.stored = offset
    assert connector.snapshot_done(RECORD) is done


def test_committed_position(world: World, connector: SourceConnector) -> None:
    assert connector.committed_lsn(RECORD) is None
    assert connector.await_committed(RECORD, 5, timeout=0) is False
    world.stored = {"lsn": 100}
    assert connector.committed_lsn(RECORD) is None
    world.stored = {"lsn": 3, "lsn_commit": 5}
    assert connector.await_committed(RECORD, 5, timeout=0) is True
    assert connector.await_committed(RECORD, 6, timeout=0) is False


@pytest.mark.parametrize("fate", ["gone", "lost"])
def test_a_lost_slot_shows_while_connect_says_running(
    world: World, connector: SourceConnector, fate: str
) -> None:
    record = running(world, connector)
    assert connector.health(record).ok
    if fate == "gone":
        world.slots.clear()
    else:
        world.lost = True
    health = connector.health(record)
    assert (health.state, health.code) == ("FAILED", "slot_lost")


def test_health_of_a_missing_connector(connector: SourceConnector) -> None:
    assert connector.health(replace(RECORD)).state == "MISSING"


def test_a_source_that_does_not_answer_shows_in_health(world: World, connector: SourceConnector) -> None:
    record = running(world, connector)
    world.away = True
    health = connector.health(record)
    assert (health.state, health.code, health.ok) == ("RUNNING", "source_unavailable", False)
