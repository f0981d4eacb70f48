"""The writer's schema: Debezium's decorated Avro, made plain."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from consumers.decode import decode_rows
from consumers.errors import UnsupportedSchema
from consumers.schema import prepare, zigzag
from schemas.registry import MemoryRegistry, UnknownSchema, fingerprint
from tests.records import Col, Writer, array, envelope

EVERY = (
    Col("id", "int", nullable=False),
    Col("b", "boolean"),
    Col("l", "long"),
    Col("f", "float"),
    Col("d", "double"),
    Col("s", "string"),
    Col("y", "bytes"),
    Col("day", "int", semantic="io.debezium.time.Date"),
    Col("a", array("string")),
)


def test_columns_carry_type_meaning_and_nullability() -> None:
    columns = {c.name: c for c in prepare(1, envelope(EVERY)).columns}
    assert [c.dtype for c in columns.values()] == [
        pl.Int32(),
        pl.Boolean(),
        pl.Int64(),
        pl.Float32(),
        pl.Float64(),
        pl.String(),
        pl.Binary(),
        pl.Int32(),
        pl.List(pl.String()),
    ]
    assert [c.name for c in columns.values() if not c.nullable] == ["id"]
    assert columns["day"].semantic == "io.debezium.time.Date"
    assert columns["s"].semantic == "string"
    assert columns["day"].parameters == {"__debezium.source.column.name": "day"}
    items = columns["a"].items
    assert items is not None
    assert (items.semantic, items.nullable) == ("string", True)


def test_the_plain_schema_keeps_names_of_fields_and_nothing_else() -> None:
    plain = prepare(1, envelope(EVERY)).plain
    assert "connect." not in str(plain)
    assert "default" not in str(plain)
    fields = {f["name"]: f["type"] for f in plain["fields"]}
    assert fields["op"] == "string"
    before, after = fields["before"][1], fields["after"][1]
    assert before["fields"] == after["fields"]
    assert before["name"] != after["name"]


@pytest.mark.parametrize(
    ("avro", "columnar"),
    [
        ("string", True),
        (array("int"), True),
        ({"type": "fixed", "name": "F", "size": 2}, True),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, False),
    ],
)
def test_what_polars_reads_goes_by_columns(avro: Any, columnar: bool) -> None:
    assert prepare(1, envelope((Col("v", avro),))).columnar is columnar


def test_a_field_of_three_types_goes_the_row_path_where_it_is_no_column() -> None:
    schema = envelope((Col("id", "int"),))
    schema["fields"].append({"name": "extra", "type": ["null", "int", "string"], "default": None})
    assert not prepare(1, schema).columnar


@pytest.mark.parametrize(
    "schema",
    [
        "string",
        {"type": "array", "items": "int"},
        {"type": "record", "name": "Heartbeat", "fields": [{"name": "ts_ms", "type": "long"}]},
        envelope((Col("id", {"type": "map", "values": "int"}),)),
    ],
)
def test_other_schemas_are_refused(schema: Any) -> None:
    with pytest.raises(UnsupportedSchema):
        prepare(1, schema)


def test_a_column_of_several_types_is_refused() -> None:
    schema = envelope((Col("id", "int"),))
    row = schema["fields"][0]["type"][1]
    row["fields"].append({"name": "odd", "type": ["null", "int", "string"]})
    with pytest.raises(UnsupportedSchema, match="odd"):
        prepare(1, schema)


def test_a_name_that_nothing_defines_is_refused() -> None:
    schema = envelope((Col("id", "int"),))
    schema["fields"][1]["type"] = ["null", "Nothing"]
    with pytest.raises(UnsupportedSchema, match="Nothing"):
        prepare(1, schema)


def test_enums_are_read_by_rows() -> None:
    writer = Writer(1, (Col("id", "int"), Col("e", {"type": "enum", "name": "E", "symbols": ["A", "B"]})))
    frame = decode_rows([writer.value("c", {"id": 1, "e": "B"})], prepare(1, writer.schema))
    assert frame["after"].struct.field("e").to_list() == ["B"]


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, b"\x00"),
        (-1, b"\x01"),
        (1, b"\x02"),
        (64, b"\x80\x01"),
        (2**63 - 1, b"\xfe" + b"\xff" * 8 + b"\x01"),
    ],
)
def test_longs_are_encoded_as_avro_does(number: int, encoded: bytes) -> None:
    assert zigzag(number) == encoded


def test_case_64_a_fingerprint_is_that_of_the_meaning_not_of_the_spelling() -> None:
    one, other = envelope(EVERY), dict(reversed(envelope(EVERY).items()))
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(envelope(EVERY[:-1]))
    assert fingerprint(one) != fingerprint(envelope(tuple(reversed(EVERY))))


def test_an_unknown_id_is_an_answer() -> None:
    with pytest.raises(UnknownSchema):
        MemoryRegistry().schema(5)
    with pytest.raises(UnknownSchema):
        MemoryRegistry().latest("topic-value")
