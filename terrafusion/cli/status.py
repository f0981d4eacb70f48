"""`terrafusion status`: every pair, or one pair's tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from terrafusion.cli import output
from terrafusion.cli.connection import Key, Server, connected
from terrafusion.cli.output import Output, OutputOption, cell, console, seconds
from terrafusion.client import Client

Json = dict[str, Any]
EVERY_S = 1.0
PAIR_COLUMNS = (
    "pair",
    "state",
    "freshness",
    "lag >",
    "waiting rows >",
    "p50 >",
    "p99 >",
    "last operation",
    "reason",
)
TABLE_COLUMNS = (
    "table",
    "state",
    "applied >",
    "rows/s >",
    "waiting rows >",
    "lag >",
    "p50 >",
    "p99 >",
    "dead letters >",
)


def status(
    pair: Annotated[
        str | None, typer.Argument(metavar="[PAIR]", help="Only this pair, table by table.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """Show state, lag and freshness of all pairs, or of one pair's tables.

    Example: terrafusion status pacs-to-cama --watch
    """
    with connected(server, key) as client:
        if watch and output_format is Output.table:
            _watch(client, pair)
        elif output_format is Output.table:
            console().print(_picture(client, pair))
        else:
            found: Json = client.status(pair) if pair else {"items": _all(client)}
            output.document(found, output_format)


def _watch(client: Client, pair: str | None) -> None:
    try:
        with Live(_picture(client, pair), console=console(), screen=False, auto_refresh=False) as live:
            while True:
                time.sleep(EVERY_S)
                live.update(_picture(client, pair), refresh=True)
    except KeyboardInterrupt:
        return


def _all(client: Client) -> list[Json]:
    return [client.status(item["metadata"]["name"]) for item in client.pairs()]


def _picture(client: Client, pair: str | None) -> RenderableType:
    if pair is not None:
        return _one(client.status(pair))
    statuses = _all(client)
    if not statuses:
        return Text(
            "No sync pair yet. Describe one in a manifest, then: terrafusion apply -f FILE", style="dim"
        )
    return Group(_table(PAIR_COLUMNS, [_pair_row(item) for item in statuses]), *_stale_note(statuses))


def _one(item: Json) -> RenderableType:
    head = Text.assemble(
        (f"{item['pair']} ", "bold"), f"{item['source']} → {item['target']}  ", cell(item["state"])
    )
    lines: list[RenderableType] = [head]
    if item["reason"]:
        lines.append(Text(item["reason"], style="yellow"))
    lines += [Text(_last_operation(item) or "no operation yet", style="dim"), Text("")]
    lines.append(_table(TABLE_COLUMNS, [_table_row(table) for table in item["tables"]]))
    return Group(*lines, *_stale_note([item]))


def _pair_row(item: Json) -> Sequence[Any]:
    met = item["freshness"]["met"]
    return (
        item["pair"],
        item["state"],
        {True: "fresh", False: "late", None: "unknown"}[met],
        seconds(item["lag_seconds"]),
        item["lag_records"],
        _milliseconds(item["latency_p50_ms"]),
        _milliseconds(item["latency_p99_ms"]),
        _last_operation(item),
        item["reason"],
    )


def _table_row(table: Json) -> Sequence[Any]:
    rate = table.get("rows_per_s")
    return (
        table.get("table"),
        table.get("state"),
        table.get("records"),
        None if rate is None else round(rate),
        table.get("lag_records"),
        seconds(table.get("lag_seconds")),
        _milliseconds(table.get("latency_p50_ms")),
        _milliseconds(table.get("latency_p99_ms")),
        table.get("dead_letters"),
    )


def _last_operation(item: Json) -> str | None:
    last = item["last_operation"]
    return None if last is None else f"{last['kind']} {last['state']}"


def _milliseconds(value: float | None) -> str | None:
    return None if value is None else seconds(value / 1000)


def _stale_note(items: Sequence[Json]) -> list[RenderableType]:
    ages = [item["age_s"] for item in items if item["stale"]]
    if not ages:
        return []
    oldest = max((age for age in ages if age is not None), default=None)
    since = f"for {seconds(oldest)}" if oldest is not None else "since it started"
    return [
        Text(f"Stale: SyncService has not reported {since}; the gateway is bringing it back.", style="yellow")
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        right = column.endswith(" >")
        shown.add_column(column.removesuffix(" >"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(cell(value) for value in row))
    return shown
