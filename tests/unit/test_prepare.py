"""From raw records to a batch: parking, dead letters, what is staged."""

from __future__ import annotations

from consumers.changes import SourcePosition
from syncservice.prepare import prepare
from syncservice.seen import SeenKeys
from syncservice.targets.base import Batch, ParkedKeys, union
from tests.histories import OWNER, PARCEL, PLANS, SCHEMAS
from tests.records import PLACEHOLDER, Log, Row, batch_of


def parcel(number: int, name: str | None = None) -> Row:
    return {"id": number, "name": name, "note": None, "tags": None, "area": 1}


def prepared(log: Log, parked: ParkedKeys | None = None) -> Batch:
    return prepare(batch_of({log.partition: log.records}), PLANS, parked or {}, SCHEMAS)


def letters(batch: Batch) -> list[tuple[int, str, str | None]]:
    return [(d.record.offset, d.code, d.key) for table in batch.tables for d in table.dead]


def test_tables_come_in_the_plans_order_whatever_the_batchs() -> None:
    parcels, owners = Log(PARCEL), Log(OWNER)
    parcels.upsert(parcel(1), "c")
    owners.upsert({"town": "x", "nr": 1, "name": None, "note": None}, "c")
    raw = batch_of({owners.partition: owners.records, parcels.partition: parcels.records})
    assert [t.plan.name for t in prepare(raw, PLANS, {}, SCHEMAS).tables] == ["cama.parcel", "cama.owner"]


def test_records_of_other_topics_are_left_alone_and_positions_move() -> None:
    log = Log(OWNER)
    log.raw(None, b"anything")
    batch = prepare(batch_of({log.partition: log.records}), PLANS[:1], {}, SCHEMAS)
    assert batch.tables == ()
    assert batch.next == {log.partition: 1}


def test_a_bad_record_parks_its_key_from_there_on() -> None:
    log = Log(PARCEL)
    log.upsert(parcel(1, "before"), "c")
    log.raw(b'{"id":1}', b"nonsense")
    log.upsert(parcel(1, "after"))
    log.upsert(parcel(2, "other"), "c")
    log.tombstone(parcel(1))
    batch = prepared(log)
    key = '{"id":1}'
    assert letters(batch) == [(1, "bad_magic", key), (2, "parked", key), (4, "parked", key)]
    assert batch.tables[0].changes["name"].to_list() == ["before", "other"]


def test_a_bad_record_alone_in_its_batch_has_its_key_all_the_same() -> None:
    log = Log(PARCEL)
    log.raw(b'{"id":1}', b"nonsense")
    batch = prepared(log)
    assert letters(batch) == [(0, "bad_magic", '{"id":1}')]
    assert (batch.tables[0].staged.rows, batch.tables[0].staged.payload) == (0, b"")


def test_a_bad_record_with_a_bad_key_parks_nothing() -> None:
    log = Log(PARCEL)
    log.raw(b"nonsense", b"nonsense")
    log.raw(None, PARCEL.value("d"))
    log.upsert(parcel(1), "c")
    assert letters(prepared(log)) == [(0, "bad_magic", None), (1, "bad_key", None)]


def test_a_parked_key_holds_everything_of_it() -> None:
    log = Log(PARCEL)
    log.upsert(parcel(1), "c")
    log.raw(b'{"id":1}', b"nonsense")
    log.delete(parcel(1))
    log.upsert(parcel(2), "c")
    batch = prepared(log, {"cama.parcel": frozenset(['{"id":1}']), "cama.owner": frozenset(['{"id":2}'])})
    assert sorted(code for _, code, _ in letters(batch)) == ["bad_magic", "parked", "parked", "parked"]
    assert batch.tables[0].changes["id"].to_list() == [2]


def test_a_dead_letter_knows_where_its_change_was_at_the_source() -> None:
    log = Log(PARCEL)
    log.upsert(parcel(1), "c")
    log.raw(b'{"id":1}', PARCEL.value("m", parcel(1), lsn=77, ts_ms=5))
    log.upsert(parcel(1), "u")
    dead = prepared(log).tables[0].dead
    assert dead[0].position == SourcePosition(77, 5, "806")
    assert dead[1].position is not None


def test_what_is_staged_is_the_last_change_of_each_key() -> None:
    log = Log(PARCEL)
    for number in range(5):
        log.upsert(parcel(1, str(number)))
    log.upsert(parcel(2) | {"note": PLACEHOLDER, "tags": [PLACEHOLDER]})
    (table,) = prepared(log).tables
    assert table.staged.rows == 2
    assert table.masks == ("note\x1ftags",)
    assert table.kinds == {"u"}
    assert len(table.records) == 6
    assert table.newest is not None
    assert table.newest.lsn == 1040


def test_tombstones_alone_still_fill_every_column() -> None:
    log = Log(PARCEL)
    log.tombstone(parcel(1))
    (table,) = prepared(log).tables
    assert [name for name, _ in table.staged.columns] == ["seq", "op", "mask", "c0", "c1", "c2", "c3", "c4"]
    assert table.kinds == {"d"}


def test_a_replay_marks_rows_with_new_keys() -> None:
    seen = SeenKeys()
    log = Log(PARCEL)
    log.upsert(parcel(1), "r")
    log.upsert(parcel(2), "r")
    raw = batch_of({log.partition: log.records})
    assert prepare(raw, PLANS, {}, SCHEMAS, seen.mark).tables[0].kinds == {"n"}
    assert prepare(raw, PLANS, {}, SCHEMAS, seen.mark).tables[0].kinds == {"u"}


def test_parked_keys_are_united_by_table() -> None:
    one, other = {"a": frozenset("x")}, {"a": frozenset("y"), "b": frozenset("z")}
    assert union(one, other) == {"a": frozenset("xy"), "b": frozenset("z")}
