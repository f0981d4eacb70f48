"""The kinds of change the live load makes: each function is one transaction against the source and says what it did.

Rows may be gone when they are picked (deleted, or moved to another key): such a change counts no rows.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import psycopg
from psycopg import sql

from terrafusion.demo.county import apn

Kind = Literal["insert", "update", "delete", "key change"]
Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]
LARGE_TEXT_BYTES = 4000


@dataclass(frozen=True)
class Change:
    """So many rows of one source table changed in one way."""

    table: str
    kind: Kind
    rows: int


@dataclass
class Rows:
    """Which rows exist, as far as the load knows: generated ones by number, new ones remembered, some with long text."""

    chooser: random.Random
    parcels: int
    with_long_text: list[str]
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=40))

    @classmethod
    def of(cls, source: Connection, chooser: random.Random) -> Rows:
        """Ask the source how many parcels were generated and which of them have a text that is kept out of the row."""
        [(found,)] = source.execute("SELECT count(*) FROM parcel WHERE apn < 'N'").fetchall()
        long_text = source.execute(
            "SELECT apn FROM parcel WHERE octet_length(legal_description) > %s ORDER BY apn",
            [LARGE_TEXT_BYTES],
        ).fetchall()
        return cls(chooser, max(1, int(str(found))), [str(row[0]) for row in long_text])

    def parcel(self) -> str:
        """A parcel number; one in five was made or moved lately, so that some rows change again and again."""
        if self.recent and self.chooser.random() < 0.2:
            return self.chooser.choice(self.recent)
        return apn(self.chooser.randint(1, self.parcels))

    def parcel_with_long_text(self) -> str:
        return self.chooser.choice(self.with_long_text) if self.with_long_text else self.parcel()

    def number(self, most: int) -> int:
        return self.chooser.randint(1, max(1, most))

    def money(self) -> str:
        return f"{self.chooser.randint(1, 200_000_000) / 100:.2f}"


Action: TypeAlias = Callable[[Connection, Rows], Iterator[Change]]


def new_key(source: Connection) -> int:
    """A number no row has yet."""
    [(number,)] = source.execute("SELECT nextval('new_key')").fetchall()
    return int(str(number))


def revalue(source: Connection, rows: Rows) -> Iterator[Change]:
    done = source.execute(
        "UPDATE parcel SET assessed_value = %s, updated_at = clock_timestamp() WHERE apn = %s",
        [rows.money(), rows.parcel()],
    )
    yield Change("parcel", "update", done.rowcount)


def revalue_beside_long_text(source: Connection, rows: Rows) -> Iterator[Change]:
    """The long text is not touched: the log says "unchanged" where it was."""
    done = source.execute(
        "UPDATE parcel SET assessed_value = %s, tags = array_append(tags[1:3], 'geändert') WHERE apn = %s",
        [rows.money(), rows.parcel_with_long_text()],
    )
    yield Change("parcel", "update", done.rowcount)


def amend_long_text(source: Connection, rows: Rows) -> Iterator[Change]:
    done = source.execute(
        "UPDATE parcel SET legal_description = left(legal_description, 9000) || ' – amended ' || %s WHERE apn = %s",
        [rows.money(), rows.parcel_with_long_text()],
    )
    yield Change("parcel", "update", done.rowcount)


def forget_values(source: Connection, rows: Rows) -> Iterator[Change]:
    """NULL goes where a default stands."""
    done = source.execute(
        "UPDATE parcel SET land_use = NULL, attributes = NULL, zoning_codes = '{}' WHERE apn = %s",
        [rows.parcel()],
    )
    yield Change("parcel", "update", done.rowcount)
    done = source.execute(
        "UPDATE owner SET balance_due = NULL, phones = ARRAY[NULL, 'Büro'] WHERE owner_id = %s",
        [rows.number(rows.parcels)],
    )
    yield Change("owner", "update", done.rowcount)


def record_sale(source: Connection, rows: Rows) -> Iterator[Change]:
    """A sale and the change of owner, in one transaction; the default of `is_qualified` is left to the database."""
    number, parcel = new_key(source), rows.parcel()
    source.execute(
        "INSERT INTO sale (sale_id, deed_uid, apn, sale_date, price, buyer_name, instrument, recorded_at)"
        " VALUES (%s, gen_random_uuid(), %s, current_date, %s, 'Zoë D''Angelo-Łukasz', 'SWD', clock_timestamp())",
        [number, parcel, rows.money()],
    )
    yield Change("sale", "insert", 1)
    done = source.execute(
        "UPDATE parcel SET owner_name = 'Zoë D''Angelo-Łukasz', updated_at = clock_timestamp() WHERE apn = %s",
        [parcel],
    )
    yield Change("parcel", "update", done.rowcount)


def correct_sale(source: Connection, rows: Rows) -> Iterator[Change]:
    done = source.execute(
        "UPDATE sale SET price = %s, ratio = %s, is_qualified = NULL WHERE sale_id = %s",
        [rows.money(), rows.chooser.uniform(0.2, 2.0), rows.number(rows.parcels * 3 // 2)],
    )
    yield Change("sale", "update", done.rowcount)


def open_permit(source: Connection, rows: Rows) -> Iterator[Change]:
    source.execute(
        "INSERT INTO permit (permit_year, permit_no, apn, description, cost, issued_on, details)"
        " VALUES (2026, %s, %s, 'Façade – 2. Stock', %s, current_date, '{\"bond\": true, \"geprüft\": null}')",
        [new_key(source), rows.parcel(), rows.money()],
    )
    yield Change("permit", "insert", 1)


def renumber_permit(source: Connection, rows: Rows) -> Iterator[Change]:
    """One part of a key of two columns changes."""
    number = rows.number(rows.parcels // 2)
    done = source.execute(
        "UPDATE permit SET permit_no = %s, status = 'FINAL' WHERE permit_year = %s AND permit_no = %s",
        [new_key(source), 2000 + number % 26, number],
    )
    yield Change("permit", "key change", done.rowcount)


def move_parcel(source: Connection, rows: Rows) -> Iterator[Change]:
    """A parcel gets another number, its sales and permits follow in the same transaction."""
    old = rows.parcel_with_long_text() if rows.chooser.random() < 0.3 else rows.parcel()
    new = f"N{new_key(source)}"
    done = source.execute("UPDATE parcel SET apn = %s WHERE apn = %s", [new, old])
    yield Change("parcel", "key change", done.rowcount)
    if done.rowcount:
        rows.recent.append(new)
        yield Change(
            "sale", "update", source.execute("UPDATE sale SET apn = %s WHERE apn = %s", [new, old]).rowcount
        )
        done = source.execute("UPDATE permit SET apn = %s WHERE apn = %s", [new, old])
        yield Change("permit", "update", done.rowcount)


def subdivide(source: Connection, rows: Rows) -> Iterator[Change]:
    """A new owner and several new parcels, one of them with a long text, in one transaction."""
    owner = new_key(source)
    source.execute(
        "INSERT INTO owner (owner_id, owner_uid, full_name, state_code, registered_at)"
        " VALUES (%s, gen_random_uuid(), 'Müller & García S.A.', 'WA', clock_timestamp())",
        [owner],
    )
    yield Change("owner", "insert", 1)
    lots = rows.number(4)
    for lot in range(lots):
        name = f"N{new_key(source)}"
        source.execute(
            "INSERT INTO parcel (apn, owner_id, owner_name, tax_area, assessed_value, land_use, legal_description)"
            " SELECT %s, %s, 'Müller & García S.A.', '0042', %s, NULL,"
            " (SELECT string_agg(md5(%s || n), ' § ') FROM generate_series(1, %s) AS n)",
            [name, owner, rows.money(), name, 200 if lot == 0 else 1],
        )
        rows.recent.append(name)
    yield Change("parcel", "insert", lots)


def revalue_block(source: Connection, rows: Rows) -> Iterator[Change]:
    """One statement changes ten neighbours."""
    done = source.execute(
        "UPDATE parcel SET assessed_value = round(mod(assessed_value * 1.01 + 1, 9000000), 2), is_exempt = NOT is_exempt"
        " WHERE apn IN (SELECT apn FROM parcel WHERE apn >= %s AND apn < 'N' ORDER BY apn LIMIT 10)",
        [rows.parcel()],
    )
    yield Change("parcel", "update", done.rowcount)


def remove_sale(source: Connection, rows: Rows) -> Iterator[Change]:
    done = source.execute("DELETE FROM sale WHERE sale_id = %s", [rows.number(rows.parcels * 3 // 2)])
    yield Change("sale", "delete", done.rowcount)


def remove_parcel(source: Connection, rows: Rows) -> Iterator[Change]:
    """A parcel goes with its sales and permits."""
    parcel = rows.parcel()
    for table in ("sale", "permit", "parcel"):
        done = source.execute(
            sql.SQL("DELETE FROM {} WHERE apn = %s").format(sql.Identifier(table)), [parcel]
        )
        yield Change(table, "delete", done.rowcount)


def replace_parcel(source: Connection, rows: Rows) -> Iterator[Change]:
    """Deleted and made again under the same key in one transaction, poorer than before."""
    parcel = rows.parcel()
    done = source.execute("DELETE FROM parcel WHERE apn = %s", [parcel])
    yield Change("parcel", "delete", done.rowcount)
    if done.rowcount:
        source.execute(
            "INSERT INTO parcel (apn, owner_name, tax_area, assessed_value) VALUES (%s, 'Nguyễn Thị', '0007', %s)",
            [parcel, rows.money()],
        )
        yield Change("parcel", "insert", 1)


# How often each happens, of 100 transactions.
ACTIONS: tuple[tuple[int, Action], ...] = (
    (34, revalue),
    (10, revalue_beside_long_text),
    (2, amend_long_text),
    (4, forget_values),
    (12, record_sale),
    (8, correct_sale),
    (7, open_permit),
    (3, renumber_permit),
    (5, move_parcel),
    (3, subdivide),
    (2, revalue_block),
    (5, remove_sale),
    (2, remove_parcel),
    (3, replace_parcel),
)
