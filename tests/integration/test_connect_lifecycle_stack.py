"""A connector's life on the real stack: nothing left behind, positions that prove, causes in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from syncservice.connect.errors import ConnectorConflict
from syncservice.connect.health import ConnectorHealth
from syncservice.connect.names import heartbeat_topic
from tests.integration.connect_lab import SourceLab

pytestmark = pytest.mark.stack

DDL = """
CREATE TABLE a (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, v varchar(100));
CREATE TABLE b (id int PRIMARY KEY, v text);
CREATE TABLE later (id int PRIMARY KEY);
INSERT INTO later VALUES (1);
INSERT INTO a SELECT i, 0, 'x' FROM generate_series(1, 100) i;
"""
Make = Callable[[str, str, list[str]], SourceLab]


@pytest.fixture
def lab(source_lab: Make) -> Iterator[SourceLab]:
    made = source_lab("chelper-life", DDL, ["public.a", "public.b"])
    yield made
    made.connector.remove(made.record)


def until(lab: SourceLab, reached: Callable[[ConnectorHealth], bool], timeout: float = 60) -> ConnectorHealth:
    deadline = time.monotonic() + timeout
    while not reached(health := lab.connector.health(lab.record)):
        assert time.monotonic() < deadline, health
        time.sleep(0.2)
    return health


def test_removal_leaves_nothing_and_a_new_generation_starts_afresh(lab: SourceLab) -> None:
    lab.start()
    lab.settle()
    topic = lab.topic("public.a")
    first_id = lab.admin.topic_ids([topic])[topic]
    assert lab.admin.end_offsets([topic]) == {topic: 100}
    lab.connector.remove(lab.record)
    prefix = lab.connector.prefix(lab.record)
    assert lab.client.config(lab.record.connector) is None
    assert lab.source.slot(lab.record.slot) is None
    assert lab.admin.list_topics(f"{prefix}.") == lab.admin.list_topics(heartbeat_topic(prefix)) == []
    assert not (lab.secrets_dir / f"{prefix}.properties").exists()
    lab.record = replace(lab.record, captured={})  # same names: no offset may have survived
    lab.start()
    assert lab.admin.end_offsets([topic]) == {topic: 100}
    assert lab.admin.topic_ids([topic])[topic] != first_id


def test_ensure_changes_nothing_that_is_right(lab: SourceLab) -> None:
    lab.start()
    until(lab, lambda health: health.ok)
    config = lab.client.config(lab.record.connector)
    assert lab.connector.ensure(lab.record, lab.tables) == lab.record
    assert lab.client.config(lab.record.connector) == config
    assert lab.connector.health(lab.record).ok
    assert "s3cret" not in str(config)


def test_case_71_a_table_added_later_streams_only_new_changes(lab: SourceLab) -> None:
    lab.start()
    lab.tables = [*lab.tables, "public.later"]
    lab.mend()
    lab.record = lab.connector.ensure(lab.record, lab.tables)
    assert lab.record.captured["public.later"] == {"since": "later"}
    until(lab, lambda health: health.ok)
    lab.settle()
    lab.sql("INSERT INTO later VALUES (2)")
    lab.settle()
    assert [event.key for event in lab.events([lab.topic("public.later")])] == ['{"id":2}']


def test_a_passed_marker_proves_every_earlier_commit_while_big_transactions_run(lab: SourceLab) -> None:
    lab.start()
    lab.settle()
    stop = threading.Event()

    def big() -> None:
        with lab.administrator() as connection:
            while not stop.is_set():
                with connection.transaction():
                    connection.execute(
                        "INSERT INTO b SELECT i, repeat('x', 200) FROM generate_series(1, 3000) i"
                    )
                    connection.execute("DELETE FROM b")
                time.sleep(1)  # the source must not outrun the connector for good

    worker = threading.Thread(target=big)
    worker.start()
    topic = lab.topic("public.a")
    try:
        for turn in range(1, 9):
            lab.sql("UPDATE a SET n = n + 1")
            marker = lab.source.emit_marker("chelper")
            assert lab.connector.await_committed(lab.record, marker, 60)
            assert lab.admin.end_offsets([topic])[topic] >= 100 + 100 * turn
    finally:
        stop.set()
        worker.join()


def test_an_open_transaction_does_not_hold_a_marker_up(lab: SourceLab) -> None:
    lab.start()
    with lab.administrator() as connection, connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO a SELECT i FROM generate_series(1000, 1999) i")
        started = time.monotonic()
        lab.settle()
        assert time.monotonic() - started < 10
    assert lab.admin.end_offsets([lab.topic("public.a")])[lab.topic("public.a")] == 100


def test_case_66_an_idle_source_moves_with_markers(lab: SourceLab) -> None:
    lab.start()
    lab.settle()
    slot = lab.source.slot(lab.record.slot)
    assert slot is not None
    deadline = time.monotonic() + 30
    while (now := lab.source.slot(lab.record.slot)) is None or now.confirmed_lsn == slot.confirmed_lsn:
        lab.settle()
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_case_65_a_large_value_passes_and_a_huge_one_is_named(lab: SourceLab) -> None:
    lab.start()
    lab.sql("INSERT INTO b SELECT 1, string_agg(md5(i::text), '') FROM generate_series(1, 100000) i")
    lab.sql("INSERT INTO b SELECT 2, string_agg(md5(i::text), '') FROM generate_series(1, 655360) i")
    lab.settle(60)
    sizes = [len(event.value["after"]["v"]) for event in lab.events([lab.topic("public.b")]) if event.value]
    assert sizes == [3_200_000, 20_971_520]
    lab.sql("INSERT INTO b SELECT 3, string_agg(md5(i::text), '') FROM generate_series(1, 1200000) i")
    health = until(lab, lambda health: health.state == "FAILED", timeout=90)
    assert health.code == "record_too_large", health


def test_case_41_a_lost_slot_is_named_and_never_made_again(lab: SourceLab) -> None:
    lab.start()
    lab.settle()
    lab.client.stop(lab.record.connector)
    lab.source.drop_slot(lab.record.slot)
    with pytest.raises(ConnectorConflict) as caught:
        lab.connector.ensure(lab.record, lab.tables)
    assert caught.value.code == "position_lost"
    with pytest.raises(ConnectorConflict):
        lab.connector.ensure(lab.record, lab.tables)
    assert lab.source.slot(lab.record.slot) is None


def test_a_slot_lost_under_a_running_connector_is_named(lab: SourceLab) -> None:
    lab.start()
    lab.settle()
    with lab.administrator() as connection:
        for _ in range(100):
            connection.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s AND active",
                (lab.record.slot,),
            )
            try:
                connection.execute("SELECT pg_drop_replication_slot(%s)", (lab.record.slot,))
                break
            except psycopg.errors.ObjectInUse:
                time.sleep(0.05)
    assert until(lab, lambda health: health.state == "FAILED").code == "slot_lost"


def test_a_changed_password_is_taken_up(lab: SourceLab) -> None:
    lab.start()
    secret = lab.secrets_dir / f"{lab.connector.prefix(lab.record)}.properties"
    right = secret.read_text()
    secret.write_text("password=wrong\n")
    lab.client.restart(lab.record.connector, only_failed=False)
    health = until(lab, lambda health: health.state == "FAILED")
    assert (health.code, "s3cret" in str(health)) == ("password_wrong", False)
    lab.connector.ensure(lab.record, lab.tables)
    assert secret.read_text() == right
    until(lab, lambda health: health.ok)
    lab.settle()
