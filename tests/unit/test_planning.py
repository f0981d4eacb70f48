"""What fits into what, and the order in which tables are applied."""

from __future__ import annotations

import itertools

import pytest

from catalog.specs import TableSpec
from syncservice.plan import TablePlan
from syncservice.planning import Naming, misfit, plan_table, primary_key_problems
from syncservice.sources.tables import ColumnInfo, TableInfo
from syncservice.targets.base import DeadLetter
from syncservice.targets.keys import key_texts
from syncservice.targets.tables import apply_groups, base_type
from tests.histories import PARCEL
from tests.records import Log

ENUMS = frozenset({"mood", 'public."Odd mood"'})
FITS = [
    ("integer", "integer"),
    ("smallint", "integer"),
    ("smallint", "bigint"),
    ("integer", "bigint"),
    ("real", "double precision"),
    ("character varying(40)", "text"),
    ("character varying(40)", "character varying(40)"),
    ("character varying(40)", "character varying(41)"),
    ("character varying(40)", "character varying"),
    ("character varying", "character varying"),
    ("character(4)", "character(4)"),
    ("numeric(12,2)", "numeric(12,2)"),
    ("numeric(12,2)", "numeric(13,2)"),
    ("numeric(12,2)", "numeric(14,4)"),
    ("numeric(12,2)", "numeric"),
    ("numeric(5)", "numeric(5,0)"),
    ("numeric", "numeric"),
    ("numeric(4,-2)", "numeric(6,0)"),
    ("timestamp(3) without time zone", "timestamp without time zone"),
    ("timestamp(3) without time zone", "timestamp(3) without time zone"),
    ("timestamp(3) without time zone", "timestamp(6) without time zone"),
    ("timestamp without time zone", "timestamp(6) without time zone"),
    ("time without time zone", "time(6) without time zone"),
    ("timestamp with time zone", "timestamp with time zone"),
    ("text[]", "text[]"),
    ("numeric(5,2)[]", "numeric(6,2)[]"),
    ("character varying(3)[]", "character varying(4)[]"),
    ("mood", "mood"),
    ('public."Odd mood"', 'public."Odd mood"'),
    ("bit(1)", "bit(1)"),
    ("money", "money"),
    ("interval", "interval"),
    ("oid", "oid"),
]
MISFITS = [
    ("bigint", "integer"),
    ("integer", "smallint"),
    ("integer", "numeric"),
    ("double precision", "real"),
    ("text", "character varying(40)"),
    ("text", "character varying"),
    ("character varying(40)", "character varying(39)"),
    ("character varying", "character varying(40)"),
    ("character(4)", "character(5)"),
    ("character(4)", "character(3)"),
    ("character(4)", "character varying(4)"),
    ("numeric(12,2)", "numeric(12,3)"),
    ("numeric(12,2)", "numeric(11,2)"),
    ("numeric(12,2)", "numeric(13,1)"),
    ("numeric", "numeric(12,2)"),
    ("numeric(4,-2)", "numeric(5,0)"),
    ("timestamp without time zone", "timestamp(3) without time zone"),
    ("timestamp(6) without time zone", "timestamp(3) without time zone"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("time without time zone", "time(3) without time zone"),
    ("timestamp with time zone", "timestamp(3) with time zone"),
    ("date", "timestamp without time zone"),
    ("json", "jsonb"),
    ("integer[]", "bigint[]"),
    ("integer[]", "integer"),
    ("text", "text[]"),
    ("numeric(5,2)[]", "numeric(4,2)[]"),
    ("date[]", "date[]"),
    ("timestamp without time zone[]", "timestamp without time zone[]"),
    ("mood[]", "mood[]"),
    ("temper", "temper"),
    ("mood", "text"),
    ("bit(2)", "bit(2)"),
    ("bit(1)", "bit(2)"),
    ("bit varying(5)", "bit varying(5)"),
    ("xml", "xml"),
    ("point", "point"),
    ("hstore", "hstore"),
    ('"char"', '"char"'),
    ("int4range", "int4range"),
    ("tsvector", "tsvector"),
    ("interval", "interval(0)"),
]


@pytest.mark.parametrize(("source", "target"), FITS)
def test_what_arrives_unchanged_fits(source: str, target: str) -> None:
    assert misfit(source, target, ENUMS) is None


@pytest.mark.parametrize(("source", "target"), MISFITS)
def test_what_might_not_arrive_unchanged_is_refused(source: str, target: str) -> None:
    why = misfit(source, target, ENUMS)
    assert why is not None
    assert source in why


@pytest.mark.parametrize(
    ("full", "base"),
    [
        ("character varying(40)", "character varying"),
        ("numeric(12,2)", "numeric"),
        ("numeric(4,-2)[]", "numeric[]"),
        ("timestamp(3) without time zone", "timestamp without time zone"),
        ("bit(1)", "bit"),
        ("text", "text"),
    ],
)
def test_base_types_have_no_modifier(full: str, base: str) -> None:
    assert base_type(full) == base


# -- plan_table --------------------------------------------------------------------------------------


def column(name: str, kind: str = "text", **flags: object) -> ColumnInfo:
    settings = {
        "not_null": False,
        "generated": False,
        "virtual": False,
        "identity": False,
        "default": None,
        "varying": True,
    }
    return ColumnInfo(name, kind, **(settings | flags))  # type: ignore[arg-type]


def info(schema: str, name: str, *columns: ColumnInfo, key: tuple[str, ...] = ("id",)) -> TableInfo:
    return TableInfo(schema, name, columns, key, "full", True, "r", False)


SOURCE = info(
    "public",
    "parcel",
    column("id", "integer", not_null=True),
    column("name"),
    column("Odd name-1", "integer"),
)
TARGET = info(
    "cama", "parcels", column("id", "bigint", not_null=True), column("name"), column("Odd name-1", "integer")
)
NAMING = Naming("pacs-1", "P")


def spec(**more: object) -> TableSpec:
    return TableSpec.model_validate({"from": "public.parcel", "to": "cama.parcels", **more})


def test_columns_of_the_same_name_are_mapped_by_default() -> None:
    plan = plan_table(0, spec(), SOURCE, TARGET, NAMING).plan
    assert plan is not None
    assert [(c.target, c.source, c.type) for c in plan.columns] == [
        ("id", "id", "bigint"),
        ("name", "name", "text"),
        ("Odd name-1", "Odd_name_1", "integer"),
    ]
    assert (plan.key, plan.name, plan.placeholder) == (("id",), "cama.parcels", "P")
    assert plan.topic == "pacs-1.public.parcel"


def test_a_key_goes_by_its_mapped_name() -> None:
    target = info("cama", "parcels", column("nr", "integer", not_null=True), column("label"))
    plan = plan_table(0, spec(columns={"nr": "id", "label": "name"}), SOURCE, target, NAMING).plan
    assert plan is not None
    assert (plan.key, plan.source_key) == (("nr",), ("id",))
    assert plan.wanted.columns == ("id", "name")


@pytest.mark.parametrize(
    ("more", "target", "words"),
    [
        ({"columns": {"id": "id", "name": "gone"}}, TARGET, "no column gone"),
        ({"columns": {"id": "id", "nowhere": "name"}}, TARGET, "no column nowhere"),
        ({"columns": {"name": "name"}}, TARGET, "NOT NULL without a default"),
        ({"columns": {"name": "name"}}, info("cama", "parcels", column("name")), "key column id"),
        ({"key": ["name"]}, TARGET, "not supported yet"),
        (
            {},
            info(
                "cama",
                "parcels",
                column("id", "integer"),
                column("name"),
                column("Odd name-1", "integer"),
                column("must", not_null=True),
            ),
            "must is NOT NULL",
        ),
        (
            {},
            info(
                "cama", "parcels", column("id", "smallint"), column("name"), column("Odd name-1", "integer")
            ),
            "does not fit",
        ),
        (
            {"columns": {"id": "id", "name": "name"}},
            info("cama", "parcels", column("id", "integer"), column("name", generated=True)),
            "generated by the target",
        ),
    ],
)
def test_every_problem_is_said_with_its_place(more: dict[str, object], target: TableInfo, words: str) -> None:
    planned = plan_table(2, spec(**more), SOURCE, target, NAMING)
    assert planned.plan is None
    assert any(words in p.message for p in planned.problems)
    assert all(p.path.startswith("spec.tables[2]") for p in planned.problems)


def test_columns_that_the_target_computes_need_no_mapping() -> None:
    more = (
        column("made", not_null=True, generated=True),
        column("nr", not_null=True, identity=True),
        column("d", not_null=True, default="1"),
    )
    assert plan_table(0, spec(), SOURCE, info("cama", "parcels", *TARGET.columns, *more), NAMING).plan


def test_case_18_a_table_without_a_key_is_refused_with_the_fix() -> None:
    (problem,) = primary_key_problems(1, info("public", "log", column("x"), key=()))
    assert "ADD PRIMARY KEY" in str(problem.allowed)
    assert primary_key_problems(1, SOURCE) == []


# -- groups ------------------------------------------------------------------------------------------


def plans(*names: str) -> list[TablePlan]:
    return [PARCEL.plan("s", name) for name in names]


def groups(names: str, *edges: str) -> list[str]:
    """`"ab"` in an edge: a refers to b."""
    tied = {(f"s.{edge[0]}", f"s.{edge[1]}") for edge in edges}
    return ["".join(p.table for p in group) for group in apply_groups(plans(*names), tied)]


def test_tables_without_foreign_keys_are_groups_of_their_own() -> None:
    assert groups("abc") == ["a", "b", "c"]


def test_parents_come_first() -> None:
    assert groups("abc", "ab", "bc") == ["cba"]
    assert groups("abcd", "ad") == ["da", "b", "c"]


@pytest.mark.parametrize("order", list(itertools.permutations("abcd")))
def test_a_diamond_of_foreign_keys_in_any_order(order: tuple[str, ...]) -> None:
    (group,) = groups("".join(order), "ab", "ac", "bd", "cd")
    assert group[0] == "d"
    assert group[-1] == "a"


def test_case_20_a_cycle_keeps_the_manifests_order() -> None:
    assert groups("abc", "ab", "ba", "ca") == ["abc"]


@pytest.mark.xfail(
    strict=True, reason="the first waiting table is taken, also when it only refers to a cycle"
)
def test_case_20_what_refers_to_a_cycle_comes_after_it() -> None:
    assert groups("cab", "ab", "ba", "ca") == ["abc"]


def test_tables_of_other_pairs_tie_nothing() -> None:
    assert groups("ab", "ax", "xb") == ["a", "b"]


def test_groups_that_meet_late_are_one() -> None:
    assert sorted("".join(sorted(g)) for g in groups("abcd", "ab", "cd", "bd")) == ["abcd"]


# -- keys and letters --------------------------------------------------------------------------------


def letter(reason: str, table: str = "t", code: str = "c") -> DeadLetter:
    log = Log(PARCEL)
    return DeadLetter(log.partition, log.raw(None, None), table, None, code, reason)


def test_a_fingerprint_does_not_depend_on_the_values() -> None:
    one = letter('value too long: "abc" (key)=(17) in row 5\nDETAIL: x')
    assert one.fingerprint == letter('value too long: "" (key)=(a, b) in row 12345\nDETAIL: y').fingerprint
    others = [letter("something else"), letter(one.reason, "u"), letter(one.reason, "t", "d")]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_keys_as_text_have_the_targets_names() -> None:
    import polars as pl

    plan = plan_table(
        0, spec(columns={"nr": "id"}), SOURCE, info("cama", "parcels", column("nr", "bigint")), NAMING
    ).plan
    assert plan is not None
    rows = pl.DataFrame({"id": [1, 2]})
    assert key_texts(plan, rows) == ['{"nr":1}', '{"nr":2}']
    assert key_texts(plan, rows.cast(pl.Int32)) == key_texts(plan, rows)
    assert key_texts(plan, pl.DataFrame({"id": [b"\x00\xff", 'ä"'.encode()]})) == [
        '{"nr":"AP8="}',
        '{"nr":"w6Qi"}',
    ]
    assert key_texts(plan, pl.DataFrame({"id": ['ä"\n']})) == ['{"nr":"ä\\"\\n"}']
