"""What a verification found, as tables: {"equal", "tables": [{"table", "rows_source", "rows_target", "missing",
"extra", "different", "differences": [{"key", "kind", "columns": {column: [source, target]}}]}]}."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from terrafusion.cli import output
from terrafusion.cli.output import cell, console

Json = dict[str, Any]
LONGEST_VALUE = 60
_ONE_SIDED = {"missing": ("present", "absent"), "extra": ("absent", "present")}


def print_verification(result: Json) -> None:
    """Counts per table, then each difference with both values."""
    tables = result.get("tables") or []
    names = ("rows_source", "rows_target", "missing", "extra", "different")
    columns = ["table", "source rows >", "target rows >", "missing >", "extra >", "different >"]
    output.table(columns, [(item["table"], *(item.get(name) for name in names)) for item in tables])
    if result.get("equal"):
        console().print("Source and target are equal.", style="green")
        return
    found = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("table", "key", "kind", "column", "source", "target"):
        found.add_column(column, overflow="fold")
    for row in _rows(tables):
        found.add_row(*row)
    console().print(found)
    console().print("Source and target differ.", style="bold red")


def _rows(tables: Sequence[Json]) -> Iterator[list[Text]]:
    for table in tables:
        for difference in table.get("differences") or []:
            key = ", ".join(f"{name}={_short(value)}" for name, value in difference["key"].items())
            start = [cell(table["table"]), Text(key), cell(difference["kind"])]
            if difference["kind"] in _ONE_SIDED:
                yield [
                    *start,
                    Text(""),
                    *(Text(word, style="dim") for word in _ONE_SIDED[difference["kind"]]),
                ]
                continue
            columns: Json = difference.get("columns") or {}
            for column, (source, target) in columns.items():
                yield [*start, Text(column), Text(_short(source)), Text(_short(target))]
                start = [Text(""), Text(""), Text("")]


def _short(value: Any) -> str:
    text = "NULL" if value is None else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
