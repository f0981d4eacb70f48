"""The synthetic county: loads owners, parcels, sales and permits into the source, the same rows for the same seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString

import psycopg

COUNTY_TABLES = ("owner", "parcel", "sale", "permit")
SMALLEST, LARGEST = 100, 5_000_000


@dataclass(frozen=True)
class LoadedTable:
    """One generated table: its name in schema public, rows, and seconds the load took."""

    name: str
    rows: int
    seconds: float


def statement(name: str) -> LiteralString:
    """The SQL of one file in `terrafusion/demo/sql/`; they ship with the package, so they are ours."""
    return files("terrafusion.demo").joinpath("sql", name).read_text(encoding="utf-8")


def apn(row_no: int) -> str:
    """The parcel number of the generated parcel `row_no` (1…N), as `pg_temp.apn` makes it: book-page-lot."""
    return f"{row_no // 10000:03d}-{row_no // 100 % 100:02d}-{row_no % 100:02d}"


def load_county(
    source: psycopg.Connection,
    parcels: int,
    seed: int,
    on_table: Callable[[LoadedTable], None] = lambda _table: None,
) -> list[LoadedTable]:
    """Fill the four empty tables: N owners, N parcels, 1.5 N sales, 0.5 N permits; 2 % of the parcels have a long text.

    The server makes the rows itself (about 90,000 rows/s on 2 cores). `on_table` is called after each table.
    """
    if not SMALLEST <= parcels <= LARGEST:
        raise ValueError(f"parcels must be between {SMALLEST} and {LARGEST}, not {parcels}")
    source.execute("SELECT set_config('demo.seed', %s, false)", [str(seed)])
    source.execute("SELECT set_config('demo.parcels', %s, false)", [str(parcels)])
    source.execute(statement("county_functions.sql"))
    loaded = []
    for name in COUNTY_TABLES:
        started = time.monotonic()
        rows = source.execute(statement(f"county_{name}.sql")).rowcount
        loaded.append(LoadedTable(name, rows, time.monotonic() - started))
        on_table(loaded[-1])
    return loaded
