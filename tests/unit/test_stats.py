"""The live part of a pair's status."""

from __future__ import annotations

import time
from typing import Any

import pytest

from consumers.records import TopicPartition
from syncservice.prepare import prepare
from syncservice.table_stats import LATENCY_SECONDS, WINDOW_SECONDS, PairStats, TableStats, percentile
from syncservice.targets.base import Applied, Batch, Claim
from tests.histories import OWNER, PARCEL, PLANS, SCHEMAS
from tests.records import Log, batch_of

PARTITION = TopicPartition(PARCEL.topic, 0)


def batch(count: int, age: float = 0.0, start: int = 0) -> Batch:
    log = Log(PARCEL, next=start)
    ts_ms = int((time.time() - age) * 1000)
    for number in range(count):
        row = {"id": number, "name": None, "note": None, "tags": None, "area": 1}
        log.raw(PARCEL.key_of(row), PARCEL.value("c", row, ts_ms=ts_ms))
    return prepare(batch_of({PARTITION: log.records}, {PARTITION: start}), PLANS, {}, SCHEMAS)


def table(stats: PairStats, ends: dict[str, int], topic: str = PARCEL.topic) -> dict[str, Any]:
    found: dict[str, Any] = next(
        t for t in stats.report(ends, {PARCEL.topic: "running"})["tables"] if t["topic"] == topic
    )
    return found


def test_before_anything_is_known_nothing_is_claimed() -> None:
    stats = PairStats("p", PLANS)
    report = stats.report({}, {})
    assert (report["lag_records"], report["lag_seconds"], report["latency_p50_ms"]) == (0, None, None)
    assert {t["state"] for t in report["tables"]} == {"stopped"}
    assert {t["lag_records"] for t in report["tables"]} == {None}
    assert stats.offsets() == {}


def test_a_claim_gives_positions_and_parked_keys() -> None:
    stats = PairStats("p", PLANS)
    stats.claimed(Claim("live", {}, {PARTITION: 7}, {}, {"cama.parcel": frozenset(["k"])}))
    assert stats.offsets() == {PARCEL.topic: 7}
    assert table(stats, {PARCEL.topic: 10})["lag_records"] == 3
    assert table(stats, {})["parked_keys"] == 1
    assert table(stats, {}, OWNER.topic)["parked_keys"] == 0


def test_applied_batches_are_counted() -> None:
    stats = PairStats("p", PLANS)
    stats.applied(
        batch(3, age=5), Applied({"cama.parcel": 3}, {"cama.parcel": 2}, {"cama.parcel": frozenset("a")})
    )
    stats.applied(batch(2, age=5, start=3), Applied({"cama.parcel": 2}))
    shown = table(stats, {PARCEL.topic: 9})
    assert (shown["records"], shown["dead_letters"], shown["parked_keys"]) == (5, 2, 1)
    assert (shown["offset"], shown["end_offset"], shown["lag_records"]) == (5, 9, 4)
    assert shown["rows_per_s"] == 0.5
    assert shown["lag_seconds"] == pytest.approx(5, abs=1)
    assert shown["latency_p50_ms"] == pytest.approx(5000, abs=1000)
    assert shown["state"] == "running"


def test_what_has_caught_up_has_no_lag_however_old_its_last_change() -> None:
    stats = PairStats("p", PLANS)
    stats.applied(batch(3, age=500), Applied({"cama.parcel": 3}))
    report = stats.report({PARCEL.topic: 3}, {})
    assert (report["lag_records"], report["lag_seconds"]) == (0, 0.0)


def test_an_end_behind_the_position_is_no_negative_lag() -> None:
    stats = PairStats("p", PLANS)
    stats.applied(batch(3), Applied({"cama.parcel": 3}))
    assert table(stats, {PARCEL.topic: 1})["lag_records"] == 0


def test_the_rate_and_the_latencies_are_those_of_late() -> None:
    stats = TableStats(PLANS[0])
    stats.add(1000.0, 50, 999_000)
    assert stats.rate(1000.0) == 50 / WINDOW_SECONDS
    assert stats.rate(1001.0 + WINDOW_SECONDS) == 0
    assert stats.latencies_ms(1000.0) == [1000.0]
    assert stats.latencies_ms(1001.0 + LATENCY_SECONDS) == []


def test_a_source_clock_that_runs_ahead_gives_no_negative_latency() -> None:
    stats = TableStats(PLANS[0])
    stats.add(1000.0, 1, 2_000_000)
    assert stats.latencies_ms(1000.0) == [0.0]


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([], 0.5, None),
        ([3.0], 0.99, 3.0),
        ([4.0, 1.0, 2.0, 3.0], 0.5, 3.0),
        (list(map(float, range(100))), 0.99, 99.0),
    ],
)
def test_percentiles(values: list[float], share: float, wanted: float | None) -> None:
    assert percentile(values, share) == wanted
