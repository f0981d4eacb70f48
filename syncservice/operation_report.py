"""Progress of a running operation, written to the catalog now and then; the lease is kept alive on the way."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import structlog

from catalog.errors import CatalogUnavailable
from catalog.protocol import CatalogStore
from catalog.records import Json, OperationRecord

log = structlog.get_logger(__name__)
LEASE_SECONDS = 30.0
EVERY_SECONDS = 0.5
RENEW_SECONDS = 8.0


class OperationReport:
    """A catch_up.Report over the catalog. A thread of its own writes, so that `done` never waits."""

    def __init__(self, catalog: CatalogStore, operation: OperationRecord, owner: str) -> None:
        self._catalog, self._operation, self._owner = catalog, operation, owner
        self._phase, self._rows = "starting", 0
        self._total: int | None = None
        self._phase_began = time.monotonic()
        self._cancelled = threading.Event()  # a person asked
        self._interrupted = threading.Event()  # the process stops, or the lease is lost
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"report-{operation.id[:8]}", daemon=True)

    def __enter__(self) -> OperationReport:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if not self._interrupted.is_set():
            with suppress(CatalogUnavailable):
                self._write()  # the last phase, as it ended

    def phase(self, name: str, total: int | None = None) -> None:
        """See catch_up.Report."""
        log.info(
            "operation", operation=self._operation.id, pair=self._operation.pair, phase=name, rows_total=total
        )
        self._phase, self._total, self._rows, self._phase_began = name, total, 0, time.monotonic()

    def done(self, rows: int) -> None:
        """See catch_up.Report."""
        self._rows += rows

    def cancelled(self) -> bool:
        """See catch_up.Report."""
        return self._cancelled.is_set() or self._interrupted.is_set()

    def stop(self) -> None:
        """Make `cancelled` true without ending the operation: this process goes down, another run takes it over."""
        self._interrupted.set()

    @property
    def interrupted(self) -> bool:
        """Whether the operation is not ours any more, or will not be: its outcome is another run's to write."""
        return self._interrupted.is_set()

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._over.wait(EVERY_SECONDS):
            try:
                self._write()
                if time.monotonic() - renewed > RENEW_SECONDS:
                    self._renew()
                    renewed = time.monotonic()
            except CatalogUnavailable:
                if time.monotonic() - renewed > LEASE_SECONDS:
                    self._interrupted.set()  # someone else may have taken the operation over
            except Exception:
                log.exception("progress not written", operation=self._operation.id)

    def _renew(self) -> None:
        operation = self._operation
        if not self._catalog.renew_lease(operation.id, self._owner, operation.lease_epoch, LEASE_SECONDS):
            self._interrupted.set()

    def _write(self) -> None:
        operation = self._operation
        if not self._catalog.set_progress(operation.id, operation.lease_epoch, self._phase, self._progress()):
            self._interrupted.set()
        elif self._catalog.operation(operation.id).cancel_requested:
            self._cancelled.set()

    def _progress(self) -> Json:
        seconds = max(0.001, time.monotonic() - self._phase_began)
        rate = self._rows / seconds
        left = None if self._total is None or rate == 0 else max(0, self._total - self._rows) / rate
        return {
            "rows_done": self._rows,
            "rows_total": self._total,
            "rows_per_s": round(rate, 1),
            "eta_s": None if left is None else round(left, 1),
        }
