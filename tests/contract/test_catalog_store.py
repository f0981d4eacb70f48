"""What every catalog store promises; runs against PostgreSQL and against the twin in memory."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from catalog.errors import CatalogUnavailable, Conflict, NotFound, VersionMismatch
from catalog.manifest import SecretRef, SyncPairSpec, SystemSpec, TableSpec
from catalog.memory import MemoryCatalog
from catalog.protocol import CatalogStore
from catalog.records import OperationMetric, SourceRecord
from catalog.store import Catalog
from tests.databases import scratch_dsn

PACS = SystemSpec(
    kind="postgresql", host="localhost", database="pacs", user="cdc", password=SecretRef(env="PACS_PASSWORD")
)
CAMA = PACS.model_copy(update={"database": "cama"})
PAIR = SyncPairSpec(
    source="pacs", target="cama", tables=(TableSpec(from_="public.parcel", to="cama.parcels"),)
)


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A new database on a real server."""
    with scratch_dsn() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def migrated(postgres_dsn: str) -> Iterator[Catalog]:
    """A migrated catalog; migrated by three at once, since replicas start together."""
    catalog = Catalog(postgres_dsn)
    starters = [threading.Thread(target=Catalog(postgres_dsn).migrate) for _ in range(3)]
    for thread in starters:
        thread.start()
    for thread in starters:
        thread.join()
    yield catalog
    catalog.close()


TABLES = "source, sync_pair, system, generation, operation, operation_metric, error, api_key, pair_metric"


@pytest.fixture(params=["memory", "postgresql"])
def store(request: pytest.FixtureRequest) -> CatalogStore:
    """An empty store of each kind."""
    if request.param == "memory":
        return MemoryCatalog()
    catalog: Catalog = request.getfixturevalue("migrated")
    dsn: str = request.getfixturevalue("postgres_dsn")
    truncate = f"SET search_path = catalog; TRUNCATE {TABLES} CASCADE"
    import psycopg

    with psycopg.connect(dsn) as connection:
        connection.execute(truncate)
    return catalog


@pytest.fixture
def pair(store: CatalogStore) -> str:
    """A pair named pacs-to-cama."""
    store.put_system("pacs", PACS)
    store.put_system("cama", CAMA)
    return store.put_pair("pacs-to-cama", PAIR).name


def test_a_system_is_created_replaced_and_left_alone(store: CatalogStore) -> None:
    created = store.put_system("pacs", PACS)
    assert (created.version, created.spec) == (1, PACS)
    assert store.put_system("pacs", PACS) == created
    changed = store.put_system("pacs", CAMA, if_version=1)
    assert (changed.version, changed.spec.database) == (2, "cama")
    assert changed.updated_at >= created.updated_at
    assert [record.name for record in store.systems()] == ["pacs"]


def test_a_stale_version_is_refused(store: CatalogStore, pair: str) -> None:
    with pytest.raises(VersionMismatch, match="at version 1"):
        store.put_system("pacs", CAMA, if_version=7)
    with pytest.raises(VersionMismatch):
        store.put_system("pacs", CAMA, if_version=0)
    with pytest.raises(VersionMismatch, match="does not exist"):
        store.put_system("gis", CAMA, if_version=1)
    with pytest.raises(VersionMismatch):
        store.put_pair(pair, PAIR, if_version=2)
    assert store.put_system("gis", CAMA, if_version=0).version == 1


def test_a_system_in_use_is_not_deleted(store: CatalogStore, pair: str) -> None:
    with pytest.raises(Conflict, match="pacs-to-cama"):
        store.delete_system("cama")
    store.forget_pair(pair)
    store.delete_system("cama")
    with pytest.raises(NotFound):
        store.system("cama")
    with pytest.raises(NotFound):
        store.delete_system("cama")


def source(generation: int = 1) -> SourceRecord:
    return SourceRecord(
        "pacs",
        generation,
        "pacs-1",
        "tf_pacs_1",
        "tf_pacs",
        "__x__",
        {"public.parcel": {"since": "initial"}},
        "ok",
    )


def test_sources_come_and_go_but_generations_only_grow(store: CatalogStore) -> None:
    with pytest.raises(NotFound):
        store.put_source(source())
    store.put_system("pacs", PACS)
    assert store.next_generation("pacs") == 1
    kept = store.put_source(source())
    assert kept.captured == {"public.parcel": {"since": "initial"}}
    assert kept.updated_at is not None
    assert store.sources() == [store.source("pacs")]
    with pytest.raises(Conflict, match="connector"):
        store.delete_system("pacs")
    store.forget_source("pacs")
    store.forget_source("pacs")
    with pytest.raises(NotFound):
        store.source("pacs")
    assert store.next_generation("pacs") == 2


def test_a_pair_keeps_desired_and_actual_state(store: CatalogStore, pair: str) -> None:
    record = store.pair(pair)
    assert (record.desired, record.state, record.initialised, record.status) == ("running", "new", False, {})
    assert record.spec == PAIR
    store.set_pair_state(pair, "halted", "the key of cama.parcels is gone: add it")
    store.set_pair_initialised(pair, True)
    store.set_pair_status(pair, {"tables": [], "lag_records": 3})
    record = store.pair(pair)
    assert (record.state, record.reason) == ("halted", "the key of cama.parcels is gone: add it")
    assert (record.initialised, record.status["lag_records"]) == (True, 3)
    assert record.status_at is not None
    assert store.set_desired(pair, "paused").desired == "paused"
    changed = store.put_pair(pair, PAIR.model_copy(update={"adopt": True}))
    assert (changed.version, changed.desired, changed.initialised) == (2, "paused", True)


def test_a_pair_needs_its_systems_and_its_name(store: CatalogStore) -> None:
    with pytest.raises(NotFound, match="system"):
        store.put_pair("pacs-to-cama", PAIR)
    for call in (
        lambda: store.pair("x"),
        lambda: store.set_desired("x", "paused"),
        lambda: store.set_pair_state("x", "running"),
        lambda: store.set_pair_status("x", {}),
        lambda: store.enqueue("x", "full", [], "me"),
    ):
        with pytest.raises(NotFound):
            call()
    store.forget_pair("x")


def test_a_pair_being_deleted_takes_nothing_new(store: CatalogStore, pair: str) -> None:
    running = store.enqueue(pair, "full", [], "me")
    store.set_desired(pair, "deleted")
    assert store.set_desired(pair, "deleted").desired == "deleted"
    with pytest.raises(Conflict):
        store.set_desired(pair, "running")
    with pytest.raises(Conflict):
        store.put_pair(pair, PAIR)
    with pytest.raises(Conflict):
        store.enqueue(pair, "verify", [], "me")
    store.forget_pair(pair)
    assert store.pairs() == []
    assert store.operation(running.id).state == "cancelled"


def test_samples_of_a_pair_are_kept_seven_days(store: CatalogStore, pair: str) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(days=8), timedelta(hours=1), timedelta(0)):
        store.add_pair_metric(pair, "cama.parcels", now - age, 10, 2.5, 0, None, 0)
    assert [m.at for m in store.pair_metrics(pair, now - timedelta(hours=2))] == [
        now - timedelta(hours=1),
        now,
    ]


def test_an_operation_lives_from_queue_to_end(store: CatalogStore, pair: str) -> None:
    queued = store.enqueue(pair, "full", ["cama.parcels"], "key:ops")
    assert (queued.state, queued.tables, queued.requested_by) == ("queued", ["cama.parcels"], "key:ops")
    claimed = store.claim_operation("replica-1", 30)
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.lease_epoch) == (queued.id, "running", 1)
    assert claimed.started_at is not None
    assert store.claim_operation("replica-2", 30) is None
    assert store.renew_lease(queued.id, "replica-1", 1, 30)
    assert not store.renew_lease(queued.id, "replica-2", 1, 30)
    assert store.set_progress(queued.id, 1, "replay", {"rows_done": 5, "rows_total": 10})
    assert store.operation(queued.id).progress == {"rows_done": 5, "rows_total": 10}
    store.add_operation_metrics([OperationMetric(queued.id, "cama.parcels", read=9)])
    store.add_operation_metrics([OperationMetric(queued.id, "cama.parcels", read=10, inserted=10)])
    assert [(m.read, m.inserted) for m in store.operation_metrics(queued.id)] == [(10, 10)]
    assert store.finish_operation(queued.id, 1, "succeeded", {"way": "replay"}, None)
    done = store.operation(queued.id)
    assert (done.state, done.result, done.error) == ("succeeded", {"way": "replay"}, None)
    assert done.finished_at is not None
    assert not store.set_progress(queued.id, 1, "late", {})


def test_an_expired_lease_is_taken_over_and_the_old_owner_is_refused(store: CatalogStore, pair: str) -> None:
    store.enqueue(pair, "full", [], "me")
    first = store.claim_operation("replica-1", 0.05)
    assert first is not None
    time.sleep(0.1)
    second = store.claim_operation("replica-2", 30)
    assert second is not None
    assert (second.id, second.lease_epoch, second.lease_owner) == (first.id, 2, "replica-2")
    assert second.started_at == first.started_at
    assert not store.renew_lease(first.id, "replica-1", 1, 30)
    assert not store.finish_operation(first.id, 1, "succeeded", {}, None)
    assert store.finish_operation(first.id, 2, "failed", {}, {"code": "x", "message": "y", "remedy": "z"})
    assert store.operation(first.id).error == {"code": "x", "message": "y", "remedy": "z"}


def test_one_unfinished_operation_of_a_kind(store: CatalogStore, pair: str) -> None:
    first = store.enqueue(pair, "full", [], "me")
    with pytest.raises(Conflict, match=first.id):
        store.enqueue(pair, "full", [], "me")
    store.enqueue(pair, "verify", [], "me")
    assert store.request_cancel(first.id).state == "cancelled"
    assert store.enqueue(pair, "full", [], "me").state == "queued"
    with pytest.raises(Conflict, match="cancelled"):
        store.request_cancel(first.id)
    with pytest.raises(NotFound):
        store.request_cancel("no-such-id")


def test_a_running_operation_is_asked_to_stop(store: CatalogStore, pair: str) -> None:
    op = store.enqueue(pair, "full", [], "me")
    store.claim_operation("replica-1", 30)
    asked = store.request_cancel(op.id)
    assert (asked.state, asked.cancel_requested) == ("running", True)


def test_operations_are_listed_newest_first_in_pages(store: CatalogStore, pair: str) -> None:
    ids = []
    for _ in range(5):
        op = store.enqueue(pair, "full", [], "me")
        store.request_cancel(op.id)
        ids.append(op.id)
    first_page = store.operations(pair=pair, limit=2)
    assert [op.id for op in first_page] == [ids[4], ids[3]]
    assert [op.id for op in store.operations(limit=2, before=ids[3])] == [ids[2], ids[1]]
    assert store.operations(before="no-such-id") == []
    assert store.operations(state="running") == []
    assert store.operations(pair="other") == []
    assert {name: op.id for name, op in store.last_operations().items()} == {pair: ids[4]}


def test_two_replicas_never_claim_the_same_operation(store: CatalogStore, pair: str) -> None:
    store.enqueue(pair, "full", [], "me")
    store.enqueue(pair, "verify", [], "me")
    store.enqueue(pair, "incremental", [], "me")
    claimed: list[str] = []

    def claim(owner: str) -> None:
        while (op := store.claim_operation(owner, 30)) is not None:
            claimed.append(op.id)

    threads = [threading.Thread(target=claim, args=(f"replica-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 3


def test_the_same_error_counts_up(store: CatalogStore) -> None:
    first = store.record_error(
        "pacs-to-cama", None, "constraint", "row 17 breaks a_key", "fix the row", "manual"
    )
    again = store.record_error(
        "pacs-to-cama", "op", "constraint", "row 18 breaks a_key", "fix the row", "manual"
    )
    other = store.record_error(None, None, "broker_down", "no broker", "start it", "timed")
    assert (again.id, again.count, again.message, again.operation_id) == (
        first.id,
        2,
        "row 18 breaks a_key",
        "op",
    )
    assert again.first_at == first.first_at
    assert [e.id for e in store.errors()] == [other.id, first.id]
    assert [e.id for e in store.errors(limit=1)] == [other.id]
    assert [e.id for e in store.errors(before=other.id)] == [first.id]
    assert [e.count for e in store.errors(pair="pacs-to-cama")] == [2]


def test_keys_are_added_touched_and_revoked(store: CatalogStore) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    key = store.add_key("k1", "ops", "hash", ["read", "operate"], ["pacs-to-cama"], later)
    assert (key.scopes, key.pairs, key.expires_at) == (("read", "operate"), ("pacs-to-cama",), later)
    assert store.add_key("k2", "all", "hash", ["admin"]).pairs is None
    with pytest.raises(Conflict):
        store.add_key("k1", "again", "hash", ["read"])
    store.touch_key("k1")
    store.touch_key("unknown")
    assert store.key("k1").last_used_at is not None
    revoked = store.revoke_key("k1")
    assert revoked.revoked_at is not None
    assert store.revoke_key("k1").revoked_at == revoked.revoked_at
    listed = store.keys()
    assert [k.id for k in listed] == ["k1", "k2"]
    with pytest.raises(NotFound):
        store.key("k3")
    with pytest.raises(NotFound):
        store.revoke_key("k3")


def test_postgresql_stores_what_json_cannot_hold(migrated: Catalog) -> None:
    migrated.put_system("odd", PACS)
    migrated.put_system("odd2", PACS)
    migrated.put_pair("odd-pair", PAIR.model_copy(update={"source": "odd", "target": "odd2"}))
    status = {
        "nan": float("nan"),
        "nul": "a\0b",
        "slash": "\\u0000",
        "money": Decimal("1.10"),
        "list": [1, None, True],
    }
    migrated.set_pair_status("odd-pair", status)
    stored = migrated.pair("odd-pair").status
    assert stored == {"nan": None, "nul": "ab", "slash": "\\u0000", "money": "1.10", "list": [1, None, True]}
    assert json.dumps(stored)


def test_a_database_that_is_not_there_is_said_to_be_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        catalog = Catalog(f"postgresql://nobody@127.0.0.1:{taken.getsockname()[1]}/none")
        with pytest.raises(CatalogUnavailable, match="CATALOG_DSN"):
            catalog.systems()
        with pytest.raises(CatalogUnavailable):
            catalog.migrate()


def test_a_database_without_tables_is_unavailable_until_it_is_migrated() -> None:
    with scratch_dsn() as dsn, Catalog(dsn) as catalog:
        with pytest.raises(CatalogUnavailable, match="migrated"):
            catalog.systems()
        catalog.migrate()
        catalog.migrate()
        assert catalog.systems() == []


def test_the_models_and_the_migrations_agree(postgres_dsn: str, migrated: Catalog) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    from catalog.models import SCHEMA, Base

    migrated.ping()
    engine = create_engine(postgres_dsn.replace("postgresql:", "postgresql+psycopg:"))
    options = {
        "include_schemas": True,
        "version_table": "schema_version",
        "version_table_schema": SCHEMA,
        "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_twin_can_be_down_too() -> None:
    twin = MemoryCatalog()
    twin.unavailable = True
    with pytest.raises(CatalogUnavailable):
        twin.ping()
