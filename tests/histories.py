"""Random histories of changes over two tables, and a model that applies them one event at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from consumers.records import RawRecord, TopicPartition
from syncservice.plan import TablePlan
from syncservice.targets.memory import MemoryDatabase, Rows
from tests.records import PLACEHOLDER, Col, Log, Row, Writer, registry

PARCEL = Writer(
    11,
    (
        Col("id", "int", "integer", nullable=False),
        Col("name"),
        Col("note"),
        Col("tags", {"type": "array", "items": ["null", "string"]}, "text[]"),
        Col("area", "long", "bigint", nullable=False),
    ),
)
OWNER = Writer(
    12,
    (
        Col("town", "string", "text", nullable=False),
        Col("nr", "long", "bigint", nullable=False),
        Col("name"),
        Col("note", "bytes", "bytea"),
    ),
    ("town", "nr"),
    "owner",
)
WRITERS = {"parcel": PARCEL, "owner": OWNER}
SCHEMAS = registry(PARCEL, OWNER)
PLANS: tuple[TablePlan, ...] = (PARCEL.plan(), OWNER.plan())
TOPIC_IDS = {PARCEL.topic: "id-parcel", OWNER.topic: "id-owner"}
HIDDEN: dict[str, Row] = {
    "parcel": {"note": PLACEHOLDER, "tags": [PLACEHOLDER]},
    "owner": {"note": PLACEHOLDER.encode()},
}
_KEYS: dict[str, list[Row]] = {
    "parcel": [{"id": n} for n in range(1, 6)],
    "owner": [{"town": t, "nr": n} for t in ("Ä", 'b"') for n in (1, 2)],
}
_VALUES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "parcel": {
        "name": st.none() | st.sampled_from(["", "a", "\\N", "Straße"]),
        "note": st.none() | st.sampled_from(["n1", "n2"]),
        "tags": st.none() | st.lists(st.none() | st.sampled_from(["x", "y"]), max_size=2),
        "area": st.integers(0, 3),
    },
    "owner": {
        "name": st.none() | st.sampled_from(["", "a"]),
        "note": st.none() | st.sampled_from([b"", b"\x00\xff"]),
    },
}
JUNK = ("bad_magic", "empty", "truncated", "bad_avro", "unexpected_op", "bad_key")


@dataclass
class Model:
    """What one event at a time leaves: rows, dead letters by offset, parked keys."""

    rows: dict[str, Rows] = field(default_factory=lambda: {"cama.parcel": {}, "cama.owner": {}})
    letters: dict[tuple[str, int], str] = field(default_factory=dict)
    parked: dict[str, set[str]] = field(default_factory=dict)

    def event(
        self, writer: Writer, record: RawRecord, key: Row, row: Row | None, hidden: bool = False
    ) -> None:
        """An upsert of `row` (`hidden`: without the values TOAST leaves out), or a delete."""
        table, text = f"cama.{writer.table}", json.dumps(key, separators=(",", ":"), ensure_ascii=False)
        if text in self.parked.get(table, ()):
            self.letters[writer.topic, record.offset] = "parked"
        elif row is None:
            self.rows[table].pop(tuple(key.values()), None)
        else:
            kept = self.rows[table].get(tuple(key.values()), {}) if hidden else {}
            gone = HIDDEN[writer.table] if hidden else {}
            self.rows[table][tuple(key.values())] = kept | {k: v for k, v in row.items() if k not in gone}

    def junk(self, writer: Writer, record: RawRecord, key: Row | None, code: str) -> None:
        """An event that cannot be read; `key` None when its key cannot be read either."""
        self.letters[writer.topic, record.offset] = code
        if key is not None:
            text = json.dumps(key, separators=(",", ":"), ensure_ascii=False)
            self.parked.setdefault(f"cama.{writer.table}", set()).add(text)


@dataclass
class History:
    """The logs, what the source holds, and what the model makes of it."""

    logs: dict[str, Log] = field(default_factory=lambda: {name: Log(w) for name, w in WRITERS.items()})
    source: dict[str, Rows] = field(default_factory=lambda: {name: {} for name in WRITERS})
    model: Model = field(default_factory=Model)

    @property
    def records(self) -> dict[TopicPartition, list[RawRecord]]:
        """The topics."""
        return {log.partition: log.records for log in self.logs.values()}

    @property
    def ends(self) -> dict[TopicPartition, int]:
        """Behind the last record of each topic that has one."""
        return {log.partition: log.records[-1].offset + 1 for log in self.logs.values() if log.records}

    def put(self, table: str, key: Row, values: Row) -> None:
        """A create, or an update of all columns."""
        before = self.source[table].get(tuple(key.values()))
        self._upsert(table, key, key | values, "u" if before else "c", before)

    def touch(self, table: str, key: Row, values: Row) -> None:
        """An update that leaves out the values stored by TOAST; of a missing row: a create."""
        before = self.source[table].get(tuple(key.values()))
        if before is None:
            return self.put(table, key, values)
        hidden = HIDDEN[table]
        row = key | values | {name: before[name] for name in hidden}
        record = self.logs[table].upsert(row | hidden, "u", before)
        self.source[table][tuple(key.values())] = row
        return self.model.event(WRITERS[table], record, key, row, hidden=True)

    def delete(self, table: str, key: Row, values: Row) -> None:
        """A delete with its tombstone, whether the row is there or not."""
        self.source[table].pop(tuple(key.values()), None)
        log = self.logs[table]
        self.model.event(WRITERS[table], log.delete(key | values, tombstone=False), key, None)
        self.tombstone(table, key, values)

    def tombstone(self, table: str, key: Row, _: Row) -> None:
        """A bare tombstone is a delete, too."""
        self.source[table].pop(tuple(key.values()), None)
        self.model.event(WRITERS[table], self.logs[table].tombstone(key), key, None)

    def move(self, table: str, key: Row, values: Row) -> None:
        """The row of `key` takes the next free key: delete, tombstone, create."""
        row = self.source[table].get(tuple(key.values()))
        free = [k for k in _KEYS[table] if tuple(k.values()) not in self.source[table]]
        if row is None or not free:
            return self.put(table, key, values)
        self.delete(table, key, {k: v for k, v in row.items() if k not in key})
        return self._upsert(table, free[0], row | free[0], "c", None)

    def gap(self, table: str, _: Row, __: Row) -> None:
        """Offsets without a record."""
        self.logs[table].gap()

    def junk(self, table: str, key: Row, values: Row, code: str) -> None:
        """Something that no decoder reads."""
        writer, log = WRITERS[table], self.logs[table]
        sound, text = writer.value("u", key | values), writer.key_of(key)
        if code == "bad_key":
            record = log.raw(b'{"other":1}', writer.value("d", None, key | values))
            return self.model.junk(writer, record, None, code)
        value = {
            "bad_magic": b"{" + sound[1:],
            "empty": b"",
            "truncated": sound[:3],
            "bad_avro": sound[:-9],
            "unexpected_op": writer.value("m", key | values),
        }[code]
        return self.model.junk(writer, log.raw(text, value), key, "truncated" if code == "empty" else code)

    def _upsert(self, table: str, key: Row, row: Row, op: str, before: Row | None) -> None:
        record = self.logs[table].upsert(row, op, before)
        self.source[table][tuple(key.values())] = row
        self.model.event(WRITERS[table], record, key, row)


_STEPS = ("put", "put", "touch", "touch", "delete", "tombstone", "move", "gap")


@st.composite
def histories(draw: st.DrawFn, junk: Sequence[str] = (), most: int = 40) -> History:
    """A history of up to `most` steps; `junk` names what unreadable events may come in it."""
    history = History()
    for _ in range(draw(st.integers(1, most))):
        table = draw(st.sampled_from(["parcel", "owner"]))
        key = draw(st.sampled_from(_KEYS[table]))
        values = draw(st.fixed_dictionaries(_VALUES[table]))
        step = draw(st.sampled_from([*_STEPS, *junk]))
        if step in junk:
            history.junk(table, key, values, step)
        else:
            getattr(history, step)(table, key, values)
    return history


def database() -> MemoryDatabase:
    """A target that a full sync has just left at the start of both topics."""
    fresh = MemoryDatabase()
    fresh.begin(TOPIC_IDS, {TopicPartition(topic, 0): 0 for topic in TOPIC_IDS})
    return fresh


def check(found: MemoryDatabase, history: History) -> None:
    """The target is what the model is: rows, offsets, dead letters, parked keys."""
    rows = {table: found.rows.get(table, {}) for table in history.model.rows}
    assert rows == history.model.rows
    assert {tp: found.offsets[tp].next for tp in history.ends} == history.ends
    by_topic = {topic: name for name, topic in TOPIC_IDS.items()}
    letters = {
        (by_topic[topic_id], offset): letter.code for (topic_id, _, offset), letter in found.letters.items()
    }
    assert letters == history.model.letters
    assert {t: set(keys) for t, keys in found.parked.items()} == history.model.parked
