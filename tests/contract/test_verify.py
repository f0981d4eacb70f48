"""Verification over two real databases: every kind of difference is found and named, whatever the key and the chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from syncservice import verify
from syncservice.errors import Cancelled
from syncservice.sources.reader import Reader, Side
from syncservice.targets.connection import Connection
from syncservice.verify import TableResult, result_of, verify_table
from tests.databases import scratch_database
from tests.full_sync_lab import Hooks


class Pair:
    """The same table in both databases, unless a test says otherwise."""

    def __init__(self, source: Connection, target: Connection) -> None:
        self.source, self.target = source, target

    def create(self, columns: str, target: str = "") -> None:
        """Table t with these columns; `target`: those of the target's."""
        for connection, ddl in ((self.source, columns), (self.target, target or columns)):
            connection.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t ({ddl})".encode())

    def both(self, statement: str) -> None:
        """Run it on both sides."""
        for connection in (self.source, self.target):
            connection.execute(statement.encode())

    def verify(
        self,
        types: Sequence[str],
        key: Sequence[str] = ("k",),
        columns: Sequence[str] = (),
        casts: Sequence[str] = (),
        hooks: Hooks | None = None,
    ) -> TableResult:
        """`columns` defaults to the key and v; `types` are the key's."""
        columns = tuple(columns or [*key, "v"])
        theirs = Side("public", "t", columns, tuple(key), tuple(types), ("",) * len(columns))
        ours = replace(theirs, casts=tuple(casts) or theirs.casts)
        return verify_table(
            "public.t", Reader(self.source, ours), Reader(self.target, theirs), hooks or Hooks()
        )


@pytest.fixture(scope="module")
def databases() -> Iterator[tuple[Connection, Connection]]:
    with scratch_database() as one, scratch_database() as other:
        with one() as source, other() as target:
            for connection in (source, target):
                connection.execute("CREATE EXTENSION citext")
            yield source, target


@pytest.fixture
def pair(databases: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch) -> Pair:
    monkeypatch.setattr(verify, "CHUNK", 20)
    return Pair(*databases)


def kinds(result: TableResult) -> dict[str, list[tuple[Any, ...]]]:
    """kind → keys of the differences shown."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for difference in result.differences:
        found.setdefault(difference["kind"], []).append(tuple(difference["key"].values()))
    return found


# Each: column type, expression over g that gives the key, the key's base type.
KEYS = {
    "integer": ("integer", "g", "integer"),
    "negative": ("bigint", "g - 60", "bigint"),
    "text": ("text", "'k' || g", "text"),
    "text, both cases": ("text", "CASE WHEN g % 2 = 0 THEN 'a' ELSE 'B' END || g", "text"),
    "text, umlauts": ("text", "chr(200 + g) || '-' || g", "text"),
    "varchar": ("character varying(9)", "'k' || g", "character varying"),
    "char(5)": ("character(5)", "'k' || g", "character"),
    "char(1)-like": ("character(4)", "g::text", "character"),
    "citext": ("citext", "CASE WHEN g % 2 = 0 THEN 'a' ELSE 'B' END || g", "citext"),
    "uuid": ("uuid", "md5(g::text)::uuid", "uuid"),
    "numeric": ("numeric(6,1)", "g / 10.0", "numeric"),
    "date": ("date", "'2024-01-01'::date + g", "date"),
    "timestamp": (
        "timestamp",
        "'2024-01-01'::timestamp + g * interval '1.5 h'",
        "timestamp without time zone",
    ),
    "bytea": ("bytea", "decode(md5(g::text), 'hex')", "bytea"),
}


@pytest.mark.parametrize("name", KEYS)
def test_equal_tables_are_equal_whatever_the_key(pair: Pair, name: str) -> None:
    kind, expression, base = KEYS[name]
    pair.create(f"k {kind} PRIMARY KEY, v text")
    before = 0
    for rows in (0, 1, 19, 20, 21, 40, 127):
        pair.both(f"INSERT INTO t SELECT {expression}, 'v' FROM generate_series({before + 1}, {rows}) g")
        before, hooks = rows, Hooks()
        result = pair.verify([base], hooks=hooks)
        assert result == TableResult("public.t", rows, rows)
        assert result.equal
        assert hooks.rows == rows


@pytest.mark.parametrize("name", KEYS)
def test_altered_missing_and_extra_rows_are_named(pair: Pair, name: str) -> None:
    """One of each in every chunk, at its edges too, and behind the last one."""
    kind, expression, base = KEYS[name]
    pair.create(f"k {kind} PRIMARY KEY, n integer, v text")
    pair.source.execute(f"INSERT INTO t SELECT {expression}, g, 'v' FROM generate_series(1, 100) g WHERE g % 7 <> 0".encode())  # fmt: skip
    pair.target.execute(f"INSERT INTO t SELECT {expression}, g, CASE WHEN g % 5 = 0 THEN NULL ELSE 'v' END FROM generate_series(1, 105) g WHERE g % 3 <> 0".encode())  # fmt: skip
    result = pair.verify([base])
    have, want = {n for n in range(1, 106) if n % 3}, {n for n in range(1, 101) if n % 7}
    altered = {n for n in have & want if n % 5 == 0}
    assert (result.missing, result.extra, result.different) == (
        len(want - have),
        len(have - want),
        len(altered),
    )
    assert (result.rows_source, result.rows_target) == (len(want), len(have))
    query = f"SELECT g, ({expression})::{kind}::text FROM generate_series(1, 105) g"
    texts: dict[Any, Any] = dict(pair.source.execute(query.encode()).fetchall())
    found = {kind: {key for (key,) in keys} for kind, keys in kinds(result).items()}
    assert found == {
        "missing": {texts[n] for n in want - have},
        "extra": {texts[n] for n in have - want},
        "different": {texts[n] for n in altered},
    }


def test_rows_behind_the_sources_last_chunk_are_extra(pair: Pair) -> None:
    pair.create("k integer PRIMARY KEY, v text")
    pair.source.execute("INSERT INTO t SELECT g FROM generate_series(1, 40) g")
    pair.target.execute("INSERT INTO t SELECT g FROM generate_series(-5, 45) g")
    assert kinds(pair.verify(["integer"])) == {
        "extra": [*((str(n),) for n in range(-5, 1)), *((str(n),) for n in range(41, 46))]
    }


@pytest.mark.parametrize(
    "collation", ['"C"', '"en_US.utf8"', '"und-x-icu"', '"pg_unicode_fast"', '"pg_c_utf8"']
)
def test_text_keys_under_another_collation(pair: Pair, collation: str) -> None:
    known = pair.target.execute("SELECT 1 FROM pg_collation WHERE collname = %s", (collation.strip('"'),))
    if not known.fetchall():
        pytest.skip(f"this server has no collation {collation}")
    pair.create('k text COLLATE "C" PRIMARY KEY, v text', f"k text COLLATE {collation} PRIMARY KEY, v text")
    pair.both(
        "INSERT INTO t SELECT x || g, x FROM generate_series(1, 30) g, unnest(ARRAY['a','B','ä','_','-',' ']) x"
    )
    assert pair.verify(["text"]) == TableResult("public.t", 180, 180)
    pair.target.execute("DELETE FROM t WHERE k IN ('ä7', 'B30', ' 1')")
    assert set(kinds(pair.verify(["text"]))["missing"]) == {("ä7",), ("B30",), (" 1",)}


def test_composite_keys(pair: Pair) -> None:
    pair.create("a text, b integer, c character(3), v text, PRIMARY KEY (a, b, c)")
    pair.both(
        "INSERT INTO t SELECT x, g, y FROM unnest(ARRAY['a','B']) x, generate_series(8, 31) g, unnest(ARRAY['p','q']) y"
    )
    types, key = ["text", "integer", "character"], ("a", "b", "c")
    assert pair.verify(types, key) == TableResult("public.t", 96, 96)
    pair.target.execute(
        "DELETE FROM t WHERE (a, b, c) = ('a', 10, 'q'); UPDATE t SET v = 'x' WHERE b = 9 AND a = 'B'"
    )
    result = pair.verify(types, key)
    assert kinds(result) == {"missing": [("a", "10", "q")], "different": [("B", "9", "p"), ("B", "9", "q")]}
    assert result.differences[0]["key"] in ({"a": "B", "b": "9", "c": "p"}, {"a": "a", "b": "10", "c": "q"})
    assert pair.verify(["integer", "character", "text"], ("b", "c", "a"), ("a", "b", "c", "v")).different == 2


def test_null_is_not_an_empty_value_and_columns_do_not_run_into_each_other(pair: Pair) -> None:
    pair.create("k integer PRIMARY KEY, v text, w text")
    pair.source.execute(
        "INSERT INTO t VALUES (1, NULL, ''), (2, '', NULL), (3, 'a,b', 'c'), (4, NULL, NULL), (5, '\"', '\\')"
    )
    pair.target.execute(
        "INSERT INTO t VALUES (1, '', NULL), (2, '', ''), (3, 'a', 'b,c'), (4, NULL, NULL), (5, '\"', '\\')"
    )
    result = pair.verify(["integer"], columns=["k", "v", "w"])
    assert {d["key"]["k"]: d["columns"] for d in result.differences} == {
        "1": {"v": [None, ""], "w": ["", None]},
        "2": {"w": [None, ""]},
        "3": {"v": ["a,b", "a"], "w": ["c", "b,c"]},
    }


def test_differences_name_the_columns_of_each_side(pair: Pair) -> None:
    pair.create("k integer PRIMARY KEY, v text")
    pair.source.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    pair.target.execute("INSERT INTO t VALUES (2, 'B'), (3, 'c')")
    shown = {d["kind"]: d["columns"] for d in pair.verify(["integer"]).differences}
    assert shown == {
        "missing": {"k": ["1", None], "v": ["a", None]},
        "different": {"v": ["b", "B"]},
        "extra": {"k": [None, "3"], "v": [None, "c"]},
    }


def test_a_wider_type_on_the_other_side_is_no_difference(pair: Pair) -> None:
    pair.create("k integer PRIMARY KEY, v real", "k bigint PRIMARY KEY, v double precision")
    pair.both("INSERT INTO t SELECT g, g / 10.0::real FROM generate_series(1, 50) g")
    pair.target.execute("UPDATE t SET v = v::real::double precision")
    assert pair.verify(["bigint"], casts=["bigint", "double precision"]).equal


def test_only_the_first_hundred_differences_are_shown_and_all_are_counted(pair: Pair) -> None:
    pair.create("k integer PRIMARY KEY, v text")
    pair.source.execute("INSERT INTO t SELECT g FROM generate_series(1, 250) g")
    result = pair.verify(["integer"])
    assert (result.missing, len(result.differences)) == (250, verify.SHOWN)
    shown = result_of([result, TableResult("public.u")])
    assert not shown["equal"]
    assert [table["missing"] for table in shown["tables"]] == [250, 0]


def test_it_can_be_cancelled(pair: Pair) -> None:
    pair.create("k integer PRIMARY KEY, v text")
    with pytest.raises(Cancelled):
        pair.verify(["integer"], hooks=Hooks(stopped=True))
