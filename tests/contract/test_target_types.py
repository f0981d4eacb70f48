"""Values arrive in PostgreSQL as they were at the source: every type that planning lets through, as Debezium spells it.

The spellings are those of real records (Debezium 3.7 with connect-configs/postgresql.json). What PostgreSQL shows as
text (`::text`) is compared, so nothing is rounded or trimmed by a driver on the way back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from psycopg import sql

from consumers.decode import ROWS_BELOW
from consumers.records import TopicPartition
from syncservice.planning import EXACT, EXACT_ITEMS
from syncservice.prepare import prepare
from syncservice.targets.connection import Connect, Connection
from syncservice.targets.postgresql import PostgresTarget, prepare_state
from syncservice.targets.tables import base_type
from tests.databases import scratch_database
from tests.records import Col, Log, Writer, array, batch_of, registry

DATE, TIME, TIMESTAMP, TIMESTAMP_MS = (
    f"io.debezium.time.{name}" for name in ("Date", "MicroTime", "MicroTimestamp", "Timestamp")
)
TEXTS = ["", " ", "\\N", "NULL", "a'b\"c", "tab\tnewline\n", "Grüße 🏡", "\\", "{}", "true"]


@dataclass(frozen=True)
class Type:
    """A target type, how its events look, and (value in the event, text in the target) pairs."""

    pg: str
    avro: Any
    values: list[tuple[Any, str]]
    semantic: str | None = None


def same(*texts: str) -> list[tuple[Any, str]]:
    """Values that stay as they are spelled."""
    return [(text, text) for text in texts]


TYPES = [
    Type("boolean", "boolean", [(True, "true"), (False, "false")]),
    Type("smallint", "int", [(-32768, "-32768"), (32767, "32767"), (0, "0")]),
    Type("integer", "int", [(-(2**31), str(-(2**31))), (2**31 - 1, str(2**31 - 1))]),
    Type("bigint", "long", [(-(2**63), str(-(2**63))), (2**63 - 1, str(2**63 - 1))]),
    Type("oid", "long", [(0, "0"), (2**32 - 1, str(2**32 - 1))]),
    Type("real", "float", [(1.5, "1.5"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"), (float("nan"), "NaN"), (3.4028234663852886e38, "3.4028235e+38"), (1e-45, "1e-45")]),
    Type("double precision", "double", [(0.1, "0.1"), (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"), (float("nan"), "NaN"), (-0.0, "-0")]),
    Type("numeric", "string", same("0", "-0.10", "1.000", "9" * 70, "0." + "1" * 70, "-" + "123456789" * 7 + "1234567.25", "NaN")),
    Type("numeric(12,2)", "string", same("12.34", "-9999999999.99", "0.00")),
    Type("numeric(4,-2)", "string", same("123400")),
    Type("money", "string", [("12.34", "$12.34"), ("-92233720368547758.08", "-$92,233,720,368,547,758.08")]),
    Type("text", "string", same(*TEXTS)),
    Type("character varying", "string", same(*TEXTS)),
    Type("character varying(4)", "string", same("", "abcd", "🏡🏡🏡🏡", "a  ")),
    Type("character(4)", "string", [("ch  ", "ch"), ("abcd", "abcd"), ("    ", "")]),
    Type("citext", "string", same("", "MiXed")),
    Type("uuid", "string", same("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "io.debezium.data.Uuid"),
    Type("json", "string", same('{"k": [1, 2]}', '{"b":1,"a":1,"a":2}', "1e2", '"\\u00e4"', "null"), "io.debezium.data.Json"),
    Type("jsonb", "string", same('{"k": [1, 2.50]}', "null", "[]", '{"a": "\\\\N \\"q\\""}'), "io.debezium.data.Json"),
    Type("bytea", "bytes", [(b"", "\\x"), (b"\x00\xff\\N", "\\x00ff5c4e"), (b"\xde\xad\xbe\xef", "\\xdeadbeef")]),
    Type("date", "int", [(19782, "2024-02-29"), (0, "1970-01-01"), (-719162, "0001-01-01"), (-719163, "0001-12-31 BC"), (-735160, "0044-03-15 BC"), (2932897, "10000-01-01")], DATE),
    Type("time without time zone", "long", [(45296789012, "12:34:56.789012"), (0, "00:00:00"), (86399999999, "23:59:59.999999")], TIME),
    Type("time(3) without time zone", "int", [(45296789, "12:34:56.789")], "io.debezium.time.Time"),
    Type("time with time zone", "string", [("10:34:56.789012Z", "10:34:56.789012+00"), ("00:00:00Z", "00:00:00+00")], "io.debezium.time.ZonedTime"),
    Type("timestamp without time zone", "long", [(1709210096789012, "2024-02-29 12:34:56.789012"), (0, "1970-01-01 00:00:00"), (253402300800000000, "10000-01-01 00:00:00"), (-62135596800000000, "0001-01-01 00:00:00"), (-62135596800000001, "0001-12-31 23:59:59.999999 BC")], TIMESTAMP),
    Type("timestamp(3) without time zone", "long", [(1709210096789, "2024-02-29 12:34:56.789"), (-1, "1969-12-31 23:59:59.999")], TIMESTAMP_MS),
    Type("timestamp with time zone", "string", [("2024-02-29T10:34:56.789012Z", "2024-02-29 10:34:56.789012+00"), ("0001-01-01T00:00:00.000000Z", "0001-01-01 00:00:00+00"), ("infinity", "infinity"), ("-infinity", "-infinity")], "io.debezium.time.ZonedTimestamp"),
    Type("interval", "string", [("P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7"), ("P0Y0M0DT0H0M0S", "00:00:00"), ("P-1Y-2M-3DT-4H-5M-6.7S", "-1 years -2 mons -3 days -04:05:06.7")], "io.debezium.time.Interval"),
    Type("inet", "string", [("10.1.2.3/24", "10.1.2.3/24"), ("::1", "::1/128")]),
    Type("cidr", "string", same("10.1.0.0/16")),
    Type("macaddr", "string", same("08:00:2b:01:02:03")),
    Type("macaddr8", "string", same("08:00:2b:01:02:03:04:05")),
    Type("mood", "string", same("sad", "happy", "it's \"ok\""), "io.debezium.data.Enum"),
    Type("bit(1)", "boolean", [(True, "1"), (False, "0")]),
    Type("text[]", array("string"), [(["a", None, "b,c"], '{a,NULL,"b,c"}'), ([], "{}"), ([""], '{""}'), (["NULL", "\\N", '"', "{}", "🏡"], '{"NULL","\\\\N","\\"","{}",🏡}')]),
    Type("character varying(3)[]", array("string"), [(["abc", None], "{abc,NULL}")]),
    Type("integer[]", array("int"), [([1, None, 3], "{1,NULL,3}"), ([], "{}")]),
    Type("smallint[]", array("int"), [([-32768, None], "{-32768,NULL}")]),
    Type("bigint[]", array("long"), [([2**63 - 1, None], f"{{{2**63 - 1},NULL}}")]),
    Type("boolean[]", array("boolean"), [([True, None, False], "{t,NULL,f}")]),
    Type("double precision[]", array("double"), [([0.1, None, float("inf")], "{0.1,NULL,Infinity}")]),
    Type("numeric[]", array("string"), [(["1.10", None, "9" * 70], f"{{1.10,NULL,{'9' * 70}}}")]),
    Type("uuid[]", array({"type": "string", "connect.name": "io.debezium.data.Uuid"}), [(["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None], "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}")]),
]  # fmt: skip


class Typed:
    """One table of one type: applies values, shows the rows as text and the dead letters."""

    numbers = itertools.count()

    def __init__(self, connect: Connect, admin: Connection, kind: Type) -> None:
        number = next(self.numbers)
        self.admin, self.pair, self.table = admin, f"types-{number}", f"t{number}"
        columns = (
            Col("id", "int", "integer", nullable=False),
            Col("v", kind.avro, base_type(kind.pg), kind.semantic),
        )
        self.writer = Writer(number + 1, columns, table=self.table)
        self.log = Log(self.writer)
        admin.execute(f"CREATE TABLE public.{self.table} (id integer PRIMARY KEY, v {kind.pg})".encode())
        admin.execute(
            "INSERT INTO terrafusion.offsets (pair, generation, topic, topic_id, partition, next_offset) "
            "VALUES (%s, 'live', %s, 'id', 0, 0)",
            (self.pair, self.writer.topic),
        )
        self.target = PostgresTarget(connect, self.pair, "test")

    def apply(self, values: list[Any]) -> None:
        """Row n gets the n-th value; all in one batch, without failing."""
        for number, value in enumerate(values):
            self.log.upsert({"id": number, "v": value}, "c")
        partition = TopicPartition(self.writer.topic, 0)
        claim = self.target.claim({self.writer.topic: "id"}, [partition])
        batch = prepare(
            batch_of({partition: self.log.records}), [self.writer.plan("public")], {}, registry(self.writer)
        )
        try:
            self.target.apply(claim, batch, lambda: None)
        finally:
            self.target.close()

    def texts(self) -> dict[int, str | None]:
        """id → value as text."""
        query = sql.SQL("SELECT id, v::text FROM {} ORDER BY id").format(sql.Identifier(self.table))
        return {int(str(key)): value for key, value in self.admin.execute(query)}

    def letters(self) -> dict[int, str]:
        """Offset (= id) → code."""
        query = 'SELECT "offset", code FROM terrafusion.dead_letters WHERE pair = %s'
        return {int(str(offset)): str(code) for offset, code in self.admin.execute(query, (self.pair,))}


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    with scratch_database() as connect:
        with connect() as connection:
            prepare_state(connection)
            connection.execute(
                "CREATE EXTENSION IF NOT EXISTS citext; CREATE TYPE mood AS ENUM ('sad', 'happy', 'it''s \"ok\"')"
            )
        yield connect


@pytest.fixture(scope="module")
def admin(connect: Connect) -> Iterator[Connection]:
    with connect() as connection:
        yield connection


def named(kind: Type) -> str:
    return kind.pg


@pytest.mark.parametrize("kind", TYPES, ids=named)
def test_cases_1_and_2_values_arrive_as_they_were(connect: Connect, admin: Connection, kind: Type) -> None:
    table = Typed(connect, admin, kind)
    table.apply([value for value, _ in kind.values] + [None])
    wanted: list[str | None] = [text for _, text in kind.values]
    assert table.letters() == {}
    assert list(table.texts().values()) == [*wanted, None]


@pytest.mark.parametrize("kind", TYPES, ids=named)
def test_cases_1_and_2_the_columnar_decoder_gives_the_same(
    connect: Connect, admin: Connection, kind: Type
) -> None:
    table = Typed(connect, admin, kind)
    values = [value for value, _ in kind.values] + [None]
    repeated = list(itertools.islice(itertools.cycle(values), ROWS_BELOW + 1))
    table.apply(repeated)
    wanted = [*(text for _, text in kind.values), None]
    assert table.letters() == {}
    assert list(table.texts().values()) == list(itertools.islice(itertools.cycle(wanted), ROWS_BELOW + 1))


def test_every_type_that_planning_lets_through_is_tested() -> None:
    tested = {base_type(kind.pg) for kind in TYPES}
    assert tested >= EXACT | {f"{item}[]" for item in EXACT_ITEMS}


@pytest.mark.parametrize("text", ["pad", "ab"])
def test_characters_keep_their_padding(connect: Connect, admin: Connection, text: str) -> None:
    table = Typed(connect, admin, Type("character(4)", "string", []))
    table.apply([text.ljust(4)])
    row = admin.execute(f"SELECT octet_length(v) FROM {table.table}".encode()).fetchone()
    assert row == (4,)


REFUSED = [
    Type("character varying(3)", "string", [("abcd", "")]),
    Type("character(3)", "string", [("abcd", "")]),
    Type("character varying(2)[]", array("string"), [(["abc"], "")]),
    Type("smallint", "int", [(40_000, "")]),
    Type("oid", "long", [(-1, "")]),
    Type("numeric(4,2)", "string", [("100.00", "")]),
    Type("numeric", "string", [("POSITIVE_INFINITY", ""), ("", "")]),
    Type("mood", "string", [("angry", "")]),
    Type("uuid", "string", [("no uuid", "")]),
    Type("jsonb", "string", [("{", ""), ('"\\u0000"', "")]),
    Type(
        "timestamp with time zone",
        "string",
        [("2024-02-30T00:00:00Z", "")],
        "io.debezium.time.ZonedTimestamp",
    ),
]


@pytest.mark.parametrize("kind", REFUSED, ids=named)
def test_case_50_values_that_do_not_fit_are_dead_letters_never_cut(
    connect: Connect, admin: Connection, kind: Type
) -> None:
    table = Typed(connect, admin, kind)
    bad = [value for value, _ in kind.values]
    table.apply([None, *bad, None])
    assert table.texts() == {0: None, len(bad) + 1: None}
    assert set(table.letters()) == set(range(1, len(bad) + 1))
    assert all(code.startswith("target_22") for code in table.letters().values())


def edge(pg: str, avro: Any, value: Any, exact: str, semantic: str | None = None) -> Any:
    """A value that must arrive as `exact` or be a dead letter."""
    kind = Type(pg, avro, [(value, exact)], semantic)
    return pytest.param(kind, id=f"{pg} {exact}")


@pytest.mark.parametrize(
    "kind",
    [
        edge("date", "int", 2146033979, "infinity", DATE),
        edge("date", "int", -(2**31), "-infinity", DATE),
        edge("timestamp without time zone", "long", -(2**63), "-infinity", TIMESTAMP),
        edge("timestamp without time zone", "long", 2**63 - 1, "infinity", TIMESTAMP),
        edge("timestamp(3) without time zone", "long", -(2**63), "-infinity", TIMESTAMP_MS),
        edge("time without time zone", "long", 86_400_000_000, "24:00:00", TIME),
        edge("text", "string", "a\x00b", "-"),
        edge("text[]", array("string"), ["a\x00b"], "-"),
    ],
)
def test_cases_3_4_and_13_are_exact_or_dead_letters_and_the_rest_is_applied(
    connect: Connect, admin: Connection, kind: Type
) -> None:
    table = Typed(connect, admin, kind)
    try:
        table.apply([None, kind.values[0][0], None])
    except BaseException as error:
        raise AssertionError(f"the batch failed: {error!r}") from error
    exact = {0: None, 1: kind.values[0][1], 2: None}
    assert (table.texts(), set(table.letters())) in ((exact, set()), ({0: None, 2: None}, {1}))


@pytest.mark.parametrize("kind", [t for t in TYPES if t.pg in ("text", "uuid", "bytea", "bigint", "numeric", "date", "character(4)", "citext")], ids=named)  # fmt: skip
def test_deletes_find_rows_by_keys_of_any_type(connect: Connect, admin: Connection, kind: Type) -> None:
    """The key of a delete is JSON: text, numbers, base64; it must meet the row that the values wrote."""
    table = Typed(connect, admin, kind)
    admin.execute(
        f"ALTER TABLE {table.table} DROP CONSTRAINT {table.table}_pkey, ADD PRIMARY KEY (v)".encode()
    )
    writer = Writer(table.writer.schema_id, table.writer.columns, ("v",), table.table)
    table.writer = writer
    table.log = Log(writer)
    values = [value for value, _ in kind.values if value is not None]
    for number, value in enumerate(values):
        table.log.upsert({"id": number, "v": value}, "c")
    for value in values[1:]:
        table.log.delete({"id": 0, "v": value})
    first = table.log.records[: len(values)]
    schemas, partition = registry(writer), TopicPartition(writer.topic, 0)
    claim = table.target.claim({writer.topic: "id"}, [partition])
    for start, records in ((0, first), (len(values), table.log.records[len(values) :])):
        if records:
            raw = batch_of({partition: records}, {partition: start})
            table.target.apply(claim, prepare(raw, [writer.plan("public")], {}, schemas), lambda: None)
    table.target.close()
    assert table.letters() == {}
    assert table.texts() == {0: kind.values[0][1]}
