"""From raw records to a batch that can be applied: decode, park, compact, encode. No I/O but the schema lookup."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from consumers.changes import (
    Bad,
    Changes,
    KeyShape,
    SchemaLookup,
    SourcePosition,
    read_changes,
    source_position,
)
from consumers.decode import schema_id_of
from consumers.errors import BadRecord, UnsupportedSchema
from consumers.records import RawBatch, RawRecord, TopicPartition
from consumers.schema import WriterSchema
from schemas.registry import UnknownSchema
from syncservice.compact import MASK, OFFSET, OP, last_per_key, with_masks
from syncservice.plan import TablePlan
from syncservice.targets.base import Batch, DeadLetter, ParkedKeys, TableBatch
from syncservice.targets.direct import direct
from syncservice.targets.keys import key_texts
from syncservice.targets.staging import Staged, stage

Classify = Callable[[pl.DataFrame, tuple[str, ...]], pl.DataFrame]


def prepare(
    raw: RawBatch,
    plans: Sequence[TablePlan],
    parked: ParkedKeys,
    schemas: SchemaLookup,
    classify: Classify | None = None,
) -> Batch:
    """Prepare a raw batch for the tables of an apply group, in the order of `plans` (parents first).

    `classify(changes, key)` may turn upserts ("u") into inserts of new keys ("n"). Raises UnsupportedSchema and the registry's errors; whatever is wrong with single records becomes a
    dead letter inside the batch.
    """
    tables = [
        prepare_table(plan, partition, records, parked, schemas, classify)
        for plan in plans
        for partition, records in raw.records.items()
        if partition.topic == plan.topic
    ]
    return Batch(tuple(tables), raw.start, raw.next, raw, parked)


def prepare_table(
    plan: TablePlan,
    partition: TopicPartition,
    records: Sequence[RawRecord],
    parked: ParkedKeys,
    schemas: SchemaLookup,
    classify: Classify | None = None,
) -> TableBatch:
    """One table's share of a batch."""
    changes = read_changes(plan.topic, records, plan.wanted, schemas)
    frame, dead = _park(plan, partition, changes, parked.get(plan.name, frozenset()), records, schemas)
    if not frame.height:
        empty = pl.DataFrame(schema={OFFSET: pl.Int64, OP: pl.String, MASK: pl.String})
        return TableBatch(
            plan, partition, empty, empty, Staged((), b"", 0), (), records, None, tuple(dead), changes.newest
        )
    history = with_masks(_complete(plan, frame), plan.source_key)
    frame = last_per_key(history, plan.source_key)
    if classify is not None:
        frame = classify(frame, plan.source_key)
    masks = tuple(mask for mask in frame[MASK].unique() if mask)
    new = frame.filter(pl.col(OP) == "n")
    straight = direct(plan, new) if new.height else None
    staged = stage(plan, frame if straight is None else frame.filter(pl.col(OP) != "n"))
    return TableBatch(
        plan, partition, frame, history, staged, masks, records, straight, tuple(dead), changes.newest
    )


def _complete(plan: TablePlan, frame: pl.DataFrame) -> pl.DataFrame:
    """With every column of the plan: a batch of deletes alone has key columns only."""
    missing = [c.source for c in plan.columns if c.source not in frame.columns]
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in missing)


def _park(
    plan: TablePlan,
    partition: TopicPartition,
    changes: Changes,
    parked: frozenset[str],
    records: Sequence[RawRecord],
    schemas: SchemaLookup,
) -> tuple[pl.DataFrame, list[DeadLetter]]:
    """Dead letters: what cannot be decoded, and every later change of a key that has a dead letter."""
    dead = [_letter(plan, partition, bad, records, schemas) for bad in changes.bad]
    since = dict.fromkeys(parked, -1)
    for letter in sorted(dead, key=lambda d: d.record.offset, reverse=True):
        if letter.key is not None and letter.key not in parked:
            since[letter.key] = letter.record.offset
    if not since or not changes.frame.height:
        return changes.frame, dead
    keys = key_texts(plan, changes.frame)
    held = [
        key in since and since[key] < offset for key, offset in zip(keys, changes.frame[OFFSET], strict=True)
    ]
    by_offset = {record.offset: record for record in records}
    for key, offset, hold in zip(keys, changes.frame[OFFSET], held, strict=True):
        if hold:
            reason = "an earlier event of this key is a dead letter; this one waits behind it"
            record = by_offset[offset]
            dead.append(
                DeadLetter(partition, record, plan.name, key, "parked", reason, _position(record, schemas))
            )
    return changes.frame.filter(~pl.Series(held, dtype=pl.Boolean)), dead


def _letter(
    plan: TablePlan, partition: TopicPartition, bad: Bad, records: Sequence[RawRecord], schemas: SchemaLookup
) -> DeadLetter:
    key = _key_of(plan, bad.record, records, schemas)
    return DeadLetter(
        partition,
        bad.record,
        plan.name,
        key,
        bad.error.code,
        bad.error.reason,
        _position(bad.record, schemas),
    )


def _key_of(
    plan: TablePlan, record: RawRecord, records: Sequence[RawRecord], schemas: SchemaLookup
) -> str | None:
    """The logical key of a bad record: the same in whatever batch it comes (invariant of the parked keys)."""
    try:
        shape = KeyShape(_some_schema(plan, records, schemas), plan.source_key)
        return key_texts(plan, shape.frame([record.key]))[0]
    except (BadRecord, UnsupportedSchema, UnknownSchema, pl.exceptions.PolarsError, TypeError, OverflowError):
        return None


def _some_schema(plan: TablePlan, records: Sequence[RawRecord], schemas: SchemaLookup) -> WriterSchema:
    """A schema of the batch, else the topic's newest."""
    for record in records:
        try:
            if record.value is not None:
                return schemas(schema_id_of(record.value))
        except BadRecord:
            continue
    return schemas.latest(plan.topic)


def _position(record: RawRecord, schemas: SchemaLookup) -> SourcePosition | None:
    try:
        return source_position(record.value, schemas(schema_id_of(record.value))) if record.value else None
    except BadRecord:
        return None
