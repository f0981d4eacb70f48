"""Measures commit at the source → visible at the target with a row of its own, through ordinary connections.

The clock starts just before the update is sent to commit and stops when the target's answer shows the value, so
one round trip to each database is in the figure: it is never too small.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

import psycopg

PROBE = "PROBE-LATENCY"
PAUSE_SECONDS = 0.001
GIVE_UP_SECONDS = 30.0


@dataclass(frozen=True)
class LatencyReport:
    """Milliseconds over the samples; `lost` were not seen within 30 s. All None when nothing was measured."""

    samples: int
    lost: int
    p50_ms: float | None
    p99_ms: float | None
    most_ms: float | None

    @classmethod
    def of(cls, seconds: Sequence[float], lost: int) -> LatencyReport:
        """From the measured seconds; percentiles are interpolated between samples."""
        if len(seconds) < 2:
            return cls(len(seconds), lost, None, None, None)
        cuts = quantiles(seconds, n=100, method="inclusive")
        return cls(len(seconds), lost, cuts[49] * 1000, cuts[98] * 1000, max(seconds) * 1000)


class LatencyProbe:
    """Updates one parcel `samples` times, `every` seconds apart or when the last was seen, in a thread of its own."""

    def __init__(self, source_dsn: str, target_dsn: str, every: float = 0.2, samples: int = 100) -> None:
        self._source_dsn, self._target_dsn = source_dsn, target_dsn
        self._every, self._samples = every, samples
        self._seconds: list[float] = []
        self._lost = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-latency-probe", daemon=True)
        self.failure: psycopg.Error | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> LatencyReport:
        """End and report. May be called again."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        return self.report()

    def report(self) -> LatencyReport:
        """The figures until now."""
        return LatencyReport.of(tuple(self._seconds), self._lost)

    def _run(self) -> None:
        try:
            with (
                psycopg.connect(self._source_dsn, autocommit=True, connect_timeout=3) as source,
                psycopg.connect(self._target_dsn, autocommit=True, connect_timeout=3) as target,
            ):
                self._measure(source, target)
        except psycopg.Error as error:
            self.failure = error

    def _measure(self, source: psycopg.Connection, target: psycopg.Connection) -> None:
        start = self._prepare(source)
        self._wait_visible(target, start)
        for sample in range(1, self._samples + 1):
            began = time.monotonic()
            source.execute("UPDATE parcel SET assessed_value = %s WHERE apn = %s", [start + sample, PROBE])
            if self._wait_visible(target, start + sample):
                self._seconds.append(time.monotonic() - began)
            elif not self._stop.is_set():
                self._lost += 1
            if self._stop.wait(max(0.0, began + self._every - time.monotonic())):
                return

    def _prepare(self, source: psycopg.Connection) -> int:
        """Make the probe's row, or find it; returns the value it has."""
        [(value,)] = source.execute(
            "INSERT INTO parcel (apn, owner_name, tax_area, assessed_value) VALUES (%s, 'latency probe', '0000', 0)"
            " ON CONFLICT (apn) DO UPDATE SET owner_name = excluded.owner_name RETURNING assessed_value::bigint",
            [PROBE],
        ).fetchall()
        return int(value)

    def _wait_visible(self, target: psycopg.Connection, value: int) -> bool:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline and not self._stop.is_set():
            row = target.execute(
                "SELECT assessed_value >= %s FROM cama.parcels WHERE parcel_number = %s", [value, PROBE]
            ).fetchone()
            if row is not None and row[0]:
                return True
            time.sleep(PAUSE_SECONDS)
        return False
