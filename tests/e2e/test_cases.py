"""Cases of the test matrix on the whole stack, by their numbers. The oracle: the source's rows through the mapping are
the target's rows, as text.

One pair with a table for each subject serves most of them; the tests run in the order in which they stand, and the
last ones look at what happens when parts die and when the pair is deleted.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial

import httpx
import psycopg
import pytest
from psycopg import sql

from syncservice.planning import EXACT, EXACT_ITEMS
from syncservice.targets.tables import base_type
from terrafusion.client import ApiError, Json
from terrafusion.stack import Stack
from tests.e2e.conftest import eventually
from tests.e2e.pairs import Load, Pair, Table, same

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

BIG = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 300))"  # TOASTs, does not compress
PLACEHOLDERS = ("__debezium_unavailable_value", "__unavailable_", "null", "")
TEXTS = (
    "",
    " ",
    "\\N",
    "NULL",
    "a'b\"c",
    "tab\tnewline\n",
    "Grüße 🏡",
    "\\",
    "{}",
    "__debezium_unavailable_value",
)
MOODS = "'sad', 'happy', 'it''s \"ok\"', 'größer'"

# type → values as PostgreSQL reads them; everything here must arrive exactly
VALUES: dict[str, tuple[str, ...]] = {
    "boolean": ("true", "false"),
    "smallint": ("-32768", "32767", "0"),
    "integer": (str(-(2**31)), str(2**31 - 1), "0"),
    "bigint": (str(-(2**63)), str(2**63 - 1), "0"),
    "oid": ("0", str(2**32 - 1)),
    "real": ("1.5", "-0", "3.4028235e+38", "1e-45", "NaN", "Infinity", "-Infinity"),
    "double precision": ("0.1", "-0", "1.7976931348623157e+308", "5e-324", "NaN", "Infinity", "-Infinity"),
    "numeric": ("0", "-0.10", "1.000", "9" * 70, "0." + "1" * 70, "-" + "1234567890" * 7 + ".25", "NaN"),
    "numeric(12,2)": ("12.34", "-9999999999.99", "0.00"),
    "numeric(4,-2)": ("123400", "-100"),
    "money": ("12.34", "-92233720368547758.08", "92233720368547758.07", "0"),
    "text": TEXTS,
    "character varying": TEXTS,
    "character varying(4)": ("", "abcd", "🏡🏡🏡🏡", "a  "),
    "character(4)": ("ch", "abcd", ""),
    "citext": ("", "MiXed", "ÄÖÜ"),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"),
    "json": ('{"b":1,"a":1,"a":2}', "1e2", '"\\u00e4"', "null", '  {"k" : [1, 2]}'),
    "jsonb": ('{"k": [1, 2.50]}', "null", "[]", '{"a": "\\\\N \\"q\\" ü"}'),
    "bytea": ("\\x", "\\x00ff5c4e", "\\xdeadbeef"),
    "date": ("2024-02-29", "1970-01-01", "1582-10-15", "1582-10-04", "0001-01-01", "9999-12-31"),
    "time without time zone": ("12:34:56.789012", "00:00:00", "23:59:59.999999"),
    "time(3) without time zone": ("12:34:56.789", "00:00:00"),
    "timestamp without time zone": (
        "2024-02-29 12:34:56.789012", "1970-01-01", "1969-12-31 23:59:59.999999", "1582-10-10 01:02:03.000004",
        "0001-01-01", "9999-12-31 23:59:59.999999",
    ),
    "timestamp(3) without time zone": ("2024-02-29 12:34:56.789", "1969-12-31 23:59:59.999", "0001-01-01"),
    "timestamp with time zone": (
        "2024-02-29 10:34:56.789012+05", "1970-01-01Z", "1582-10-10 01:02:03.000004Z", "0001-01-01Z", "9999-12-31Z",
        "infinity", "-infinity",
    ),
    "interval": ("1 year 2 mons 3 days 04:05:06.789012", "-1 years -2 mons -3 days -04:05:06.7", "0", "100:00:00"),
    "inet": ("10.1.2.3/24", "::1", "10.1.2.3"),
    "cidr": ("10.1.0.0/16", "2001:db8::/32"),
    "macaddr": ("08:00:2b:01:02:03",),
    "macaddr8": ("08:00:2b:01:02:03:04:05",),
    "public.mood": ("sad", 'it\'s "ok"', "größer"),
    "bit(1)": ("1", "0"),
    "text[]": ('{a,NULL,"b,c"}', "{}", '{""}', '{"NULL","\\\\N","\\"","{}",🏡}'),
    "character varying(3)[]": ("{abc,NULL}", "{}"),
    "integer[]": ("{1,NULL,-2147483648}", "{}"),
    "smallint[]": ("{-32768,NULL}", "{}"),
    "bigint[]": (f"{{{2**63 - 1},NULL}}", "{}"),
    "boolean[]": ("{t,NULL,f}", "{}"),
    "double precision[]": ("{0.1,NULL,Infinity}", "{}"),
    "numeric[]": (f"{{1.10,NULL,{'9' * 70}}}", "{}"),
    "uuid[]": ("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}", "{}"),
}  # fmt: skip
KINDS = {f"c{number}": kind for number, kind in enumerate(VALUES)}
LONGEST = max(map(len, VALUES.values()))


def kinds_row(number: int, shift: int = 0) -> str:
    """The n-th value of every type as a list of SQL expressions."""
    values = (VALUES[kind][(number + shift) % len(VALUES[kind])] for kind in KINDS.values())
    return ", ".join(
        f"{sql.Literal(value).as_string()}::{kind}"
        for value, kind in zip(values, KINDS.values(), strict=True)
    )


KINDS_DDL = f"""
CREATE TABLE kinds (id int PRIMARY KEY, {", ".join(f"{name} {kind}" for name, kind in KINDS.items())});
"""
NULLABLE = {
    "a": ("int", "7"), "b": ("text", "'dflt'"), "c": ("numeric(12,2)", "1.50"), "d": ("timestamptz", "now()"),
    "e": ("jsonb", "'{\"a\": 1}'"), "f": ("text[]", "'{x}'"), "g": ("boolean", "true"), "h": ("public.mood", "'sad'"),
    "i": ("date", "'2020-01-01'"), "j": ("bigint", "42"), "k": ("bytea", "'\\x01'"),
}  # fmt: skip
NULLS_COLUMNS = ", ".join(f"{name} {kind} DEFAULT {value}" for name, (kind, value) in NULLABLE.items())

SOURCE_DDL = f"""
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ({MOODS});
{KINDS_DDL}
CREATE TABLE nulls (id int PRIMARY KEY, {NULLS_COLUMNS});
CREATE TABLE toasts (id int PRIMARY KEY, note text, doc jsonb, raw bytea, list text[], n int);
CREATE TABLE keyed (id int PRIMARY KEY, n int, note text);
CREATE TABLE numbers (id int PRIMARY KEY, n int);
CREATE TABLE cut (id int PRIMARY KEY, n int);
CREATE TABLE decorated (id int PRIMARY KEY, name text, price numeric(12,2));
CREATE TABLE checked (id int PRIMARY KEY, n int);
CREATE TABLE busy (id int PRIMARY KEY, n int, t varchar(20));
CREATE TABLE eras (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz);
CREATE TABLE later (id int PRIMARY KEY, n int);
CREATE TABLE latest (id int PRIMARY KEY, n int);
ALTER TABLE kinds REPLICA IDENTITY FULL;
ALTER TABLE nulls REPLICA IDENTITY FULL;
ALTER TABLE toasts REPLICA IDENTITY FULL;
ALTER TABLE keyed REPLICA IDENTITY FULL;
ALTER TABLE decorated REPLICA IDENTITY FULL;
INSERT INTO kinds SELECT i FROM generate_series(900, 900) i;
INSERT INTO nulls (id) VALUES (1);
INSERT INTO nulls VALUES (2{", NULL" * len(NULLABLE)});
INSERT INTO toasts SELECT i, {BIG}, to_jsonb({BIG} || i), {BIG}::bytea, ARRAY[{BIG}, NULL, 'x' || i], i
  FROM generate_series(1, 6) i;
INSERT INTO keyed SELECT i, i, {BIG} || i FROM generate_series(1, 20) i;
INSERT INTO numbers SELECT i, i * 7 FROM generate_series(1, 2000) i;
INSERT INTO cut SELECT i, i FROM generate_series(1, 50) i;
INSERT INTO decorated SELECT i, 'näme ' || i, i * 1.5 FROM generate_series(1, 30) i;
INSERT INTO checked SELECT i, i FROM generate_series(1, 30) i;
INSERT INTO busy SELECT i, i, 't' FROM generate_series(1, 200) i;
INSERT INTO later VALUES (1, 1);
INSERT INTO latest VALUES (1, 1);
INSERT INTO eras VALUES (50, '1582-10-10', '1582-10-10', '1582-10-10Z');
"""
TARGET_DDL = f"""
CREATE EXTENSION citext SCHEMA public;
CREATE TYPE public.mood AS ENUM ({MOODS});
{KINDS_DDL}
CREATE TABLE blanks (ref int PRIMARY KEY, {NULLS_COLUMNS.replace("DEFAULT 7", "DEFAULT 8")}, own int DEFAULT 3);
CREATE TABLE toasts (id int PRIMARY KEY, n int, remark text, doc jsonb, raw bytea, list text[]);
CREATE TABLE keyed (id int PRIMARY KEY, n int, note text);
CREATE TABLE numbers (ref int PRIMARY KEY, amount int);
CREATE TABLE cut (id int PRIMARY KEY, n int);
CREATE TABLE decorated (
  row_no bigint GENERATED ALWAYS AS IDENTITY, id int PRIMARY KEY, name text, price numeric(12,2),
  twice numeric GENERATED ALWAYS AS (price * 2) STORED, touched int NOT NULL DEFAULT 0);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.touched = coalesce(NEW.touched, 0) + 1; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON decorated FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW priced AS SELECT id, name, twice FROM decorated WHERE price > 0;
CREATE TABLE checked (id int PRIMARY KEY, n int CONSTRAINT positive CHECK (n >= 0));
CREATE TABLE busy (id int PRIMARY KEY, n int, t varchar(20));
CREATE TABLE eras (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz);
CREATE TABLE later (id int PRIMARY KEY, n int);
CREATE TABLE latest (id int PRIMARY KEY, n int);
"""
TABLES = (
    same("kinds", "id", *KINDS),
    Table("public.nulls", "dst.blanks", {"ref": "id", **{name: name for name in NULLABLE}}),
    Table(
        "public.toasts",
        "dst.toasts",
        {"id": "id", "n": "n", "remark": "note", "doc": "doc", "raw": "raw", "list": "list"},
    ),
    same("keyed", "id", "n", "note"),
    Table("public.numbers", "dst.numbers", {"ref": "id", "amount": "n"}),
    same("cut", "id", "n"),
    same("decorated", "id", "name", "price"),
    same("checked", "id", "n"),
    same("busy", "id", "n", "t"),
    same("eras", "id", "d", "ts", "tz"),
)
NAMES = [table.source.removeprefix("public.") for table in TABLES if table.source != "public.eras"]


@pytest.fixture(scope="module")
def pair(stack: Stack) -> Iterator[Pair]:
    """The running pair of this module; its first full sync is done."""
    snapshot_rows = [
        f"INSERT INTO kinds VALUES ({number}, {kinds_row(number)});" for number in range(LONGEST)
    ]
    made = Pair(stack, "cases", SOURCE_DDL + "\n".join(snapshot_rows), TARGET_DDL, TABLES)
    try:
        yield made.start()
    finally:
        made.remove()


# -- snapshot, values ------------------------------------------------------------------------------


def test_the_first_full_sync_brings_every_row(pair: Pair) -> None:
    pair.assert_equal(*NAMES, settle=False)
    assert pair.letters() == []


def test_every_type_that_planning_lets_through_has_values_here() -> None:
    known = {base_type(kind) for kind in VALUES}
    assert known >= EXACT | {f"{item}[]" for item in EXACT_ITEMS}


def test_cases_1_2_6_and_9_values_of_every_type_by_snapshot_insert_and_update(pair: Pair) -> None:
    """The snapshot's rows are compared first; few changes go through the row decoder, many through the columnar one."""
    pair.assert_equal("kinds", settle=False)
    pair.source.run(
        *(f"INSERT INTO kinds VALUES ({100 + number}, {kinds_row(number)})" for number in range(LONGEST)),
        *(f"UPDATE kinds SET ({', '.join(KINDS)}) = ROW({kinds_row(number, 1)}) WHERE id = {number}" for number in range(LONGEST)),
        f"UPDATE kinds SET ({', '.join(KINDS)}) = ROW({', '.join(['NULL'] * len(KINDS))}) WHERE id = 105",
        f"UPDATE kinds SET ({', '.join(KINDS)}) = ROW({kinds_row(2)}) WHERE id = 900",
    )  # fmt: skip
    pair.assert_equal("kinds")
    names = ", ".join(KINDS)
    many = f"INSERT INTO kinds (id, {names}) SELECT 1000 + i * 100 + id, {names} FROM kinds, generate_series(0, 20) i WHERE id < 20"
    pair.source.run(many)
    pair.assert_equal("kinds")
    assert pair.letters("dst.kinds") == []


def test_cases_3_and_4_dates_out_of_range_are_exact_or_dead_letters(pair: Pair) -> None:
    odd = {
        1: "'0044-03-15 BC', '0044-03-15 12:00:00.5 BC', '0044-03-15 12:00:00.5Z BC'",
        2: "'10000-01-01', '10000-01-01', '10000-01-01Z'",
        3: "'infinity', NULL, NULL",
        4: "'-infinity', NULL, NULL",
        5: "NULL, 'infinity', NULL",
        6: "NULL, '-infinity', NULL",
        7: "'4714-11-24 BC', '4713-01-01 BC', '4713-01-02Z BC'",
        10: "'1582-10-10', '1582-10-10', '1582-10-10Z'",
        8: "'5874897-12-31', '294276-12-31', '200000-12-31Z'",
    }
    pair.source.run(*(f"INSERT INTO eras VALUES ({key}, {values})" for key, values in odd.items()))
    pair.source.run("INSERT INTO eras VALUES (9, '2024-01-01', '2024-01-01', '2024-01-01Z')")
    pair.catch_up()
    table = next(t for t in TABLES if t.target == "dst.eras")
    letters = {key for _, key, _, _ in pair.letters("dst.eras")}
    found = [
        line
        for line in pair.differences(table, 100)[:-1]
        if not any(f"({key})" in line for key in (*odd, 50))
    ]
    assert found == []
    wrong = [
        line
        for line in pair.differences(table, 100)[:-1]
        if " became " in line and not line.startswith("(50)")
    ]
    assert wrong == []
    lost = [line for line in pair.differences(table, 100)[:-1] if line.endswith("missing")]
    assert len(lost) == len(letters), (lost, letters)


@pytest.mark.xfail(
    strict=True,
    reason="Debezium's snapshot reads dates through java.sql.Date, which has no 1582-10-05 to 14: ten days are added",
)
def test_case_4_a_date_that_the_julian_calendar_left_out_by_snapshot(pair: Pair) -> None:
    assert pair.target.rows("SELECT d::text FROM dst.eras WHERE id = 50") == [("1582-10-10",)]


def test_case_7_null_stays_null_in_columns_with_defaults(pair: Pair) -> None:
    pair.assert_equal("nulls", settle=False)
    nulls = ", ".join(f"{name} = NULL" for name in NULLABLE)
    pair.source.run(
        "INSERT INTO nulls (id) VALUES (3), (4), (5)",
        f"INSERT INTO nulls VALUES (6{', NULL' * len(NULLABLE)})",
        f"UPDATE nulls SET {nulls} WHERE id IN (1, 3)",
        "UPDATE nulls SET a = NULL, e = NULL WHERE id = 4",
        "UPDATE nulls SET a = DEFAULT, h = 'größer', e = 'null' WHERE id = 2",
    )
    pair.assert_equal("nulls")
    found = pair.target.rows("SELECT ref, a, b, own FROM dst.blanks WHERE ref IN (1, 3, 6) ORDER BY 1")
    assert found == [(1, None, None, 3), (3, None, None, 3), (6, None, None, 3)]
    many = f"INSERT INTO nulls SELECT i{', NULL' * len(NULLABLE)} FROM generate_series(1000, 1400) i"
    pair.source.run(many)
    pair.assert_equal("nulls")


# -- unchanged TOAST -------------------------------------------------------------------------------

MARKED = (
    "UPDATE dst.toasts SET remark = 'hand', doc = '\"hand\"', raw = 'hand', list = '{hand}' WHERE id = %d"
)


def test_case_8_unchanged_toast_with_full_before_images(pair: Pair) -> None:
    pair.source.run(
        "UPDATE toasts SET n = -1 WHERE id <= 3",
        "UPDATE toasts SET note = NULL WHERE id = 2",
        "UPDATE toasts SET id = 103 WHERE id = 3",
    )
    pair.assert_equal("toasts")


def test_case_8_placeholders_are_texts_like_any_other(pair: Pair) -> None:
    for number, text in enumerate(PLACEHOLDERS):
        literal = sql.Literal(text).as_string()
        pair.source.run(
            f"INSERT INTO toasts VALUES ({200 + number}, {literal}, to_jsonb({literal}::text), {literal}, ARRAY[{literal}], 0)"
        )
    pair.source.run("UPDATE toasts SET n = 1 WHERE id >= 200")
    pair.assert_equal("toasts")


def test_case_8_unchanged_toast_without_before_images_leaves_the_columns_alone(pair: Pair) -> None:
    """REPLICA IDENTITY is set back behind the product's back: the events leave the values out."""
    pair.catch_up()
    pair.source.run("ALTER TABLE toasts REPLICA IDENTITY DEFAULT")
    pair.target.run(MARKED % 4, MARKED % 5)
    pair.source.run(
        "UPDATE toasts SET n = 44 WHERE id = 4", "UPDATE toasts SET n = 55, note = 'short' WHERE id = 5"
    )
    pair.source.run("UPDATE toasts SET n = 66 WHERE id = 6")
    pair.catch_up()
    found = pair.target.rows(
        "SELECT id, n, remark, doc, encode(raw, 'escape'), list FROM dst.toasts WHERE id IN (4, 5) ORDER BY 1"
    )
    assert found == [(4, 44, "hand", "hand", "hand", ["hand"]), (5, 55, "short", "hand", "hand", ["hand"])]
    pair.source.run(
        "BEGIN; UPDATE toasts SET note = 'brand new' WHERE id = 6; UPDATE toasts SET n = 67 WHERE id = 6; COMMIT"
    )
    pair.catch_up()
    assert pair.target.rows("SELECT n, remark FROM dst.toasts WHERE id = 6") == [(67, "brand new")]
    assert pair.letters("dst.toasts") == []


@pytest.mark.xfail(
    strict=True,
    reason="a key change whose new row lacks unchanged values is a dead letter, not an UPDATE of the old row (design 4)",
)
def test_case_67_key_change_with_toast_and_without_before_images(pair: Pair) -> None:
    """`check` demands FULL; here it was taken away later. What the event leaves out, the old row has."""
    pair.source.run("UPDATE toasts SET id = 106 WHERE id = 6")
    pair.catch_up()
    moved = "SELECT id, n, md5(%s), md5(raw) FROM %s WHERE id = 106"
    assert pair.target.rows(moved % ("remark", "dst.toasts")) == pair.source.rows(moved % ("note", "toasts"))


def test_case_67_nothing_of_it_is_lost_silently(pair: Pair) -> None:
    pair.catch_up()
    if not pair.target.rows("SELECT FROM dst.toasts WHERE id = 106"):
        letters = [(key, code) for _, key, code, _ in pair.letters("dst.toasts")]
        assert letters == [('{"id":106}', "unavailable_value")]
    full = "ALTER TABLE toasts REPLICA IDENTITY FULL"
    pair.source.run(
        full, "DELETE FROM toasts WHERE id = 106", "UPDATE toasts SET n = n + 1 WHERE id NOT IN (4, 5)"
    )
    pair.source.run(
        "UPDATE toasts SET note = note || '!', doc = '{}', raw = 'raw', list = '{}' WHERE id IN (4, 5)"
    )
    pair.assert_equal("toasts")


# -- keys ------------------------------------------------------------------------------------------


def test_case_14_key_changes(pair: Pair) -> None:
    pair.source.run(
        "UPDATE keyed SET id = 101 WHERE id = 1",
        "UPDATE keyed SET id = 102, n = 0 WHERE id = 2",
        "BEGIN; UPDATE keyed SET id = 103 WHERE id = 3; UPDATE keyed SET id = 203 WHERE id = 103; UPDATE keyed SET n = 9 WHERE id = 203; COMMIT",
        "BEGIN; UPDATE keyed SET id = -1 WHERE id = 4; UPDATE keyed SET id = 4 WHERE id = 5; UPDATE keyed SET id = 5 WHERE id = -1; COMMIT",
        "BEGIN; UPDATE keyed SET id = 106 WHERE id = 6; DELETE FROM keyed WHERE id = 106; COMMIT",
    )  # fmt: skip
    pair.assert_equal("keyed")


def test_case_14_every_key_moves_in_one_statement(pair: Pair) -> None:
    pair.source.run("UPDATE numbers SET id = id + 100000")
    pair.assert_equal("numbers")
    # one step up, from the top so that the source allows it: each event's new key is the key of the one before
    pair.source.run(
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM numbers ORDER BY id DESC LOOP"
        " UPDATE numbers SET id = id + 1 WHERE id = r.id; END LOOP; END $$"
    )
    pair.assert_equal("numbers")
    assert pair.letters("dst.numbers") == []


def test_case_15_several_changes_of_one_key_in_one_transaction(pair: Pair) -> None:
    pair.source.run(
        "BEGIN; UPDATE keyed SET n = 1 WHERE id = 10; DELETE FROM keyed WHERE id = 10; INSERT INTO keyed VALUES (10, 2, 'again'); COMMIT",
        "BEGIN; INSERT INTO keyed VALUES (300, 1, 'gone'); DELETE FROM keyed WHERE id = 300; COMMIT",
        "BEGIN; DELETE FROM keyed WHERE id = 11; INSERT INTO keyed (id) VALUES (11); UPDATE keyed SET n = 5 WHERE id = 11; COMMIT",
        "BEGIN; INSERT INTO keyed VALUES (301, 1, 'a'); UPDATE keyed SET id = 302 WHERE id = 301; ROLLBACK",
        "DELETE FROM keyed WHERE id = 12",
        f"INSERT INTO keyed VALUES (12, 12, {BIG})",
        "INSERT INTO keyed VALUES (303, 1, 'a')",
        "DELETE FROM keyed WHERE id = 303",
    )  # fmt: skip
    pair.assert_equal("keyed")


def test_case_16_rows_that_the_target_lacks_and_repeated_tombstones(pair: Pair) -> None:
    pair.catch_up()
    pair.target.run("DELETE FROM dst.keyed WHERE id IN (13, 14, 15)")
    pair.source.run(
        "UPDATE keyed SET n = 1313 WHERE id = 13", "DELETE FROM keyed WHERE id = 14", "UPDATE keyed SET id = 115 WHERE id = 15",
        "DELETE FROM keyed WHERE id = 16",
    )  # fmt: skip
    pair.catch_up()
    pair.produce(
        pair.topic("dst.keyed"), *[('{"id":16}', None), ('{"id":14}', None), ('{"id":777}', None)] * 3
    )
    pair.source.run("UPDATE keyed SET n = 17 WHERE id = 17")
    pair.assert_equal("keyed")
    assert pair.letters("dst.keyed") == []


# -- TRUNCATE, decorated targets, dead letters -----------------------------------------------------


def test_case_17_truncate_halts_the_pair_until_a_full_sync(pair: Pair) -> None:
    pair.source.run("TRUNCATE cut", "INSERT INTO cut VALUES (1, 100), (99, 99)")
    halted = pair.wait("halted", 15)
    assert "TRUNCATE of public.cut" in halted["reason"]
    assert "dst.cut" in halted["reason"]
    assert "terrafusion sync full" in halted["reason"]
    counts = pair.full_sync()
    assert counts["dst.cut"]["deleted"] == 49
    pair.assert_equal("cut", "numbers", "keyed", "kinds", "decorated", "toasts")


def test_case_20_generated_column_trigger_view_and_identity_column(pair: Pair) -> None:
    pair.source.run(
        "INSERT INTO decorated VALUES (31, 'new', 10), (32, NULL, NULL)",
        "UPDATE decorated SET price = price + 1 WHERE id <= 5",
        "DELETE FROM decorated WHERE id = 6",
        "UPDATE decorated SET id = 107 WHERE id = 7",
    )
    pair.assert_equal("decorated")
    view = "SELECT id, name, twice FROM dst.priced ORDER BY id"
    wanted = pair.source.rows("SELECT id, name, price * 2 FROM decorated WHERE price > 0 ORDER BY id")
    assert pair.target.rows(view) == wanted
    assert pair.target.rows("SELECT touched FROM dst.decorated WHERE id = 31") == [(1,)]
    numbers = pair.target.rows("SELECT id, row_no FROM dst.decorated ORDER BY id")
    pair.catch_up()
    pair.target.run(
        "DELETE FROM dst.decorated WHERE id = 8", "UPDATE dst.decorated SET name = 'hand' WHERE id = 9"
    )
    counts = pair.full_sync()["dst.decorated"]
    assert (counts["inserted"], counts["updated"], counts["deleted"]) == (1, 1, 0)
    pair.assert_equal("decorated")
    assert pair.target.rows(view) == wanted
    kept = [row for row in numbers if row[0] != 8]
    found = pair.target.rows("SELECT id, row_no FROM dst.decorated WHERE id <> 8 ORDER BY id")
    assert found == kept  # merged into, not replaced: the target's own column is as it was
    assert len({row for (row,) in pair.target.rows("SELECT row_no FROM dst.decorated")}) == len(numbers)


def test_cases_49_and_50_dead_letters_keep_the_rest_going(pair: Pair) -> None:
    before = pair.status("dst.checked")
    topic = pair.topic("dst.checked")
    pair.source.run("UPDATE checked SET n = n + 1 WHERE id = 30")
    pair.catch_up()
    good = [value for _, value in pair.records(topic) if value is not None][-1]
    pair.produce(topic, ('{"id":501}', b"\x07\x00\x00\x00\x01junk"), ('{"id":502}', good[: len(good) // 2]))
    pair.source.run(
        "BEGIN; UPDATE checked SET n = n + 100 WHERE id < 15; UPDATE checked SET n = -1 WHERE id = 5;"
        " INSERT INTO checked VALUES (40, 40), (41, -41), (42, 42); COMMIT"
    )
    pair.catch_up()
    pair.source.run("UPDATE checked SET n = 55 WHERE id = 5", "UPDATE checked SET n = 4 WHERE id = 4")
    pair.catch_up()
    letters = pair.letters("dst.checked")
    assert [(key, code) for _, key, code, _ in letters] == [
        ('{"id":501}', "bad_magic"),
        ('{"id":502}', "bad_avro"),
        ('{"id":5}', "target_23514"),
        ('{"id":41}', "target_23514"),
        ('{"id":5}', "parked"),
    ]
    assert all(reason for *_, reason in letters)
    assert "positive" in letters[2][3]
    table = next(t for t in TABLES if t.target == "dst.checked")
    assert {line.split()[0] for line in pair.differences(table)[:-1]} == {"(5)", "(41)"}
    time.sleep(1.5)  # the report is a second old at most
    status = pair.status("dst.checked")
    assert status["dead_letters"] - before["dead_letters"] == 5
    assert status["parked_keys"] - before["parked_keys"] == 4
    pair.wait("running", 5)


def test_cases_49_and_50_a_full_sync_resolves_what_can_be_decoded(pair: Pair) -> None:
    pair.target.run("ALTER TABLE dst.checked DROP CONSTRAINT positive")
    counts = pair.full_sync()["dst.checked"]
    assert counts["dead_letters"] == 2
    pair.assert_equal("checked")
    assert [key for _, key, _, _ in pair.letters("dst.checked")] == ['{"id":501}', '{"id":502}']
    pair.source.run("UPDATE checked SET n = 6 WHERE id IN (5, 41)")
    pair.assert_equal("checked")
    parked = (
        "SELECT key FROM terrafusion.parked_keys WHERE pair = %s AND table_name = 'dst.checked' ORDER BY 1"
    )
    assert pair.target.rows(parked, [pair.name]) == [('{"id":501}',), ('{"id":502}',)]


@pytest.mark.xfail(
    strict=True,
    reason="a full sync parks whole later images of a key behind a record of it that cannot be decoded, for ever",
)
def test_case_49_a_full_sync_applies_what_came_whole_after_a_bad_record(pair: Pair) -> None:
    try:
        pair.produce(pair.topic("dst.checked"), ('{"id":600}', b"\x07\x00\x00\x00\x01junk"))
        pair.source.run("INSERT INTO checked VALUES (600, 1)", "UPDATE checked SET n = 2 WHERE id = 600")
        pair.catch_up()
        pair.full_sync()
        assert pair.target.rows("SELECT n FROM dst.checked WHERE id = 600") == [(2,)]
    finally:
        pair.source.run("DELETE FROM checked WHERE id = 600")


# -- the pair's life -------------------------------------------------------------------------------


def test_case_66_catch_up_on_an_idle_source_after_the_connector_restarted(pair: Pair) -> None:
    """The last event is a row's: Debezium must find its place again although no transaction follows, only markers."""
    for _ in range(2):
        pair.source.run("UPDATE numbers SET n = n + 1 WHERE id % 5 = 0")
        eventually(lambda: pair.client.status(pair.name)["lag_records"] == 0, 20, "the change is applied")
        time.sleep(1.3)  # a heartbeat after the COMMIT
        pair.restart_connector()
        time.sleep(2)  # the old task is gone
        found = pair.operation("incremental", 30)
        assert found["state"] == "succeeded", found["error"]


def test_pause_and_resume(pair: Pair) -> None:
    pair.client.pause(pair.name)
    pair.wait("paused")
    pair.source.run("UPDATE numbers SET n = n - 1 WHERE id % 3 = 0")
    table = next(t for t in TABLES if t.source == "public.numbers")
    time.sleep(1.5)
    assert pair.differences(table)
    assert pair.client.pair(pair.name)["state"] == "paused"
    pair.client.resume(pair.name)
    pair.wait("running")
    pair.assert_equal("numbers")


def test_case_71_a_table_added_later_is_not_filled_silently(pair: Pair) -> None:
    """A second pair over the same connector: the topic does not hold the rows that were there before."""
    pair.source.run(f"ALTER PUBLICATION {pair.publication} ADD TABLE later")
    with pytest.raises(ApiError) as refused:
        pair.apply([same("later", "id", "n")], "cases-later")
    assert "public.later" in str(refused.value.errors)
    assert "Delete all pairs of system" in str(refused.value.errors)
    assert pair.target.rows("SELECT * FROM dst.later") == []
    pair.wait("running", 5)
    pair.source.run("UPDATE numbers SET n = 5 WHERE id % 2 = 0")
    pair.assert_equal("numbers")


def test_case_71_a_table_added_to_the_running_pair(pair: Pair) -> None:
    """Refused with the reason; the pair runs on as it was."""
    pair.source.run(f"ALTER PUBLICATION {pair.publication} ADD TABLE latest")
    with pytest.raises(ApiError) as refused:
        pair.apply([*TABLES, same("latest", "id", "n")])
    assert "public.latest" in str(refused.value.errors)
    assert pair.target.rows("SELECT * FROM dst.latest") == []
    pair.source.run("UPDATE numbers SET n = 6 WHERE id % 2 = 0")
    eventually(
        lambda: pair.client.pair(pair.name)["state"] == "running", 30, "the pair runs without the table"
    )
    pair.assert_equal("numbers")


WRONG = """
CREATE TABLE narrow (id int PRIMARY KEY, big bigint, v varchar(50), p numeric(12,4));
CREATE TABLE lacking (id int PRIMARY KEY, n int);
CREATE TABLE keyless (id int NOT NULL, n int);
CREATE TABLE large (id int PRIMARY KEY, t text);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int);
"""
WRONG_TARGET = """
CREATE TABLE narrow (id int PRIMARY KEY, big int, v varchar(20), p numeric(12,2));
CREATE TABLE lacking (id int PRIMARY KEY);
CREATE TABLE keyless (id int PRIMARY KEY, n int);
CREATE TABLE large (id int PRIMARY KEY, t text);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent);
"""


def test_case_18_a_pair_that_cannot_work_is_refused_with_every_problem_at_once(stack: Stack) -> None:
    tables = (
        same("narrow", "id", "big", "v", "p"),
        same("lacking", "id", "n"),
        same("keyless", "id", "n"),
        same("large", "id", "t"),
        same("parent", "id"),
        same("child", "id", "parent"),
    )
    wrong = Pair(stack, "wrong", WRONG, WRONG_TARGET, tables)
    try:
        wrong.make_databases()
        with pytest.raises(ApiError) as refused:
            wrong.apply()
        assert refused.value.status == 422
        wanted = {
            "spec.tables[0].columns.big": "bigint does not fit",
            "spec.tables[0].columns.v": "narrower",
            "spec.tables[0].columns.p": "narrower",
            "spec.tables[1].columns.n": "has no column n",
            "spec.tables[2].from": "no primary key",
            "spec.tables": "foreign key leads from dst.child to dst.parent",
            "spec.source": "publication terrafusion_wrong_src does not exist",
        }
        found = [(error["path"], error["message"], error["allowed"]) for error in refused.value.errors]
        for path, message in wanted.items():
            assert any(path == p and message in m and fix for p, m, fix in found), (path, message, found)
        fixes = " ".join(str(fix) for _, _, fix in found)
        assert "CREATE PUBLICATION" in fixes
        assert 'ALTER TABLE "public"."large" REPLICA IDENTITY FULL' in fixes, fixes
        with pytest.raises(ApiError) as absent:
            wrong.client.pair("wrong")
        assert absent.value.status == 404
        assert wrong.source.rows("SELECT 1 FROM pg_replication_slots WHERE slot_name ~ 'wrong'") == []
    finally:
        wrong.remove()


# -- faults under load -----------------------------------------------------------------------------


def syncservice(stack: Stack) -> int | None:
    """Its process, None while it does not run."""
    line = next((line for line in stack.status() if line.name == "syncservice"), None)
    return line.pid if line is not None and line.state == "running" else None


def kill_syncservice(stack: Stack) -> int:
    """kill -9; the pid that was."""
    eventually(lambda: syncservice(stack) is not None, 60, "SyncService runs")
    pid = syncservice(stack)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def another(stack: Stack, old: int) -> bool:
    """Whether a SyncService other than the old one runs."""
    return syncservice(stack) not in (None, old)


def answers(pair: Pair) -> bool:
    """Whether writes reach SyncService."""
    try:
        return bool(pair.client.request("POST", f"/sync-pairs/{pair.name}/validate")["valid"])
    except ApiError:
        return False


def test_cases_35_and_59_while_syncservice_is_down_reads_are_stale_and_writes_are_503(
    stack: Stack, pair: Pair
) -> None:
    base, key = f"{pair.client.url}/api/v1/sync-pairs/{pair.name}", pair.env["TERRAFUSION_API_KEY"]
    pair.catch_up()
    with (
        Load(pair.source, "busy", seed=59),
        httpx.Client(headers={"X-API-Key": key}, trust_env=False, timeout=30) as http,
    ):
        assert http.get(f"{base}/status").json()["stale"] is False
        time.sleep(1)
        kill_syncservice(stack)
        stale: list[Json] = []
        refused: list[httpx.Response] = []
        deadline = time.monotonic() + 30
        while not (stale and refused) and time.monotonic() < deadline:
            read = http.get(f"{base}/status")
            assert read.status_code == 200
            stale += [read.json()] if read.json()["stale"] else []
            write = http.post(f"{base}/validate")
            refused += [write] if write.status_code == 503 else []
        assert stale and stale[0]["tables"] and stale[0]["age_s"] is not None
        assert refused and int(refused[0].headers["Retry-After"]) >= 1
        assert refused[0].json()["code"] == "syncservice_unavailable"
        eventually(lambda: http.get(f"{base}/status").json()["stale"] is False, 60, "reads are fresh again")
        eventually(lambda: answers(pair), 60, "writes work again")
    pair.assert_equal("busy")


def test_case_35_syncservice_is_killed_again_and_again_under_load(stack: Stack, pair: Pair) -> None:
    pair.catch_up()
    with Load(pair.source, "busy", seed=35) as load:
        for _ in range(2):
            time.sleep(1.5)
            old = kill_syncservice(stack)
            eventually(partial(another, stack, old), 60, "the gateway brings it back")
        time.sleep(1.5)
    assert load.changes > 200
    pair.wait("running")
    pair.assert_equal("busy")
    assert pair.letters("dst.busy") == []


def test_case_36_the_target_is_restarted_under_load(stack: Stack, pair: Pair) -> None:
    with Load(pair.source, "busy", seed=36) as load:
        time.sleep(1)
        stack.down(["target-db"])
        time.sleep(2)
        stack.up(["target-db"])
        time.sleep(2)
    assert load.changes > 200
    pair.wait("running")
    pair.assert_equal("busy")


def test_case_36_the_source_is_restarted_under_load(stack: Stack, pair: Pair) -> None:
    with Load(pair.source, "busy", seed=37) as load:
        time.sleep(1)
        stack.down(["source-db"])
        time.sleep(1)
        stack.up(["source-db"])
        time.sleep(2)
    assert load.changes > 100
    pair.wait("running")
    pair.assert_equal("busy")


# -- the gateway -----------------------------------------------------------------------------------


def refusal(method: str, url: str, key: str | None) -> tuple[int, Json]:
    """Status and document of one request."""
    headers = {} if key is None else {"X-API-Key": key}
    answer = httpx.request(
        method, url, headers=headers, json={"kind": "verify", "tables": []}, trust_env=False
    )
    return answer.status_code, answer.json()


def test_case_53_without_a_key_and_with_one_that_may_only_read(pair: Pair) -> None:
    made = pair.client.create_key("cases reader", ["read"], [pair.name])
    base = f"{pair.client.url}/api/v1"
    try:
        for path in ("/sync-pairs", f"/sync-pairs/{pair.name}", "/operations", "/service", "/keys"):
            status, problem = refusal("GET", base + path, None)
            assert (status, problem["status"]) == (401, 401), path
            assert refusal("GET", base + path, "tf_wrong.key")[0] == 401
        assert refusal("GET", f"{base}/sync-pairs/{pair.name}", made["key"])[0] == 200
        for method, path in (
            ("POST", f"/sync-pairs/{pair.name}/operations"),
            ("POST", f"/sync-pairs/{pair.name}/pause"),
            ("PUT", f"/sync-pairs/{pair.name}"),
            ("DELETE", f"/sync-pairs/{pair.name}"),
            ("DELETE", f"/systems/{pair.source_system}"),
            ("GET", "/keys"),
        ):
            status, problem = refusal(method, base + path, made["key"])
            assert status == 403, (method, path, problem)
            assert problem["detail"]
    finally:
        pair.client.revoke_key(made["id"])
    assert refusal("GET", f"{base}/sync-pairs/{pair.name}", made["key"])[0] == 401
    assert pair.client.pair(pair.name)["state"] == "running"


# -- the end ---------------------------------------------------------------------------------------


def test_everything_is_equal_at_the_end(pair: Pair) -> None:
    """After a full sync, by our comparison and by the product's."""
    pair.full_sync()
    pair.assert_equal(*NAMES)
    found = pair.operation("verify")
    assert found["state"] == "succeeded", found["error"]
    wrong = [t["table"] for t in found["result"]["tables"] if t["missing"] or t["extra"] or t["different"]]
    assert set(wrong) <= {"dst.eras"}, found["result"]


def test_a_deleted_pair_leaves_nothing(pair: Pair) -> None:
    assert set(pair.left_behind()) == {"slots", "connectors", "offsets", "secrets", "topics", "state"}
    rows = pair.target.rows("SELECT count(*) FROM dst.numbers")
    pair.delete()
    assert pair.left_behind() == {}
    assert pair.target.rows("SELECT count(*) FROM dst.numbers") == rows
    with pytest.raises(ApiError) as gone:
        pair.client.status(pair.name)
    assert gone.value.status == 404
    with psycopg.connect(pair.source.dsn, autocommit=True) as source:
        source.execute("UPDATE numbers SET n = 1")  # nothing holds the source up


def test_case_71_the_remedy_works(pair: Pair) -> None:
    """All pairs of the system deleted and applied again: the table that was refused is in the new snapshot."""
    later = same("later", "id", "n")
    pair.source.run(f"ALTER PUBLICATION {pair.publication} SET TABLE later")
    pair.apply([later], "cases-later")
    pair.wait("running", name="cases-later")
    assert pair.differences(later) == []
    pair.source.run("INSERT INTO later VALUES (2, NULL)")
    eventually(lambda: pair.differences(later) == [], 30, "the change arrives")
    pair.delete("cases-later")
    assert pair.left_behind() == {}
