"""How an operation tells how far it is, hears that it was cancelled, and learns that it is not its own any more."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from catalog.memory import MemoryCatalog
from catalog.records import OperationRecord
from catalog.specs import SecretRef, SyncPairSpec, SystemSpec, TableSpec
from syncservice import operation_report
from syncservice.operation_report import OperationReport


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_report, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(operation_report, "RENEW_SECONDS", 0.03)
    monkeypatch.setattr(operation_report, "LEASE_SECONDS", 0.3)


@pytest.fixture
def catalog() -> MemoryCatalog:
    catalog = MemoryCatalog()
    for name in ("pacs", "cama"):
        password = SecretRef(env="UNUSED")
        spec = SystemSpec(kind="postgresql", host="h", port=1, database="d", user="u", password=password)
        catalog.put_system(name, spec)
    table = TableSpec.model_validate({"from": "public.parcel", "to": "public.parcel"})
    catalog.put_pair("p", SyncPairSpec(source="pacs", target="cama", tables=(table,)))
    catalog.enqueue("p", "full", [], "someone")
    return catalog


def claimed(catalog: MemoryCatalog, owner: str = "one") -> OperationRecord:
    operation = catalog.claim_operation(owner, operation_report.LEASE_SECONDS)
    assert operation is not None
    return operation


def soon(happens: Callable[[], object], seconds: float = 3.0) -> bool:
    """Whether it comes true in time."""
    until = time.monotonic() + seconds
    while not happens() and time.monotonic() < until:
        time.sleep(0.005)
    return bool(happens())


def test_phase_and_rows_are_written_on_the_way(catalog: MemoryCatalog) -> None:
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        report.phase("replay", 100)
        report.done(30)
        report.done(10)
        assert soon(lambda: catalog.operation(operation.id).progress.get("rows_done") == 40)
        found = catalog.operation(operation.id)
        assert (found.phase, found.progress["rows_total"]) == ("replay", 100)
        assert found.progress["rows_per_s"] > 0
        assert found.progress["eta_s"] >= 0
        report.phase("indexes")
        assert soon(lambda: catalog.operation(operation.id).phase == "indexes")
        found = catalog.operation(operation.id)
        assert (found.progress["rows_done"], found.progress["rows_total"], found.progress["eta_s"]) == (0, None, None)  # fmt: skip
        assert not report.cancelled()


def test_the_last_phase_is_written_at_the_end(
    catalog: MemoryCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_report, "EVERY_SECONDS", 60)
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        report.phase("cut over", 7)
        report.done(7)
    found = catalog.operation(operation.id)
    assert (found.phase, found.progress["rows_done"]) == ("cut over", 7)


def test_a_person_cancels(catalog: MemoryCatalog) -> None:
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        catalog.request_cancel(operation.id)
        assert soon(report.cancelled)
        assert not report.interrupted
    assert not report.interrupted


def test_the_lease_is_kept_alive(catalog: MemoryCatalog) -> None:
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        time.sleep(0.6)  # twice the lease
        assert catalog.claim_operation("two", 1) is None
        assert not report.cancelled()


def test_a_lost_lease_interrupts(catalog: MemoryCatalog) -> None:
    """The process was stopped longer than its lease; another replica has taken the operation over."""
    operation = claimed(catalog)
    time.sleep(operation_report.LEASE_SECONDS + 0.02)
    assert catalog.claim_operation("two", 60) is not None
    with OperationReport(catalog, operation, "one") as report:
        report.phase("replay")
        assert soon(report.cancelled)
        assert report.interrupted
    assert catalog.operation(operation.id).phase == ""  # the other run's, and untouched
    assert catalog.operation(operation.id).lease_owner == "two"


def test_an_operation_that_was_ended_by_another_interrupts(catalog: MemoryCatalog) -> None:
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        catalog.finish_operation(operation.id, operation.lease_epoch, "failed", {}, None)
        assert soon(lambda: report.interrupted)


def test_a_catalog_that_is_down_for_less_than_the_lease_does_not_interrupt(catalog: MemoryCatalog) -> None:
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        report.phase("replay")
        catalog.unavailable = True
        time.sleep(0.1)
        catalog.unavailable = False
        assert soon(lambda: catalog.operation(operation.id).phase == "replay")
        assert not report.cancelled()


def test_a_catalog_that_is_down_for_longer_than_the_lease_interrupts(catalog: MemoryCatalog) -> None:
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        catalog.unavailable = True
        assert not report.cancelled()
        assert soon(report.cancelled)
        assert report.interrupted
    catalog.unavailable = False
    assert catalog.operation(operation.id).state == "running"  # another run's to end


def test_a_catalog_that_is_down_at_the_end_is_no_error(catalog: MemoryCatalog) -> None:
    with OperationReport(catalog, claimed(catalog), "one") as report:
        report.phase("replay")
        catalog.unavailable = True
    assert not report.interrupted


def test_a_process_that_goes_down_leaves_the_operation_to_another(catalog: MemoryCatalog) -> None:
    operation = claimed(catalog)
    with OperationReport(catalog, operation, "one") as report:
        report.stop()
        assert report.cancelled()
        assert report.interrupted
    assert catalog.operation(operation.id).state == "running"


def test_a_failure_to_write_is_tried_again(catalog: MemoryCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, failures = claimed(catalog), [ValueError("a fault of ours")]
    sound = catalog.set_progress

    def faulty(*values: object) -> bool:
        if failures:
            raise failures.pop()
        return sound(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(catalog, "set_progress", faulty)
    with OperationReport(catalog, operation, "one") as report:
        report.phase("replay")
        assert soon(lambda: catalog.operation(operation.id).phase == "replay")
        assert not report.cancelled()
