"""After the summary: the pair's state, refreshed while gentle changes go on, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NoReturn

from rich.console import Console
from rich.live import Live
from rich.table import Table

from terrafusion.demo.errors import DemoError
from terrafusion.demo.live import LiveLoad
from terrafusion.demo.manifests import PAIR
from terrafusion.demo.product import Product
from terrafusion.demo.summary import UNKNOWN, number

REFRESH_SECONDS = 1.0
PLAIN_EVERY_SECONDS = 30.0


def watch(product: Product, load: LiveLoad, console: Console) -> NoReturn:
    """Show the status until KeyboardInterrupt, or raise the error that ended the load: a live table in a terminal, a line every 30 s elsewhere."""
    console.print("\nChanges go on gently. Ctrl-C ends them and leaves the stack running.", highlight=False)
    if not console.is_terminal:
        while load.failure is None:
            console.print(plain_line(look(product), load), highlight=False, markup=False, soft_wrap=True)
            time.sleep(PLAIN_EVERY_SECONDS)
        raise load.failure
    with Live(console=console, refresh_per_second=2) as live:
        while load.failure is None:
            live.update(status_table(look(product), load))
            time.sleep(REFRESH_SECONDS)
    raise load.failure


def look(product: Product) -> Mapping[str, Any]:
    """The pair's status; when it cannot be had, `{"reason": why}`."""
    try:
        return product.status(PAIR)
    except DemoError as error:
        return {"reason": error.message}


def plain_line(status: Mapping[str, Any], load: LiveLoad) -> str:
    report = live_part(status)
    return (
        f"{PAIR}: {status.get('state', '?')}, lag {number(report.get('lag_records'))} records,"
        f" {load.report().events:,} events made {status.get('reason') or ''}"
    ).rstrip()


def live_part(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The report that SyncService writes, whether it is the answer itself or its `status`."""
    inner = status.get("status")
    return inner if isinstance(inner, Mapping) else status


def status_table(status: Mapping[str, Any], load: LiveLoad) -> Table:
    """One line a table: applied records, rows/s, lag and latency."""
    report = live_part(status)
    table = Table(
        title=f"{PAIR}: {status.get('state', '?')} {status.get('reason') or ''}".rstrip(),
        caption=f"{load.report().events:,} events made since the summary · Ctrl-C ends them",
        title_justify="left",
        caption_justify="left",
    )
    for name in ("table", "state", "applied", "rows/s", "lag (records)", "lag (s)", "p50 ms", "p99 ms"):
        table.add_column(name, justify="left" if name in {"table", "state"} else "right")
    for line in report.get("tables") or ():
        table.add_row(
            str(line.get("table", "?")),
            str(line.get("state", "?")),
            number(line.get("records")),
            number(line.get("rows_per_s")),
            number(line.get("lag_records")),
            UNKNOWN if line.get("lag_seconds") is None else f"{line['lag_seconds']:.1f}",
            number(line.get("latency_p50_ms")),
            number(line.get("latency_p99_ms")),
        )
    return table
