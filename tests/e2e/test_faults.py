"""Parts die in the middle of the live load; afterwards nothing is missing, nothing is there twice."""

from __future__ import annotations

import json
import time

import psycopg
import pytest

from terrafusion.demo.latency import LatencyProbe
from terrafusion.demo.manifests import PAIR

from .conftest import DemoStack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def assert_equal(stack: DemoStack) -> None:
    """The product's verification and the comparison without it find nothing."""
    stack.settle()
    verified = stack.verify()
    assert verified["equal"], json.dumps(verified, indent=1, default=str)
    assert stack.differing() == []


def test_live_changes_arrive(demo_stack: DemoStack) -> None:
    probe = LatencyProbe(demo_stack.source, demo_stack.target, every=0.1, samples=20)
    with demo_stack.live_load(rate=300, seed=11) as load:
        probe.start()
        time.sleep(6)
    latency = probe.stop()
    report = load.report()
    assert load.failure is None
    assert set(report.by_kind()) == {"insert", "update", "delete", "key change"}
    assert latency.samples > 0
    assert latency.lost == 0
    assert_equal(demo_stack)


def test_kill_9_of_syncservice_broker_and_connect(demo_stack: DemoStack) -> None:
    with demo_stack.live_load(seed=12) as load:
        time.sleep(3)
        old = demo_stack.kill("syncservice")
        eventually(
            lambda: demo_stack.pid("syncservice") not in (None, old),
            60,
            "the gateway brings SyncService back",
        )
        time.sleep(5)
        for part in ("broker", "connect"):
            demo_stack.kill(part)
            time.sleep(1)
            demo_stack.stack.up()
            time.sleep(5)
        assert load.failure is None
    assert load.report().events > 500
    assert_equal(demo_stack)


def test_full_sync_under_live_load(demo_stack: DemoStack) -> None:
    with demo_stack.live_load(seed=13):
        time.sleep(1)
        full = demo_stack.operation("full")
        time.sleep(1)
    assert {table["table"] for table in full.result["tables"]} == {
        "cama.owners", "cama.parcels", "cama.sales", "cama.permits",
    }  # fmt: skip
    assert_equal(demo_stack)


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("UPDATE cama.parcels SET owner = owner || ' (altered)' WHERE parcel_number = %s", "different"),
        ("UPDATE cama.parcels SET use_code = NULL WHERE parcel_number = %s", "different"),
        ("DELETE FROM cama.parcels WHERE parcel_number = %s", "missing"),
    ],
    ids=["altered", "nulled", "deleted"],
)
def test_a_row_altered_by_hand_is_named(demo_stack: DemoStack, change: str, count: str) -> None:
    demo_stack.settle()
    with psycopg.connect(demo_stack.target) as target:
        found = target.execute(
            "SELECT parcel_number FROM cama.parcels WHERE use_code IS NOT NULL AND parcel_number <> 'PROBE-LATENCY'"
            " ORDER BY parcel_number OFFSET 100 LIMIT 1"
        ).fetchone()
        assert found is not None
        assert target.execute(change.encode(), [found[0]]).rowcount == 1
    verified = demo_stack.verify()
    assert not verified["equal"]
    tables = {table["table"]: table for table in verified["tables"]}
    parcels = tables.pop("cama.parcels")
    assert {name: parcels[name] for name in ("missing", "extra", "different")} == {
        "missing": 0, "extra": 0, "different": 0, count: 1,
    }  # fmt: skip
    assert len(parcels["differences"]) == 1
    assert found[0] in json.dumps(parcels["differences"], default=str)
    assert all(table["missing"] == table["extra"] == table["different"] == 0 for table in tables.values())
    assert [table.differences for table in demo_stack.differing()] == [1]
    demo_stack.operation("full")
    assert_equal(demo_stack)


def test_the_pair_goes_and_leaves_nothing(demo_stack: DemoStack) -> None:
    """Last: the slot at the source is gone with the pair, and the pair can be made again."""
    demo_stack.demo.remove_earlier_pair()
    assert demo_stack.demo.product.pair(PAIR) is None
    with psycopg.connect(demo_stack.source) as source:
        assert source.execute("SELECT slot_name FROM pg_replication_slots").fetchall() == []
    demo_stack.demo.make_databases()
    demo_stack.demo.first_full_sync()
    assert_equal(demo_stack)
    assert (demo_stack.demo.home / "demo.yaml").exists()
