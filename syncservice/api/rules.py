"""Rules between sync pairs: what no single manifest and no database can show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalog.manifest import ManifestProblem, SyncPairSpec
from catalog.records import PairRecord, SystemRecord

Place = tuple[str, int, str]


def problems_between(
    name: str, spec: SyncPairSpec, systems: Sequence[SystemRecord], pairs: Sequence[PairRecord]
) -> list[ManifestProblem]:
    """What forbids the pair `name` beside the others: unknown systems, a cycle, a target table that another pair
    writes, or another source or target than the pair had. Two names for one database count as one system."""
    places = {record.name: _place(record) for record in systems}
    unknown = [
        ManifestProblem(f"spec.{field}", "is an unknown system; apply it first", ", ".join(sorted(places)))
        for field in ("source", "target")
        if getattr(spec, field) not in places
    ]
    if unknown:
        return unknown
    others = [pair for pair in pairs if pair.name != name]
    return [
        *_moved(spec, [pair for pair in pairs if pair.name == name]),
        *_cycle(spec, others, places),
        *_taken_tables(spec, others, places),
    ]


def _place(record: SystemRecord) -> Place:
    return (record.spec.host.lower(), record.spec.port, record.spec.database)


def _moved(spec: SyncPairSpec, existing: Sequence[PairRecord]) -> Iterator[ManifestProblem]:
    for pair in existing:
        for field in ("source", "target"):
            old = getattr(pair.spec, field)
            if getattr(spec, field) != old:
                yield ManifestProblem(
                    f"spec.{field}", "cannot be changed; delete the pair and apply it again", old
                )


def _cycle(
    spec: SyncPairSpec, others: Sequence[PairRecord], places: dict[str, Place]
) -> Iterator[ManifestProblem]:
    """A way back from the target to the source through other pairs."""
    start, goal = places[spec.target], places[spec.source]
    if start == goal:
        yield ManifestProblem("spec.target", "is the same database as the source", "another database")
        return
    reached: dict[Place, tuple[str, ...]] = {start: ()}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for pair in others:
            there = places.get(pair.spec.target)
            if places.get(pair.spec.source) == here and there is not None and there not in reached:
                reached[there] = (*reached[here], pair.name)
                waiting.append(there)
    if goal in reached:
        way = ", ".join(reached[goal])
        yield ManifestProblem(
            "spec.target", f"makes a cycle with {way}: changes would run in circles", "no way back"
        )


def _taken_tables(
    spec: SyncPairSpec, others: Sequence[PairRecord], places: dict[str, Place]
) -> Iterator[ManifestProblem]:
    target = places[spec.target]
    writers = {
        table.to: pair.name
        for pair in others
        if places.get(pair.spec.target) == target
        for table in pair.spec.tables
    }
    for index, table in enumerate(spec.tables):
        if table.to in writers:
            yield ManifestProblem(
                f"spec.tables[{index}].to",
                f"is already written by sync pair {writers[table.to]}",
                "one pair a table",
            )
