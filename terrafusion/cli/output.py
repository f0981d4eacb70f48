"""How commands print: tables for people, JSON and YAML for programs, errors that name the fix."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 200
_STYLES = {
    "green": ("running", "succeeded", "fresh", "up", "created", "true"),
    "cyan": ("new", "preparing", "full_sync", "queued", "configured"),
    "yellow": ("retrying", "deleting", "paused", "cancelled", "unknown"),
    "bold red": ("halted", "failed", "late", "down", "false"),
    "dim": ("unchanged", "revoked"),
}
STYLES = {word: style for style, words in _STYLES.items() for word in words}


class Output(StrEnum):
    """How a command prints its result."""

    table = "table"
    json = "json"
    yaml = "yaml"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Format of the output.")]


def console(*, stderr: bool = False) -> Console:
    """A console that does not cut lines where nobody looks at a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)


def document(value: Any, output: Output) -> None:
    """Print a value as JSON or YAML."""
    if output is Output.json:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip())


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "") -> None:
    """Print rows under headings; a heading that ends in ` >` is of numbers. `empty`: said when there is no row."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        right = column.endswith(" >")
        shown.add_column(column.removesuffix(" >"), justify="right" if right else "left", overflow="fold")
    count = 0
    for row in rows:
        shown.add_row(*(cell(value) for value in row))
        count += 1
    if count or not empty:
        console().print(shown)
    else:
        console(stderr=True).print(empty, style="dim", markup=False)


def cell(value: Any) -> Text:
    """A value as it stands in a table; known states have their colour."""
    if value is None or value == "":
        return Text("–", style="dim")
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return Text(text, style=STYLES.get(text, ""))


def say(message: str) -> None:
    """A remark for people, on standard error."""
    console(stderr=True).print(message, markup=False, style="dim", soft_wrap=True)


def fail(message: str, *, code: int = 1) -> typer.Exit:
    """Print an error and give the exit to raise."""
    console(stderr=True).print(f"error: {message}", style="red", markup=False, soft_wrap=True)
    return typer.Exit(code)


def seconds(value: float | None) -> str | None:
    """`38 ms`, `4.2 s`, `3 min`, `5 h`; None stays None."""
    if value is None:
        return None
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def moment(value: str | None) -> str | None:
    """`2026-01-31 12:00:00` of an ISO timestamp in UTC."""
    return None if value is None else value[:19].replace("T", " ")
