"""Progress of a running operation, written to the catalog now and then; the lease is kept alive on the way."""

from __future__ import annotations

import threading
import time

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
        self._cancelled = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"report-{operation.id[:8]}", daemon=True)

    def __enter__(self) -> OperationReport:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

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
        return self._cancelled.is_set()

    def stop(self) -> None:
        """Make `cancelled` true: this process is going down."""
        self._cancelled.set()

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._over.wait(EVERY_SECONDS):
            try:
                self._write()
                if time.monotonic() - renewed > RENEW_SECONDS:
                    if not self._catalog.renew_lease(
                        self._operation.id, self._owner, self._operation.lease_epoch, LEASE_SECONDS
                    ):
                        self._cancelled.set()
                    renewed = time.monotonic()
            except CatalogUnavailable:
                if time.monotonic() - renewed > LEASE_SECONDS:
                    self._cancelled.set()  # someone else may have taken the operation over

    def _write(self) -> None:
        epoch = self._operation.lease_epoch
        if (
            not self._catalog.set_progress(self._operation.id, epoch, self._phase, self._progress())
            or self._catalog.operation(self._operation.id).cancel_requested
        ):
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
