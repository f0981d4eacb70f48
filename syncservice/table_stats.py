"""What an apply group has done lately, per table: the live part of a pair's status."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consumers.records import TopicPartition
from syncservice import metrics
from syncservice.plan import TablePlan
from syncservice.targets.base import Applied, Batch, Claim

SAMPLES = 1000
WINDOW_SECONDS = 10.0
LATENCY_SECONDS = 60.0


@dataclass
class TableStats:
    """Counters of one table since this process began applying it."""

    plan: TablePlan
    records: int = 0
    dead_letters: int = 0
    parked: frozenset[str] = frozenset()
    next_offset: int | None = None
    applied_at: float | None = None
    source_ms: int | None = None
    latencies: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    recent: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, now: float, records: int, source_ms: int | None) -> None:
        """Count a batch that was committed at `now` (seconds since 1970)."""
        self.records += records
        self.applied_at = now
        self.recent.append((now, records))
        if source_ms is not None:
            self.source_ms = source_ms
            self.latencies.append((now, max(0.0, now * 1000 - source_ms)))

    def latencies_ms(self, now: float) -> list[float]:
        """Source commit → applied of the batches of the last LATENCY_SECONDS, in milliseconds."""
        return [ms for at, ms in self.latencies if at > now - LATENCY_SECONDS]

    def rate(self, now: float) -> float:
        """Records a second over the last WINDOW_SECONDS."""
        while self.recent and self.recent[0][0] < now - WINDOW_SECONDS:
            self.recent.popleft()
        return sum(count for _, count in self.recent) / WINDOW_SECONDS


class PairStats:
    """Observer of all apply groups of a pair (pipeline.Observer), and their report."""

    def __init__(self, pair: str, plans: Sequence[TablePlan]) -> None:
        self._pair = pair
        self._lock = threading.Lock()
        self._by_topic = {plan.topic: TableStats(plan) for plan in plans}

    def claimed(self, claim: Claim) -> None:
        """See pipeline.Observer."""
        with self._lock:
            self._positions(claim.next)
            for stats in self._by_topic.values():
                stats.parked = claim.parked.get(stats.plan.name, frozenset())

    def applied(self, batch: Batch, applied: Applied) -> None:
        """See pipeline.Observer."""
        now = time.time()
        metrics.APPLY_SECONDS.labels(self._pair).observe(applied.seconds)
        with self._lock:
            self._positions(batch.next)
            for table in batch.tables:
                stats = self._by_topic[table.plan.topic]
                stats.add(now, len(table.records), table.newest.ts_ms if table.newest else None)
                letters = applied.dead_letters.get(table.plan.name, 0)
                stats.dead_letters += letters
                stats.parked |= applied.newly_parked.get(table.plan.name, frozenset())
                metrics.RECORDS.labels(self._pair, table.plan.name, "change").inc(len(table.records))
                if letters:
                    metrics.DEAD_LETTERS.labels(self._pair, table.plan.name, "apply").inc(letters)

    def _positions(self, positions: Mapping[TopicPartition, int]) -> None:
        for partition, offset in positions.items():
            if partition.topic in self._by_topic:
                self._by_topic[partition.topic].next_offset = offset

    def offsets(self) -> dict[str, int]:
        """Topic → next offset to apply, of the tables that have one."""
        with self._lock:
            return {t: s.next_offset for t, s in self._by_topic.items() if s.next_offset is not None}

    def report(self, ends: Mapping[str, int], states: Mapping[str, str]) -> dict[str, Any]:
        """The `tables` part of a pair's status, and its totals. `states`: topic → state of its group."""
        now = time.time()
        with self._lock:
            tables = [
                self._table(s, ends.get(t), states.get(t, "stopped"), now) for t, s in self._by_topic.items()
            ]
            latencies = [ms for s in self._by_topic.values() for ms in s.latencies_ms(now)]
        lags = [t["lag_seconds"] for t in tables if t["lag_seconds"] is not None]
        return {
            "tables": tables,
            "lag_records": sum(t["lag_records"] or 0 for t in tables),
            "lag_seconds": max(lags) if lags else None,
            "latency_p50_ms": percentile(latencies, 0.5),
            "latency_p99_ms": percentile(latencies, 0.99),
        }

    def _table(self, stats: TableStats, end: int | None, state: str, now: float) -> dict[str, Any]:
        known = end is not None and stats.next_offset is not None
        behind = max(0, (end or 0) - (stats.next_offset or 0)) if known else None
        lag = (
            0.0
            if behind == 0
            else None
            if stats.source_ms is None
            else max(0.0, now - stats.source_ms / 1000)
        )
        metrics.LAG_RECORDS.labels(self._pair, stats.plan.name).set(behind or 0)
        if lag is not None:
            metrics.LAG_SECONDS.labels(self._pair, stats.plan.name, "total").set(lag)
            metrics.FRESHNESS.labels(self._pair, stats.plan.name).set(lag)
        return {
            "table": stats.plan.name,
            "topic": stats.plan.topic,
            "state": state,
            "records": stats.records,
            "rows_per_s": round(stats.rate(now), 1),
            "lag_records": behind,
            "lag_seconds": None if lag is None else round(lag, 3),
            "applied_at": stats.applied_at,
            "source_ts": stats.source_ms,
            "offset": stats.next_offset,
            "end_offset": end,
            "latency_p50_ms": percentile(stats.latencies_ms(now), 0.5),
            "latency_p99_ms": percentile(stats.latencies_ms(now), 0.99),
            "dead_letters": stats.dead_letters,
            "parked_keys": len(stats.parked),
        }


def percentile(values: Sequence[float] | deque[float], share: float) -> float | None:
    """The value below which `share` of the values lie; None without values."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
