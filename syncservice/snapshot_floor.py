"""The source position of the connector's last snapshot.

A snapshot that was interrupted is taken again from the start. The rows of the first attempt stay in the topics, and
those that were deleted at the source in between have no delete: nothing from before the last attempt may be replayed.
All rows of one attempt carry one LSN, and the snapshot's rows come before every other record of a topic, so the last of
them is found by halving, in all topics at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from consumers.changes import SchemaLookup, op_and_source
from consumers.records import RawRecord, TopicPartition
from consumers.source import EventSource

POLL_SECONDS = 1.0


def snapshot_floor(
    source: EventSource,
    starts: Mapping[str, int],
    ends: Mapping[str, int],
    schemas: SchemaLookup,
    go_on: Callable[[], None] = lambda: None,
) -> int:
    """The highest LSN of a snapshot's row in any topic; 0 where there is none.

    `go_on` is called between reads and may raise. Raises what the source and the registry raise.
    """
    floor = 0
    open_ = {TopicPartition(t, 0): (starts[t], ends[t]) for t in ends if starts[t] < ends[t]}
    while open_:
        middles = {partition: (low + high) // 2 for partition, (low, high) in open_.items()}
        found = _first_records(source, middles, ends, go_on)
        for partition, (low, high) in list(open_.items()):
            record = found.get(partition)
            lsn = None if record is None else _snapshot_lsn(record, schemas)
            if record is not None and lsn is not None:
                floor = max(floor, lsn)
                open_[partition] = (record.offset + 1, high)
            else:
                open_[partition] = (low, middles[partition])
            if open_[partition][0] >= open_[partition][1]:
                del open_[partition]
    return floor


def _first_records(
    source: EventSource,
    positions: Mapping[TopicPartition, int],
    ends: Mapping[str, int],
    go_on: Callable[[], None],
) -> dict[TopicPartition, RawRecord]:
    """The first record at or behind each position; none where only the topic's end follows."""
    source.seek(positions)
    found: dict[TopicPartition, RawRecord] = {}
    done: set[TopicPartition] = set()
    while done != set(positions):
        go_on()
        raw = source.poll(POLL_SECONDS, 1000)
        if raw is None:
            continue
        for partition, records in raw.records.items():
            if partition in positions and partition not in done and records:
                done.add(partition)
                if records[0].offset < ends[partition.topic]:
                    found[partition] = records[0]
        done |= raw.ends & set(positions)
    return found


def _snapshot_lsn(record: RawRecord, schemas: SchemaLookup) -> int | None:
    """The LSN of a row that a snapshot read; None for any other record."""
    found = op_and_source(record, schemas)
    if found is None or found[0] != "r" or found[1].get("snapshot") == "incremental":
        return None
    lsn = found[1].get("lsn")
    return int(lsn) if lsn is not None else None
