"""Our transforms inside a real connector: what the topics hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from syncservice.connect.names import truncates_topic
from tests.integration.connect_lab import Event, SourceLab

pytestmark = pytest.mark.stack

DDL = """
CREATE TABLE defaults (
    id int PRIMARY KEY,
    note text DEFAULT 'dflt',
    amount numeric(12,2) DEFAULT 1.50,
    needed int NOT NULL DEFAULT 42,
    doc jsonb DEFAULT '{"a": 1}',
    tags text[] DEFAULT '{x,y}',
    seen timestamptz DEFAULT now(),
    "Odd name-1" int DEFAULT 3
);
CREATE TABLE plain (id int PRIMARY KEY, note varchar(20));
INSERT INTO defaults VALUES (1, NULL, NULL, 7, NULL, NULL, NULL, NULL);
"""
NULLS = {"note": None, "amount": None, "doc": None, "tags": None, "seen": None, "Odd_name_1": None}


@pytest.fixture(scope="module")
def lab(source_lab: Callable[[str, str, list[str]], SourceLab]) -> Iterator[SourceLab]:
    made = source_lab("chelper-transform", DDL, ["public.defaults", "public.plain"])
    made.start()
    yield made


def rows(events: list[Event]) -> list[Event]:
    return [event for event in events if event.value is not None]


def test_case_7_null_in_a_column_with_a_default_stays_null(lab: SourceLab) -> None:
    lab.sql(
        "INSERT INTO defaults VALUES (2, NULL, NULL, 8, NULL, NULL, NULL, NULL)",
        "INSERT INTO defaults (id) VALUES (3)",
        "UPDATE defaults SET note = NULL, doc = NULL, tags = NULL WHERE id = 3",
    )
    lab.settle()
    events = {
        (event.value["op"], event.key): event.value["after"]
        for event in rows(lab.events([lab.topic("public.defaults")]))
        if event.value
    }
    assert events["r", '{"id":1}'] == {"id": 1, "needed": 7, **NULLS}
    assert events["c", '{"id":2}'] == {"id": 2, "needed": 8, **NULLS}
    filled = events["c", '{"id":3}']
    assert (filled["note"], filled["amount"], filled["needed"]) == ("dflt", "1.50", 42)
    assert (filled["doc"], filled["tags"], filled["Odd_name_1"]) == ('{"a": 1}', ["x", "y"], 3)
    changed = events["u", '{"id":3}']
    assert (changed["note"], changed["doc"], changed["tags"], changed["needed"]) == (None, None, None, 42)


def test_schemas_hold_no_column_default_and_keep_the_rest(lab: SourceLab) -> None:
    last = rows(lab.events([lab.topic("public.defaults")]))[-1]
    assert last.schema_id is not None
    schema = lab.schema(last.schema_id)
    before = next(field for field in schema["fields"] if field["name"] == "before")["type"][1]
    defaults = {field["name"]: field["default"] for field in before["fields"] if "default" in field}
    assert set(defaults.values()) == {None}  # "may be left out", for the nullable ones only
    assert "connect.default" not in str(before)
    odd = next(field for field in before["fields"] if field["name"] == "Odd_name_1")
    assert odd["type"][1]["connect.parameters"]["__debezium.source.column.name"] == "Odd name-1"
    assert before["connect.name"] == f"{lab.database}_1.public.defaults.Value"


def test_case_17_truncate_goes_to_its_own_topic_and_the_connector_survives(lab: SourceLab) -> None:
    lab.sql(
        "INSERT INTO plain VALUES (1, 'before')",
        "TRUNCATE plain, defaults",
        "INSERT INTO plain VALUES (2, 'after')",
    )
    lab.settle()
    truncates = lab.events([truncates_topic(lab.connector.prefix(lab.record))])
    sources = [event.value["source"] for event in truncates if event.value and event.value["op"] == "t"]
    assert sorted(source["table"] for source in sources) == ["defaults", "plain"]
    assert [event.key for event in truncates] == [None, None]
    plain = rows(lab.events([lab.topic("public.plain")]))
    assert [event.value["op"] for event in plain if event.value] == ["c", "c"]
    first, second = [event.value["source"]["lsn"] for event in plain if event.value]
    assert all(first < source["lsn"] < second for source in sources)
    assert lab.connector.health(lab.record).ok


def test_deletes_and_key_changes_leave_tombstones_and_name_the_other_key(lab: SourceLab) -> None:
    lab.sql(
        "INSERT INTO plain VALUES (10, 'a'), (11, 'b')",
        "UPDATE plain SET id = 12 WHERE id = 10",
        "DELETE FROM plain WHERE id = 11",
    )
    lab.settle()
    events = lab.events([lab.topic("public.plain")])[-7:]
    kinds = [(event.value["op"] if event.value else "tombstone", event.key) for event in events]
    assert kinds == [
        ("c", '{"id":10}'),
        ("c", '{"id":11}'),
        ("d", '{"id":10}'),
        ("tombstone", '{"id":10}'),
        ("c", '{"id":12}'),
        ("d", '{"id":11}'),
        ("tombstone", '{"id":11}'),
    ]
    assert events[2].headers == {"__debezium.newkey": '{"id":12}'}
    assert events[4].headers == {"__debezium.oldkey": '{"id":10}'}
