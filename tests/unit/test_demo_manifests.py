"""The demo's manifests, their mapping and the SQL that ships with them say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from catalog.manifest import SyncPair, parse_documents
from syncservice.connect.names import publication
from terrafusion.demo.county import COUNTY_TABLES, apn, load_county, statement
from terrafusion.demo.manifests import documents, manifest_text, mapped_tables

SOURCE = "postgresql://postgres:secret@127.0.0.1:6442/pacs"
TARGET = "postgresql://postgres:secret@127.0.0.1:6443/cama"


def columns_of(ddl: str, table: str) -> dict[str, str]:
    """Column → its type, NOT NULL and default, as written in the DDL."""
    body = re.search(rf"CREATE TABLE {re.escape(table)} \((.*?)\n\);", ddl, re.DOTALL)
    assert body is not None, table
    lines = [line.strip().rstrip(",") for line in body.group(1).splitlines() if line.strip()]
    pairs = [line.split(None, 1) for line in lines if not line.startswith("PRIMARY KEY")]
    return {name: " ".join(rest.split()) for name, rest in pairs}


def test_the_manifest_is_accepted_and_holds_no_password() -> None:
    text = manifest_text(SOURCE, TARGET, Path("/srv/county: #1/secrets"))
    parsed = parse_documents(text)
    assert [document.metadata.name for document in parsed] == ["pacs", "cama", "pacs-to-cama"]
    assert isinstance(parsed[2], SyncPair)
    source = documents(text)[0]["spec"]
    assert (source["host"], source["port"]) == ("127.0.0.1", 6442)
    assert source["password"] == {"file": "/srv/county: #1/secrets/pacs_password"}
    assert "secret@" not in text


@pytest.mark.parametrize("table", mapped_tables(), ids=lambda table: table.source)
def test_every_column_of_both_sides_is_mapped_to_one_of_its_type(table: object) -> None:
    mapped = next(found for found in mapped_tables() if found == table)
    source = columns_of(statement("source_schema.sql"), mapped.source)
    target = columns_of(statement("target_schema.sql"), mapped.target)
    assert set(mapped.columns) == set(target)
    assert sorted(mapped.columns.values()) == sorted(source)
    assert {name: source[column] for name, column in mapped.columns.items()} == target


def test_every_table_of_the_county_is_published_with_full_before_images() -> None:
    publish = statement("source_publish.sql")
    assert {table.source for table in mapped_tables()} == {f"public.{name}" for name in COUNTY_TABLES}
    assert f"CREATE PUBLICATION {publication('pacs')} FOR TABLE" in publish
    for name in COUNTY_TABLES:
        assert f"ALTER TABLE public.{name} REPLICA IDENTITY FULL" in publish


def test_parcel_numbers_are_book_page_lot() -> None:
    assert [apn(number) for number in (1, 105, 12_345, 300_000)] == [
        "000-00-01", "000-01-05", "001-23-45", "030-00-00",
    ]  # fmt: skip


def test_a_county_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="parcels must be between"):
        load_county(None, 3, 1)  # type: ignore[arg-type]
