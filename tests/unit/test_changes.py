"""Records of a topic become one typed frame; what cannot is told by record."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from consumers.changes import OFFSET, OP, UNAVAILABLE, KeyShape, SourcePosition, read_changes, source_position
from consumers.decode import ROWS_BELOW
from consumers.errors import BadRecord, UnsupportedSchema
from schemas.registry import UnknownSchema
from tests.records import PLACEHOLDER, Col, Log, Writer, array, registry

WRITER = Writer(
    3, (Col("id", "int", nullable=False), Col("name"), Col("day", "int", semantic="io.debezium.time.Date"))
)
WIDER = Writer(
    4,
    (
        Col("id", "long", nullable=False),
        Col("name"),
        Col("day", "int", semantic="io.debezium.time.Date"),
        Col("new"),
    ),
)
SCHEMAS = registry(WRITER, WIDER)


def row(number: int, name: str | None = None) -> dict[str, Any]:
    return {"id": number, "name": name, "day": 0}


def read(log: Log, columns: tuple[str, ...] = ("id", "name")) -> Any:
    return read_changes(WRITER.topic, log.records, replace(WRITER.plan().wanted, columns=columns), SCHEMAS)


def test_every_kind_of_change_in_offset_order() -> None:
    log = Log(WRITER)
    log.upsert(row(1, "a"), "r")
    log.upsert(row(2, "b"), "c")
    log.gap(5)
    log.upsert(row(1, "A"), "u")
    log.delete(row(2))
    frame = read(log).frame
    assert frame.rows() == [
        (0, "u", 1, "a"),
        (1, "u", 2, "b"),
        (7, "u", 1, "A"),
        (8, "d", 2, None),
        (9, "d", 2, None),
    ]
    assert frame.schema == {OFFSET: pl.Int64(), OP: pl.String(), "id": pl.Int32(), "name": pl.String()}


def test_only_wanted_columns_are_there_and_typed() -> None:
    log = Log(WRITER)
    log.upsert(row(1), "c")
    assert read(log, ("id", "day")).frame.schema["day"] == pl.Date()
    assert read(log, ("id", "day")).frame.columns == [OFFSET, OP, "id", "day"]


def test_case_27_two_schema_versions_in_one_batch() -> None:
    log = Log(WRITER)
    log.upsert(row(1, "old"), "c")
    log.writer = WIDER
    log.upsert(row(2**40, "new") | {"new": "x"}, "c")
    log.delete(row(1) | {"new": None})
    log.writer = WRITER
    log.upsert(row(3, "old again"), "c")
    frame = read(log).frame
    assert frame[OFFSET].to_list() == [0, 1, 2, 3, 4]
    assert frame["id"].to_list() == [1, 2**40, 1, 1, 3]
    assert frame[OP].to_list() == ["u", "u", "d", "d", "u"]


def test_case_23_a_dropped_column_is_named() -> None:
    log = Log(WRITER)
    log.upsert(row(1), "c")
    with pytest.raises(UnsupportedSchema, match="gone"):
        read(log, ("id", "gone"))


def test_case_26_an_unknown_schema_id_is_nobodys_dead_letter() -> None:
    log = Log(replace(WRITER, schema_id=99))
    log.upsert(row(1), "c")
    with pytest.raises(UnknownSchema):
        read(log)


def test_tombstones_that_come_alone_are_read_with_the_newest_schema() -> None:
    log = Log(WRITER)
    log.tombstone(row(7))
    frame = read(log).frame
    assert frame.select(OP, "id").rows() == [("d", 7)]
    assert frame.schema["id"] == pl.Int64()


@pytest.mark.parametrize("many", [False, True])
def test_case_49_bad_records_are_told_with_their_codes(many: bool) -> None:
    log = Log(WRITER)
    good = WRITER.value("c", row(1))
    codes = {
        log.raw(b'{"id":1}', b"{}").offset: "truncated",
        log.raw(b'{"id":1}', b"{" + good[1:]).offset: "bad_magic",
        log.raw(b'{"id":1}', good[:-2]).offset: "bad_avro",
        log.raw(b'{"id":1}', WRITER.value("m", row(1))).offset: "unexpected_op",
        log.raw(b'{"id":1}', WRITER.value("t")).offset: "unexpected_op",
        log.raw(b'{"id":1}', WRITER.value("u", None)).offset: "unexpected_op",
        log.raw(b"nonsense", WRITER.value("d")).offset: "bad_key",
        log.raw(None, WRITER.value("d")).offset: "bad_key",
        log.raw(b'{"other":1}', None).offset: "bad_key",
        log.raw(b'{"id":"x"}', None).offset: "bad_key",
        log.raw(b'{"id":99999999999999}', WRITER.value("d")).offset: "bad_key",
        log.raw(b"[1]", None).offset: "bad_key",
    }
    for number in range(ROWS_BELOW if many else 3):
        log.upsert(row(number, "fine"), "c")
    changes = read(log)
    assert {b.record.offset: b.error.code for b in changes.bad} == codes
    assert changes.frame["name"].to_list() == ["fine"] * (ROWS_BELOW if many else 3)
    assert all(b.error.reason for b in changes.bad)


@pytest.mark.parametrize(
    "key",
    [
        b'{"id":null}',
        b'{"id":true}',
        b'{"id":1.5}',
        b'{"id":{"a":1}}',
        b'{"id":[1]}',
    ],
)
def test_case_49_a_key_of_another_type_deletes_nothing(key: bytes) -> None:
    log = Log(WRITER)
    log.raw(key, None)
    changes = read(log)
    assert [b.error.code for b in changes.bad] == ["bad_key"]
    assert changes.frame.is_empty()


@pytest.mark.parametrize("others", [0, 1, ROWS_BELOW])
def test_case_49_an_empty_value_is_told_alike_in_any_company(others: int) -> None:
    log = Log(WRITER)
    for number in range(others):
        log.upsert(row(number, "fine"), "c")
    log.raw(b'{"id":1}', b"")
    changes = read(log)
    assert [(b.record.offset, b.error.code) for b in changes.bad] == [(others, "truncated")]
    assert changes.frame.height == others


def test_nothing_but_bad_records_gives_an_empty_frame() -> None:
    log = Log(WRITER)
    log.raw(b'{"id":1}', b"")
    assert read(log).frame.is_empty()
    log.raw(b'{"id":1}', WRITER.value("m", row(1)))
    assert read(log).frame.is_empty()


PLACEHOLDERS: list[tuple[str, Any, Any, Any]] = [
    ("text", "string", PLACEHOLDER, "whole"),
    ("bytea", "bytes", PLACEHOLDER.encode(), b"whole"),
    ("text[]", array("string"), [PLACEHOLDER], [PLACEHOLDER, "x"]),
    ("bytea[]", array("bytes"), [PLACEHOLDER.encode()], [b"x"]),
    ("int[]", array("int"), list(PLACEHOLDER.encode()), [1, None]),
    ("bigint[]", array("long"), list(PLACEHOLDER.encode()), list(PLACEHOLDER.encode())[:-1]),
    (
        "date[]",
        array({"type": "int", "connect.name": "io.debezium.time.Date"}),
        list(PLACEHOLDER.encode()),
        [1],
    ),
    (
        "uuid[]",
        array({"type": "string", "connect.name": "io.debezium.data.Uuid"}),
        [str(uuid.UUID(bytes=hashlib.md5(PLACEHOLDER.encode()).digest(), version=3))],
        [str(uuid.UUID(int=1))],
    ),
]


@pytest.mark.parametrize(("name", "avro", "hidden", "whole"), PLACEHOLDERS, ids=[p[0] for p in PLACEHOLDERS])
def test_case_8_unchanged_toast_is_recognised(name: str, avro: Any, hidden: Any, whole: Any) -> None:
    writer = Writer(5, (Col("id", "int", nullable=False), Col("v", avro)))
    log = Log(writer)
    for value in (hidden, whole, None, hidden):
        log.upsert({"id": 1, "v": value})
    log.delete({"id": 1, "v": None})
    frame = read_changes(writer.topic, log.records, writer.plan().wanted, registry(writer)).frame
    assert frame[UNAVAILABLE + "v"].to_list() == [True, False, False, True, False, False]
    assert frame["v"].is_null().to_list() == [True, False, True, True, True, True]


def test_without_a_placeholder_there_is_no_flag() -> None:
    log = Log(WRITER)
    log.upsert(row(1, PLACEHOLDER + " "), "c")
    frame = read(log).frame
    assert not [c for c in frame.columns if c.startswith(UNAVAILABLE)]
    assert frame["name"].to_list() == [PLACEHOLDER + " "]


def test_keys_of_several_columns_and_types() -> None:
    columns = (
        Col("t"),
        Col("b", "bytes"),
        Col("day", "int", semantic="io.debezium.time.Date"),
        Col("n", "long"),
    )
    writer = Writer(6, columns, ("t", "b", "day", "n"))
    key = writer.key_of({"t": 'ä"', "b": b"\x00\xff", "day": 1, "n": 2**60})
    frame = KeyShape(registry(writer)(6), ("t", "b", "day", "n")).frame([key])
    assert frame.select(pl.exclude("day")).rows() == [('ä"', b"\x00\xff", 2**60)]
    assert str(frame["day"][0]) == "1970-01-02"


def test_case_6_a_decimal_key_keeps_its_digits() -> None:
    writer = Writer(6, (Col("n", "string", "numeric"),), ("n",))
    frame = KeyShape(registry(writer)(6), ("n",)).frame([b'{"n":12345678901234567890.10}'])
    assert frame["n"].to_list() == ["12345678901234567890.10"]


def test_the_newest_source_position_is_that_of_the_last_readable_record() -> None:
    log = Log(WRITER)
    log.raw(b'{"id":1}', WRITER.value("c", row(1), lsn=10, ts_ms=5))
    log.raw(b'{"id":1}', WRITER.value("c", row(1), lsn=20, ts_ms=6))
    log.raw(b'{"id":1}', b"nonsense")
    log.tombstone(row(1))
    assert read(log).newest == SourcePosition(20, 6, "806")


def test_a_source_position_without_lsn() -> None:
    assert source_position(WRITER.value("r", row(1), lsn=None), SCHEMAS(3)).lsn is None
    with pytest.raises(BadRecord):
        source_position(b"\x00\x00\x00\x00\x03", SCHEMAS(3))
