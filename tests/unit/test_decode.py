"""From bytes to envelopes, and what is no envelope."""

from __future__ import annotations

import polars as pl
import pytest

from consumers.decode import ROWS_BELOW, decode, decode_columns, decode_event, decode_rows, schema_id_of
from consumers.errors import BadRecord
from consumers.schema import prepare
from tests.records import Col, Writer

WRITER = Writer(258, (Col("id", "int", nullable=False), Col("name")))
SCHEMA = prepare(258, WRITER.schema)


def value(number: int) -> bytes:
    return WRITER.value("c", {"id": number, "name": f"n{number}"})


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"", "truncated"), (b"\x00\x00\x00\x01", "truncated"), (b"{\x00\x00\x00\x01", "bad_magic")],
)
def test_case_49_a_broken_header_is_told_by_its_code(raw: bytes, code: str) -> None:
    with pytest.raises(BadRecord) as bad:
        schema_id_of(raw)
    assert bad.value.code == code


def test_the_header_holds_the_schema_id() -> None:
    assert schema_id_of(value(1)) == 258


@pytest.mark.parametrize("count", [1, ROWS_BELOW - 1, ROWS_BELOW, ROWS_BELOW + 1])
def test_batches_of_any_size_are_read(count: int) -> None:
    frame = decode([value(n) for n in range(count)], SCHEMA)
    assert frame["after"].struct.field("id").to_list() == list(range(count))
    assert frame.columns == ["after", "op"]


@pytest.mark.parametrize("decoder", [decode_columns, decode_rows])
@pytest.mark.parametrize(
    "damage", [lambda v: v[:-1], lambda v: v + b"\x00", lambda v: v[:5], lambda v: v + v]
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_case_49_a_damaged_value_never_passes(decoder: object, damage: object, at: int) -> None:
    values = [value(n) for n in range(3)]
    values[at] = damage(values[at])  # type: ignore[operator]
    with pytest.raises(BadRecord) as bad:
        decoder(values, SCHEMA)  # type: ignore[operator]
    assert bad.value.code == "bad_avro"


def test_a_row_of_nulls_is_a_row() -> None:
    writer = Writer(1, (Col("id", "int"), Col("name")))
    schema = prepare(1, writer.schema)
    values = [writer.value("c", {"id": None, "name": None}), writer.value("d", None, {"id": 1, "name": None})]
    for frame in (decode_columns(values, schema), decode_rows(values, schema)):
        assert frame["after"].is_null().to_list() == [False, True]


def test_the_whole_envelope_is_read_by_rows() -> None:
    event = decode_event(WRITER.value("u", {"id": 1, "name": None}, {"id": 1, "name": "x"}, lsn=7), SCHEMA)
    source = event["source"]
    assert isinstance(source, dict)
    assert (event["op"], source["lsn"], event["before"]) == ("u", 7, {"id": 1, "name": "x"})


def test_the_frames_have_the_schemas_types() -> None:
    frame = decode_rows([WRITER.value("d", None, {"id": 1, "name": None})], SCHEMA)
    assert frame.schema == {"after": pl.Struct({"id": pl.Int32(), "name": pl.String()}), "op": pl.String()}
