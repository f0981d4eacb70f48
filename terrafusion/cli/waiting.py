"""`--wait`: an operation's progress, live in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from terrafusion.cli.output import console, say, seconds
from terrafusion.client import Client

Json = dict[str, Any]
LINE_EVERY_S = 5.0


def follow(client: Client, operation: Json) -> Json:
    """Show the operation until it has ended, and give it as it ended. Ctrl-C leaves it running."""
    screen = console(stderr=True)
    try:
        return _live(client, operation) if screen.is_terminal else _lines(client, operation)
    except KeyboardInterrupt:
        id = operation["id"]
        say(f"The operation goes on. terrafusion operations show {id}; terrafusion operations cancel {id}")
        raise


def numbers(operation: Json) -> str:
    """`1,000 of 50,000 rows · 60,000 rows/s · ETA 3 s · lag 12 rows`, as far as known."""
    progress = operation.get("progress") or {}
    done, total = progress.get("rows_done"), progress.get("rows_total")
    parts = []
    if done is not None:
        parts.append(f"{done:,} of {total:,} rows" if total else f"{done:,} rows")
    if progress.get("rows_per_s"):
        parts.append(f"{progress['rows_per_s']:,.0f} rows/s")
    if progress.get("eta_s") is not None:
        parts.append(f"ETA {seconds(progress['eta_s'])}")
    if isinstance(progress.get("lag"), int | float):
        parts.append(f"lag {progress['lag']:,} rows")
    return " · ".join(parts)


def _live(client: Client, operation: Json) -> Json:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(_title(operation), total=None, numbers="")

        def show(seen: Json) -> None:
            known = seen.get("progress") or {}
            total = known.get("rows_total") or None
            done = known.get("rows_done") or 0
            progress.update(
                task, description=_title(seen), total=total, completed=done, numbers=numbers(seen)
            )

        return client.wait(str(operation["id"]), show)


def _lines(client: Client, operation: Json) -> Json:
    last, said_at = "", 0.0

    def show(seen: Json) -> None:
        nonlocal last, said_at
        now = time.monotonic()
        if _title(seen) != last or now - said_at > LINE_EVERY_S:
            last, said_at = _title(seen), now
            say(f"{last} {numbers(seen)}".rstrip())

    return client.wait(str(operation["id"]), show)


def _title(operation: Json) -> str:
    phase = operation.get("phase") or operation["state"]
    return f"{operation['kind']} {operation['pair']}: {phase}"
