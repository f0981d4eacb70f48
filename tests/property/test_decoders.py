"""Both decoders read the same: sound records alike, damaged ones never at their neighbours' cost."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from consumers.changes import OFFSET, Changes, read_changes
from consumers.decode import ROWS_BELOW, decode_columns, decode_event, decode_rows
from consumers.errors import BadRecord
from consumers.logical import typed, unreadable
from consumers.schema import prepare
from tests.avro import is_avro
from tests.records import PLACEHOLDER, Col, Log, Writer, array, registry

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
ITEMS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": INT,
    "long": LONG,
    "float": st.floats(width=32),
    "double": st.floats(),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    "bytes": st.binary(max_size=12),
}
KINDS: dict[str, tuple[Any, str | None, st.SearchStrategy[Any]]] = {
    **{name: (name, None, values) for name, values in ITEMS.items()},
    **{
        f"{name}[]": (array(name), None, st.lists(st.none() | values, max_size=4))
        for name, values in ITEMS.items()
    },
    "date": ("int", "io.debezium.time.Date", st.integers(-800_000, 3_000_000)),
    "time(3)": ("int", "io.debezium.time.Time", st.integers(0, 86_399_999)),
    "time": ("long", "io.debezium.time.MicroTime", st.integers(0, 86_399_999_999)),
    "timestamp(3)": ("long", "io.debezium.time.Timestamp", st.integers(-(10**14), 10**14)),
    "timestamp": ("long", "io.debezium.time.MicroTimestamp", st.integers(-(10**17), 10**17)),
    "timestamptz": ("string", "io.debezium.time.ZonedTimestamp", st.just("2024-02-29T10:34:56.789012Z")),
    "uuid": ("string", "io.debezium.data.Uuid", st.uuids().map(str)),
    "date[]": (
        array({"type": "int", "connect.name": "io.debezium.time.Date"}),
        None,
        st.lists(st.none() | st.integers(-1000, 1000), max_size=4),
    ),
    "fixed": ({"type": "fixed", "name": "Four", "size": 4}, None, st.binary(min_size=4, max_size=4)),
}


@st.composite
def tables(draw: st.DrawFn, most: int = 6) -> tuple[Writer, list[dict[str, Any]]]:
    """A writer with an id and some columns of any kind, and rows for it."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.booleans()), max_size=5))
    once = [k for i, k in enumerate(kinds) if k[0] != "fixed" or "fixed" not in [j[0] for j in kinds[:i]]]
    columns = [Col("id", "int", nullable=False)]
    values: dict[str, st.SearchStrategy[Any]] = {"id": st.integers(0, 10**6)}
    for number, (kind, nullable) in enumerate(once):
        avro, semantic, strategy = KINDS[kind]
        columns.append(Col(f"c{number}", avro, semantic=semantic, nullable=nullable))
        values[f"c{number}"] = st.none() | strategy if nullable else strategy
    rows = draw(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=most))
    return Writer(7, tuple(columns)), rows


def written(writer: Writer, rows: list[dict[str, Any]]) -> list[bytes]:
    """Updates with the row before, and between them a delete."""
    log = Log(writer)
    for number, row in enumerate(rows):
        if number % 3 == 2:
            log.delete(row, tombstone=False)
        else:
            log.upsert(row, "u", before=rows[number - 1] if number else None)
    return [record.value for record in log.records if record.value is not None]


@given(tables())
def test_both_decoders_give_equal_frames(table: tuple[Writer, list[dict[str, Any]]]) -> None:
    writer, rows = table
    schema, values = prepare(writer.schema_id, writer.schema), written(*table)
    assert schema.columnar
    by_columns, by_rows = decode_columns(values, schema), decode_rows(values, schema)
    assert by_columns.schema == by_rows.schema
    assert_frame_equal(by_columns, by_rows, check_exact=True)
    assert by_rows["op"].to_list() == ["d" if n % 3 == 2 else "u" for n in range(len(rows))]
    assert by_rows["after"].is_null().to_list() == [n % 3 == 2 for n in range(len(rows))]


@given(tables())
def test_logical_types_are_the_same_after_either_decoder(table: tuple[Writer, list[dict[str, Any]]]) -> None:
    writer, _ = table
    schema, values = prepare(writer.schema_id, writer.schema), written(*table)
    columns = [c for c in schema.columns if unreadable(c) is None]
    frames = [
        decode(values, schema).select(typed(c, pl.col("after").struct.field(c.name)) for c in columns)
        for decode in (decode_columns, decode_rows)
    ]
    assert frames[0].schema == frames[1].schema
    assert_frame_equal(frames[0], frames[1], check_exact=True)


@given(tables())
def test_sound_values_survive_the_round_trip(table: tuple[Writer, list[dict[str, Any]]]) -> None:
    writer, rows = table
    schema = prepare(writer.schema_id, writer.schema)
    decoded = [decode_event(writer.value("c", row), schema)["after"] for row in rows]
    for have, want in zip(decoded, rows, strict=True):
        assert repr(have) == repr({c.name: want[c.name] for c in writer.columns})


@st.composite
def damages(draw: st.DrawFn, value: bytes) -> bytes:
    """The value with bits flipped, cut short, or with bytes put in or behind it; the header stays whole."""
    how = draw(st.sampled_from(["flip", "cut", "extend", "insert", "double"]))
    at = draw(st.integers(5, len(value) - 1))
    if how == "flip":
        return value[:at] + bytes([value[at] ^ (1 << draw(st.integers(0, 7)))]) + value[at + 1 :]
    if how == "cut":
        return value[:at]
    some = draw(st.binary(min_size=1, max_size=8))
    if how == "insert":
        return value[:at] + some + value[at:]
    return value + (value if how == "double" else some)


def rows_of(decode: Any, values: list[bytes], schema: Any) -> pl.DataFrame | None:
    """The frame, or None for a BadRecord; anything else is a failure."""
    try:
        return decode(values, schema)  # type: ignore[no-any-return]
    except BadRecord:
        return None


@given(tables(most=5), st.data())
def test_damaged_values_are_read_alike_or_reported_and_never_shift_others(
    table: tuple[Writer, list[dict[str, Any]]], data: st.DataObject
) -> None:
    """What a writer could have written is read alike; what none could have (a branch number that does not exist), either
    decoder may read as it likes. The others are untouched whatever the damage."""
    writer, _ = table
    schema, values = prepare(writer.schema_id, writer.schema), written(*table)
    sound = decode_rows(values, schema)
    victim = data.draw(st.integers(0, len(values) - 1))
    values[victim] = data.draw(damages(values[victim]))
    by_columns, by_rows = rows_of(decode_columns, values, schema), rows_of(decode_rows, values, schema)
    others = pl.int_range(pl.len()) != victim
    for frame in (by_columns, by_rows):
        if frame is not None:
            assert_frame_equal(frame.filter(others), sound.filter(others), check_exact=True)
    if by_columns is not None and by_rows is not None and is_avro(values[victim][5:], schema.plain):
        assert_frame_equal(by_columns, by_rows, check_exact=True)


@given(tables(most=4), st.data(), st.booleans())
def test_case_49_neighbours_of_a_damaged_record_keep_their_values(
    table: tuple[Writer, list[dict[str, Any]]], data: st.DataObject, columnar: bool
) -> None:
    writer, rows = table
    sound = Log(writer)
    for number in range(ROWS_BELOW + 2 if columnar else len(rows)):
        sound.upsert(rows[number % len(rows)] | {"id": number}, "c")
    victim = data.draw(st.integers(0, len(sound.records) - 1))
    hurt = list(sound.records)
    value = sound.records[victim].value
    assert value is not None
    hurt[victim] = hurt[victim]._replace(value=data.draw(damages(value)))
    want, have = changes(writer, sound), changes(writer, sound, hurt)
    here = pl.col(OFFSET) != victim
    assert_frame_equal(have.frame.filter(here), want.frame.filter(here), check_exact=True)
    bad = [b.record.offset for b in have.bad]
    assert bad in ([], [victim])
    assert (victim in have.frame[OFFSET]) == (bad == [])


def changes(writer: Writer, log: Log, records: Any = None) -> Changes:
    """What read_changes makes of the readable columns."""
    schemas = registry(writer)
    columns = [c.name for c in schemas(writer.schema_id).columns if unreadable(c) is None]
    wanted = writer.plan().wanted
    wanted = type(wanted)(tuple(columns), wanted.key, PLACEHOLDER)
    return read_changes(writer.topic, records or log.records, wanted, schemas)
