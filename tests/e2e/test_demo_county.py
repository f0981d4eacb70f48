"""The county, the live load and the comparison on real servers, without the product."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from terrafusion.demo.changes import ACTIONS
from terrafusion.demo.comparison import Fingerprint, compare, fingerprint
from terrafusion.demo.county import apn
from terrafusion.demo.databases import make_source, make_target, source_address, target_address
from terrafusion.demo.live import LiveLoad
from terrafusion.demo.manifests import MappedTable, mapped_tables
from terrafusion.stack import Stack

pytestmark = pytest.mark.stack
PACS, CAMA = "demo_scratch_pacs", "demo_scratch_cama"


@dataclass(frozen=True)
class Scratch:
    source_server: str
    target_server: str
    secrets: Path

    @property
    def source(self) -> str:
        return source_address(self.source_server, PACS)

    @property
    def target(self) -> str:
        return target_address(self.target_server, CAMA)

    def make_source(self, seed: int) -> list[Fingerprint]:
        make_source(self.source_server, self.secrets, 500, seed, database=PACS)
        with psycopg.connect(self.source) as source:
            return [fingerprint(source, table.source, table.columns.values()) for table in mapped_tables()]

    def copy(self) -> None:
        """What a sync is to do, done by COPY."""
        with psycopg.connect(self.source) as source, psycopg.connect(self.target) as target:
            for table in mapped_tables():
                target.execute(f"TRUNCATE {table.target}".encode())
                _copy(source, target, table)


def _copy(source: psycopg.Connection, target: psycopg.Connection, table: MappedTable) -> None:
    read = f"COPY {table.source} ({', '.join(table.columns.values())}) TO STDOUT"
    write = f"COPY {table.target} ({', '.join(table.columns)}) FROM STDIN"
    with source.cursor().copy(read.encode()) as rows, target.cursor().copy(write.encode()) as into:
        for block in rows:
            into.write(block)


@pytest.fixture(scope="module")
def scratch(stack: Stack) -> Iterator[Scratch]:
    environment = stack.env()
    made = Scratch(environment["SOURCE_DSN"], environment["TARGET_DSN"], stack.home.secrets)
    yield made
    for server, database in ((made.source_server, PACS), (made.target_server, CAMA)):
        with psycopg.connect(source_address(server, "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())


def test_the_county_follows_from_its_seed(scratch: Scratch) -> None:
    first = scratch.make_source(1)
    assert [table.rows for table in first] == [500, 500, 750, 250]
    assert scratch.make_source(1) == first
    assert scratch.make_source(2) != first


def test_the_county_has_what_is_hard_to_replicate(scratch: Scratch) -> None:
    scratch.make_source(1)
    with psycopg.connect(scratch.source) as source:
        [(long, kept_apart, smallest, largest)] = source.execute(
            "SELECT count(*), min(pg_column_size(legal_description)), min(octet_length(legal_description)),"
            " max(octet_length(legal_description)) FROM parcel WHERE octet_length(legal_description) > 2000"
        ).fetchall()
        [(nulls, defaults)] = source.execute(
            "SELECT count(*) FILTER (WHERE land_use IS NULL), count(*) FILTER (WHERE land_use = 'RESIDENTIAL') FROM parcel"
        ).fetchall()
        [(last,)] = source.execute("SELECT max(apn) FROM parcel").fetchall()
        identities = source.execute(
            "SELECT relreplident FROM pg_publication_tables JOIN pg_class ON relname = tablename"
        ).fetchall()
    assert long == 10
    assert kept_apart > 2000
    assert 5000 < smallest < largest < 11000
    assert nulls > 0
    assert defaults > 0
    assert last == apn(500)
    assert identities == [(b"f",)] * 4 or identities == [("f",)] * 4


def test_live_load_makes_every_kind_and_survives_a_dropped_connection(scratch: Scratch) -> None:
    scratch.make_source(1)
    with LiveLoad(scratch.source, rate=2000, seed=4) as load:
        time.sleep(1)
        with psycopg.connect(scratch.source, autocommit=True) as source:
            source.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'demo live load'"
            )
        time.sleep(2)
    report = load.report()
    assert load.failure is None
    assert report.reconnects >= 1
    assert set(report.by_kind()) == {"insert", "update", "delete", "key change"}
    assert {table for table, _kind in report.changes} == {"owner", "parcel", "sale", "permit"}
    assert report.transactions > len(ACTIONS)
    assert report.rolled_back > 0


def test_the_comparison_finds_exactly_what_differs(scratch: Scratch) -> None:
    scratch.make_source(1)
    make_target(scratch.target_server, scratch.secrets, CAMA)
    scratch.copy()
    assert not any(table.differences for table in compare(scratch.source, scratch.target, mapped_tables()))
    with psycopg.connect(scratch.target) as target:
        target.execute(
            "UPDATE cama.parcels SET use_code = coalesce(use_code, '') || ' ' WHERE parcel_number = '000-01-05'"
        )
        target.execute("DELETE FROM cama.permits WHERE number = 3")
        target.execute("INSERT INTO cama.owners (owner_ref, external_id, name, state, member_since)"
                       " VALUES (-1, gen_random_uuid(), 'x', 'WA', now())")  # fmt: skip
    found = {table.target: table for table in compare(scratch.source, scratch.target, mapped_tables())}
    assert {name: table.examples for name, table in found.items()} == {
        "cama.parcels": ("(000-01-05)",),
        "cama.permits": ("(2003,3)",),
        "cama.owners": ("(-1)",),
        "cama.sales": (),
    }


def test_the_applier_may_make_tables_but_is_no_superuser(scratch: Scratch) -> None:
    make_target(scratch.target_server, scratch.secrets, CAMA)
    password = (scratch.secrets / "cama_password").read_text().strip()
    assert (scratch.secrets / "cama_password").stat().st_mode & 0o777 == 0o600
    address = psycopg.conninfo.make_conninfo(scratch.target, user="terrafusion_applier", password=password)
    with psycopg.connect(address) as applier:
        applier.execute("CREATE TABLE cama.shadow (LIKE cama.parcels INCLUDING ALL)")
        applier.execute("ALTER TABLE cama.parcels RENAME TO retired")
        applier.execute("CREATE TABLE terrafusion.offsets (topic text)")
        [(superuser,)] = applier.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchall()
    assert superuser is False


def test_the_capture_role_reads_and_marks(scratch: Scratch) -> None:
    scratch.make_source(1)
    password = (scratch.secrets / "pacs_password").read_text().strip()
    address = psycopg.conninfo.make_conninfo(scratch.source, user="terrafusion_cdc", password=password)
    with psycopg.connect(address, autocommit=True) as capture:
        assert capture.execute("SELECT count(*) FROM parcel").fetchall() == [(500,)]
        capture.execute("SELECT pg_logical_emit_message(false, 'marker', 'x')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            capture.execute("DELETE FROM parcel")
