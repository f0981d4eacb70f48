"""A full sync into a real PostgreSQL: rows and counts right, everything else of the table kept, nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from syncservice import replay
from syncservice.errors import Cancelled, Halt, Refused, ResyncRequired
from syncservice.targets.connection import Connect
from tests.databases import scratch_database
from tests.full_sync_lab import OWNER, OWNER_DDL, PARCEL, PARCEL_DDL, TRUNCATES, FullSyncLab, parcel


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    with scratch_database() as connect:
        with connect() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS citext")
        yield connect


@pytest.fixture
def lab(connect: Connect) -> Iterator[FullSyncLab]:
    lab = FullSyncLab(connect)
    yield lab
    lab.close()


def counts(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("inserted", "updated", "deleted", "unchanged"))


# -- rows and counts ---------------------------------------------------------------------------------


def test_into_an_empty_table(lab: FullSyncLab) -> None:
    for number in range(5):
        lab.log.upsert(parcel(number, name=f"n{number}"), "c")
    lab.log.upsert(parcel(1, name="new"), "u")
    lab.log.delete(parcel(2))
    row = lab.sync()
    assert lab.rows() == [(0, "n0", None, 1), (1, "new", None, 1), (3, "n3", None, 1), (4, "n4", None, 1)]
    assert counts(row) == (4, 0, 0, 0)
    assert (row["read"], row["dead_letters"], row["put_in_place_by"]) == (8, 0, "swap")
    assert lab.offsets() == {PARCEL.topic: 8, TRUNCATES: 0}
    assert lab.hooks.phases == ["snapshot", "replay", "indexes", "compare", "cut over"]
    assert lab.hooks.rows == 8
    assert lab.leftovers() == []


def test_an_empty_topic_empties_the_table(lab: FullSyncLab) -> None:
    lab.run_sql("INSERT INTO {s}.parcel (id, area) VALUES (1, 1)")
    assert counts(lab.sync(adopt=True)) == (0, 0, 1, 0)
    assert lab.rows() == []
    assert lab.offsets() == {PARCEL.topic: 0, TRUNCATES: 0}


@pytest.mark.parametrize("merge", [False, True], ids=["swap", "merge"])
def test_over_a_table_with_rows_the_report_is_right(lab: FullSyncLab, merge: bool) -> None:
    lab.run_sql(
        "INSERT INTO {s}.parcel VALUES (1, 'same', NULL, NULL, 1), (2, 'old', NULL, NULL, 1), (3, 'gone', NULL, NULL, 1)"
    )
    if merge:
        lab.run_sql("CREATE VIEW {s}.seen AS SELECT * FROM {s}.parcel")
    for number, name in ((1, "same"), (2, "new"), (4, "born"), (5, None)):
        lab.log.upsert(parcel(number, name=name), "c")
    row = lab.sync(adopt=True)
    assert counts(row) == (2, 1, 1, 1)
    assert row["put_in_place_by"] == ("merge" if merge else "swap")
    wanted = [(1, "same", None, 1), (2, "new", None, 1), (4, "born", None, 1), (5, None, None, 1)]
    assert lab.rows() == wanted
    assert lab.leftovers() == []
    if merge:
        assert lab.rows("seen") == wanted


def test_many_batches_come_out_as_one(lab: FullSyncLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_RECORDS", 3)
    for number in range(20):
        lab.log.upsert(parcel(number % 7, area=number), "u")
    lab.log.move(parcel(3), parcel(30))
    lab.log.gap(5)
    lab.log.delete(parcel(4))
    lab.sync()
    assert [(row[0], row[3]) for row in lab.rows()] == [(0, 14), (1, 15), (2, 16), (5, 19), (6, 13), (30, 1)]


def test_an_end_that_holds_no_record_is_reached(lab: FullSyncLab) -> None:
    """The last offsets may be a transaction marker, or compacted away."""
    lab.log.upsert(parcel(1), "c")
    lab.broker.ends[PARCEL.topic] = 4
    lab.sync()
    assert lab.offsets()[PARCEL.topic] == 4


def test_dead_letters_of_the_replay_replace_the_live_ones(lab: FullSyncLab) -> None:
    lab.log.upsert(parcel(1, area=-1), "c")
    lab.log.upsert(parcel(2), "c")
    lab.sync()
    assert lab.letters() == {0: "target_23514"}
    lab.log.upsert(parcel(1, area=-2), "u")  # parked
    assert lab.live().apply().dead_letters == {f"{lab.schema}.parcel": 1}
    assert lab.letters() == {0: "target_23514", 2: "parked"}
    lab.run_sql("ALTER TABLE {s}.parcel DROP CONSTRAINT parcel_area_check")
    assert lab.sync(operation="op-2")["dead_letters"] == 0
    assert lab.letters() == {}
    assert lab.live().claim.parked == {}
    assert [row[0] for row in lab.rows()] == [1, 2]
    assert lab.leftovers() == []


def test_case_50_a_row_that_a_check_refuses_inside_a_straight_copy(lab: FullSyncLab) -> None:
    for number in range(50):
        lab.log.upsert(parcel(number, area=-1 if number in (7, 31) else 1), "c")
    row = lab.sync()
    assert row["dead_letters"] == 2
    assert lab.letters() == {7: "target_23514", 31: "target_23514"}
    assert [r[0] for r in lab.rows()] == [n for n in range(50) if n not in (7, 31)]


# -- what a swap keeps -------------------------------------------------------------------------------

RICH = """
CREATE TABLE {s}.parcel (
  id integer CONSTRAINT "The Key" PRIMARY KEY, name text DEFAULT 'x', note text COLLATE "C" CONSTRAINT one_note UNIQUE DEFERRABLE,
  tags text[], area bigint NOT NULL CONSTRAINT sound CHECK (area >= 0), twice bigint GENERATED ALWAYS AS (area * 2) STORED);
CREATE INDEX by_name ON {s}.parcel USING btree (lower(name) DESC NULLS LAST) INCLUDE (area) WHERE area > 0;
CREATE UNIQUE INDEX "by Name" ON {s}.parcel (name, area) NULLS NOT DISTINCT;
CREATE INDEX by_tags ON {s}.parcel USING gin (tags);
COMMENT ON TABLE {s}.parcel IS 'it''s the parcels';
COMMENT ON COLUMN {s}.parcel.area IS 'm²';
COMMENT ON CONSTRAINT sound ON {s}.parcel IS 'no holes';
GRANT SELECT ON {s}.parcel TO PUBLIC;
GRANT INSERT, DELETE ON {s}.parcel TO pg_monitor WITH GRANT OPTION;
"""
SHAPE = """
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = '{s}' AND tablename = 'parcel'
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) || coalesce(obj_description(oid, 'pg_constraint'), '')
  FROM pg_constraint WHERE conrelid = '{s}.parcel'::regclass
UNION ALL SELECT 'column', attname, format_type(atttypid, atttypmod) || attnotnull || attgenerated::text || attcollation
  || coalesce(col_description(attrelid, attnum), '') || coalesce(pg_get_expr(adbin, adrelid), '')
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attrelid = '{s}.parcel'::regclass AND attnum > 0
UNION ALL SELECT 'comment', '', obj_description('{s}.parcel'::regclass, 'pg_class')
UNION ALL SELECT 'grant', grantee::regrole::text, privilege_type || is_grantable
  FROM pg_class CROSS JOIN aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE oid = '{s}.parcel'::regclass
ORDER BY 1, 2, 3
"""


def test_a_swap_keeps_indexes_constraints_comments_and_grants(connect: Connect) -> None:
    lab = FullSyncLab(connect, RICH)
    before, oid = lab.ask(SHAPE), lab.oid()
    lab.log.upsert(parcel(1, area=4, note="a"), "c")
    row = lab.sync()
    assert (row["put_in_place_by"], row["because"]) == ("swap", [])
    assert lab.oid() != oid
    assert lab.ask(SHAPE) == before
    assert lab.rows(columns="id, area, twice") == [(1, 4, 8)]
    lab.close()


def test_a_swap_keeps_the_comments_of_indexes(lab: FullSyncLab) -> None:
    lab.run_sql("CREATE INDEX by_name ON {s}.parcel (name); COMMENT ON INDEX {s}.by_name IS 'for the search'")
    lab.run_sql("COMMENT ON CONSTRAINT parcel_pkey ON {s}.parcel IS 'the key'")
    lab.sync()
    assert lab.ask("SELECT obj_description('{s}.by_name'::regclass, 'pg_class')") == [("for the search",)]
    query = "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conindid = '{s}.parcel_pkey'::regclass"
    assert lab.ask(query) == [("the key",)]


def test_a_swap_grants_no_more_than_before(lab: FullSyncLab) -> None:
    """Default privileges give a new table rights that were taken from the old one."""
    lab.run_sql("ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO pg_monitor")
    lab.sync()
    query = "SELECT has_table_privilege('pg_monitor', '{s}.parcel', 'SELECT')"
    assert lab.ask(query) == [(False,)]


def test_a_second_full_sync_swaps_again(connect: Connect) -> None:
    lab = FullSyncLab(connect, RICH)
    before = lab.ask(SHAPE)
    lab.log.upsert(parcel(1, note="a"), "c")
    lab.sync()
    lab.log.upsert(parcel(1, note="b"), "u")
    assert counts(lab.sync(operation="op-2")) == (0, 1, 0, 0)
    assert lab.ask(SHAPE) == before
    lab.close()


def test_names_as_long_as_they_may_be(connect: Connect) -> None:
    long = "ä" * 31
    lab = FullSyncLab(connect, f'CREATE TABLE {{s}}."{long}" (id integer PRIMARY KEY, name text, note text, tags text[], area bigint)')  # fmt: skip
    lab.plans = {"public.parcel": PARCEL.plan(lab.schema, long)}
    lab.log.upsert(parcel(1), "c")
    before = lab.indexes(long)
    assert lab.sync()["put_in_place_by"] == "swap"
    assert lab.indexes(long) == before
    assert lab.leftovers() == []
    lab.close()


# -- merge -------------------------------------------------------------------------------------------

BLOCKERS = {
    "view": ("CREATE VIEW {s}.v AS SELECT id, name FROM {s}.parcel", "view"),
    "materialized view": ("CREATE MATERIALIZED VIEW {s}.v AS SELECT id FROM {s}.parcel", "view"),
    "trigger": (
        "CREATE FUNCTION {s}.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
        "CREATE TRIGGER watch BEFORE INSERT ON {s}.parcel FOR EACH ROW EXECUTE FUNCTION {s}.f()",
        "trigger watch",
    ),
    "identity": ("ALTER TABLE {s}.parcel ALTER id ADD GENERATED ALWAYS AS IDENTITY", "identity column id"),
    "unmapped column": (
        "ALTER TABLE {s}.parcel ADD mine text DEFAULT 'kept'",
        "column mine is not the pair's",
    ),
    "foreign key from outside": (
        "CREATE TABLE {s}.deed (parcel integer REFERENCES {s}.parcel); INSERT INTO {s}.deed VALUES (1)",
        "foreign key",
    ),
    "row security": ("ALTER TABLE {s}.parcel ENABLE ROW LEVEL SECURITY", "row security"),
    "storage parameters": ("ALTER TABLE {s}.parcel SET (fillfactor = 70)", "storage parameters"),
    "grant on a column": ("GRANT SELECT (id) ON {s}.parcel TO pg_monitor", "grants on columns"),
    "rule": ("CREATE RULE r AS ON INSERT TO {s}.parcel DO ALSO NOTHING", "rule r"),
    "another owner": ("ALTER TABLE {s}.parcel OWNER TO pg_monitor", "another owner"),
    "publication": ("CREATE PUBLICATION {s}_p FOR TABLE {s}.parcel", "publication"),
}


@pytest.mark.parametrize("blocker", BLOCKERS)
def test_case_37_what_a_rename_would_break_is_merged_into(lab: FullSyncLab, blocker: str) -> None:
    ddl, because = BLOCKERS[blocker]
    lab.run_sql("INSERT INTO {s}.parcel VALUES (1, 'old', NULL, NULL, 1), (2, 'gone', NULL, NULL, 1)")
    lab.run_sql(ddl)
    lab.begin()
    oid, indexes = lab.oid(), lab.indexes()
    for number, name in ((1, "new"), (3, "born")):
        lab.log.upsert(parcel(number, name=name), "c")
    row = lab.sync()
    assert row["put_in_place_by"] == "merge"
    assert any(because in reason for reason in row["because"]), row["because"]
    assert counts(row) == (1, 1, 1, 0)
    assert (lab.oid(), lab.indexes()) == (oid, indexes)
    assert lab.rows() == [(1, "new", None, 1), (3, "born", None, 1)]
    assert lab.leftovers() == []


def test_a_merge_keeps_what_is_not_the_pairs_and_the_view_goes_on(lab: FullSyncLab) -> None:
    lab.run_sql(
        "ALTER TABLE {s}.parcel ADD mine text DEFAULT 'd'; CREATE VIEW {s}.v AS SELECT id, name, mine FROM {s}.parcel"
    )
    lab.run_sql("INSERT INTO {s}.parcel VALUES (1, 'old', NULL, NULL, 1, 'kept')")
    lab.log.upsert(parcel(1, name="new"), "c")
    lab.log.upsert(parcel(2), "c")
    lab.sync(adopt=True)
    assert lab.rows("v", "id, name, mine") == [(1, "new", "kept"), (2, None, "d")]


@pytest.mark.xfail(
    strict=True,
    raises=Halt,
    reason="merge_upsert updates in one statement; an immediate unique constraint is checked row by row",
)
def test_a_merge_can_swap_unique_values(lab: FullSyncLab) -> None:
    lab.run_sql("ALTER TABLE {s}.parcel ADD UNIQUE (note); CREATE VIEW {s}.v AS SELECT id FROM {s}.parcel")
    lab.run_sql("INSERT INTO {s}.parcel VALUES (1, NULL, 'a', NULL, 1), (2, NULL, 'b', NULL, 1)")
    lab.log.upsert(parcel(1, note="b"), "c")
    lab.log.upsert(parcel(2, note="a"), "c")
    lab.sync(adopt=True)
    assert lab.rows() == [(1, None, "b", 1), (2, None, "a", 1)]


SPELLINGS = [("citext", "Ab", "aB"), ("numeric", "1.0", "1.00"), ("interval", "1 mon", "30 days"), ("jsonb", "[1.0]", "[1.00]")]  # fmt: skip


@pytest.mark.parametrize(("kind", "old", "new"), SPELLINGS)
def test_a_merge_brings_values_that_are_equal_but_spelled_otherwise(
    connect: Connect, kind: str, old: str, new: str
) -> None:
    """Verification compares spellings: what a full sync leaves must pass it."""
    lab = FullSyncLab(connect, PARCEL_DDL.replace("note text", f"note {kind}"))
    columns = tuple(
        replace(c, type=kind, full_type=kind) if c.target == "note" else c for c in PARCEL.plan().columns
    )
    lab.plans = {"public.parcel": replace(PARCEL.plan(lab.schema), columns=columns)}
    lab.run_sql(f"CREATE VIEW {{s}}.v AS SELECT id FROM {{s}}.parcel; INSERT INTO {{s}}.parcel VALUES (1, NULL, '{old}', NULL, 1)")  # fmt: skip
    lab.log.upsert(parcel(1, note=new), "c")
    row = lab.sync(adopt=True)
    assert lab.rows(columns="note::text") == [(new,)]
    assert counts(row) == (0, 1, 0, 0)
    lab.close()


def test_a_foreign_key_that_the_new_rows_would_break_halts_and_leaves_the_old(lab: FullSyncLab) -> None:
    lab.run_sql("INSERT INTO {s}.parcel (id, area) VALUES (1, 1)")
    lab.run_sql(
        "CREATE TABLE {s}.deed (parcel integer REFERENCES {s}.parcel); INSERT INTO {s}.deed VALUES (1)"
    )
    lab.log.upsert(parcel(2), "c")
    with pytest.raises(Halt):
        lab.sync(adopt=True)
    assert [row[0] for row in lab.rows()] == [1]
    assert lab.leftovers() == []


def test_a_view_made_on_the_way_halts_and_leaves_the_old(lab: FullSyncLab) -> None:
    lab.run_sql("INSERT INTO {s}.parcel (id, area) VALUES (1, 1)")
    lab.hooks.at["compare"] = lambda: lab.run_sql("CREATE VIEW {s}.late AS SELECT * FROM {s}.parcel")
    lab.log.upsert(parcel(2), "c")
    with pytest.raises(Halt):
        lab.sync(adopt=True)
    assert [row[0] for row in lab.rows("late")] == [1]
    assert lab.leftovers() == []


# -- refusals, and nothing left behind ---------------------------------------------------------------


def test_rows_that_are_not_the_pairs_need_adopt(lab: FullSyncLab) -> None:
    lab.run_sql("INSERT INTO {s}.parcel (id, area) VALUES (1, 1)")
    lab.log.upsert(parcel(2), "c")
    with pytest.raises(Refused) as refused:
        lab.sync()
    assert refused.value.code == "target_not_empty"
    assert "adopt" in refused.value.remedy
    assert lab.rows() == [(1, None, None, 1)]
    assert (lab.leftovers(), lab.offsets()) == ([], {})
    lab.sync(adopt=True)
    lab.sync(operation="op-2")  # by now the rows are the pair's
    assert [row[0] for row in lab.rows()] == [2]


@pytest.mark.parametrize("merge", [False, True], ids=["swap", "merge"])
def test_a_violation_of_another_unique_constraint_halts(lab: FullSyncLab, merge: bool) -> None:
    lab.run_sql("ALTER TABLE {s}.parcel ADD CONSTRAINT one_note UNIQUE (note)")
    lab.run_sql("INSERT INTO {s}.parcel (id, area) VALUES (9, 1)")
    if merge:
        lab.run_sql("CREATE VIEW {s}.v AS SELECT * FROM {s}.parcel")
    for number in (1, 2):
        lab.log.upsert(parcel(number, note="same"), "c")
    before = lab.indexes()
    with pytest.raises(Halt) as halted:
        lab.sync(adopt=True)
    assert halted.value.code == "target_constraint"
    assert lab.rows() == [(9, None, None, 1)]
    assert (lab.leftovers(), lab.offsets(), lab.indexes()) == ([], {}, before)


@pytest.mark.parametrize("phase", ["snapshot", "replay", "indexes", "compare", "cut over"])
def test_a_cancelled_full_sync_leaves_the_old_table(lab: FullSyncLab, phase: str) -> None:
    lab.begin()
    lab.run_sql("INSERT INTO {s}.parcel (id, area) VALUES (9, 1)")
    lab.log.upsert(parcel(1), "c")
    lab.log.upsert(parcel(2, area=-1), "c")
    lab.hooks.at[phase] = lambda: setattr(lab.hooks, "stopped", True)
    if phase == "snapshot":
        lab.hooks.at["replay"] = lambda: setattr(lab.hooks, "stopped", True)
    with pytest.raises(Cancelled):
        lab.sync()
    assert lab.rows() == [(9, None, None, 1)]
    assert (lab.leftovers(), lab.letters()) == ([], {})
    assert lab.offsets() == {PARCEL.topic: 0}


def test_case_38_a_topic_recreated_on_the_way_is_not_put_in_place(lab: FullSyncLab) -> None:
    lab.log.upsert(parcel(1), "c")
    lab.hooks.at["cut over"] = lambda: lab.broker.ids.update({PARCEL.topic: "another"})
    with pytest.raises(ResyncRequired):
        lab.sync()
    assert (lab.rows(), lab.leftovers(), lab.offsets()) == ([], [], {})


def test_a_lock_on_the_live_table_is_waited_for(lab: FullSyncLab) -> None:
    """The cut-over gives up after two seconds and tries again, so that no queue of readers forms behind it."""
    lab.log.upsert(parcel(1), "c")
    with lab.connect() as reader:
        reader.autocommit = False

        def read() -> None:
            reader.execute(f"SELECT * FROM {lab.schema}.parcel".encode())

        lab.hooks.at["cut over"] = read
        timer = threading.Timer(2.5, reader.rollback)
        timer.start()
        row = lab.sync()
        timer.join()
    assert counts(row) == (1, 0, 0, 0)
    assert [r[0] for r in lab.rows()] == [1]


# -- several tables, truncates -----------------------------------------------------------------------


@pytest.fixture
def both(connect: Connect) -> Iterator[FullSyncLab]:
    lab = FullSyncLab(connect, f"{PARCEL_DDL}; {OWNER_DDL}", (PARCEL, OWNER))
    yield lab
    lab.close()


def owner(number: int) -> dict[str, object]:
    return {"town": "t", "nr": number, "name": None, "note": None}


def test_several_tables_are_put_in_place_together(both: FullSyncLab) -> None:
    both.log.upsert(parcel(1), "c")
    both.logs["owner"].upsert(owner(1), "c")
    both.run_sql("INSERT INTO {s}.owner VALUES ('old', 1), ('old', 2)")
    result = both.full_sync(adopt=True).run()["tables"]
    assert [counts(row) for row in result] == [(1, 0, 0, 0), (1, 0, 2, 0)]
    assert both.rows("owner", "town, nr") == [("t", 1)]
    assert both.leftovers() == []


def test_a_failure_of_one_table_leaves_all(both: FullSyncLab) -> None:
    both.run_sql("ALTER TABLE {s}.owner ADD UNIQUE (town)")
    both.log.upsert(parcel(1), "c")
    for number in (1, 2):
        both.logs["owner"].upsert(owner(number), "c")
    with pytest.raises(Halt):
        both.sync()
    assert (both.rows(), both.leftovers(), both.offsets()) == ([], [], {})


def test_case_17_rows_from_before_a_truncate_are_left_out(lab: FullSyncLab) -> None:
    lab.event("c", parcel(1), 10)
    lab.event("c", parcel(2), 20)
    lab.truncate(25)
    lab.event("c", parcel(3), 30)
    lab.event("u", parcel(2, name="again"), 40)
    row = lab.sync()
    assert [r[0] for r in lab.rows()] == [2, 3]
    assert row["read"] == 2
    assert lab.offsets() == {PARCEL.topic: 4, TRUNCATES: 1}


def test_case_17_the_last_of_several_truncates_counts(lab: FullSyncLab) -> None:
    for lsn in (10, 20, 30):
        lab.event("c", parcel(lsn), lsn)
        lab.truncate(lsn + 5)
    lab.sync()
    assert lab.rows() == []
    assert lab.offsets() == {PARCEL.topic: 3, TRUNCATES: 3}


def test_case_17_a_truncate_while_the_ends_are_asked(
    lab: FullSyncLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows written after the ends were captured, then truncated: the drain must leave them out, too."""
    monkeypatch.setattr(replay, "MAX_RECORDS", 2)
    lab.begin()
    for number, lsn in ((1, 10), (2, 20), (3, 30)):
        lab.event("c", parcel(number), lsn)
    lab.event("c", parcel(4), 50)
    lab.truncate(40)
    lab.broker.ends[PARCEL.topic] = 2

    def grown() -> None:
        del lab.broker.ends[PARCEL.topic]
        lab.admin.execute("UPDATE terrafusion.offsets SET next_offset = 4 WHERE pair = %s AND generation = 'live'", (lab.pair,))  # fmt: skip

    lab.hooks.at["cut over"] = grown
    lab.sync()
    assert [row[0] for row in lab.rows()] == [4]


def test_case_17_a_full_sync_of_some_tables_does_not_pass_anothers_truncate(both: FullSyncLab) -> None:
    both.truncate(10, OWNER)
    both.truncate(20, PARCEL)
    both.truncate(30, OWNER)
    both.sync(tables=["public.parcel"])
    assert both.offsets()[TRUNCATES] == 2  # the owners' last truncate halts the pair
    both.sync(operation="op-2")
    assert both.offsets()[TRUNCATES] == 3


def test_case_17_a_truncate_of_a_table_of_another_pair_is_passed(lab: FullSyncLab) -> None:
    lab.truncate(10, OWNER)
    lab.sync()
    assert lab.offsets()[TRUNCATES] == 1


@pytest.mark.xfail(
    strict=True,
    reason="a truncate that an earlier sync of its table has left out is read again: the pair halts for it once more",
)
def test_case_17_table_after_table_passes_all_truncates(both: FullSyncLab) -> None:
    both.truncate(10, OWNER)
    both.truncate(20, PARCEL)
    both.sync(tables=["public.parcel"])
    both.sync(tables=["public.owner"], operation="op-2")
    assert both.offsets()[TRUNCATES] == 2


def test_rows_of_an_interrupted_snapshot_are_left_out_whatever_topic_shows_the_second(
    both: FullSyncLab,
) -> None:
    """The parcels were emptied between two attempts: only the owners' rows tell of the second one."""
    both.event("r", parcel(1), 10)
    both.event("r", owner(1), 10, "owner")
    both.event("r", owner(2), 10, "owner")
    both.event("r", owner(1), 20, "owner")
    both.event("c", parcel(7), 30)
    both.full_sync().run()
    assert [row[0] for row in both.rows()] == [7]
    assert both.rows("owner", "nr") == [(1,)]
