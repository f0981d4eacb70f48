"""`terrafusion stack`: the local stack."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from terrafusion.stack import NAMES, PartStatus, Stack, StackError
from terrafusion.stack.errors import StackUsageError
from terrafusion.stack.logs import last_lines
from terrafusion.stack.parts import select
from terrafusion.stack.ports import parse_choices
from terrafusion.stack.progress import ConsoleProgress

app = typer.Typer(
    no_args_is_help=True, help="Kafka, Connect, registry and databases on this machine, without Docker."
)
STATE_STYLES = {"running": "green", "starting": "yellow", "stopped": "dim", "failed": "bold red"}
FOLLOW_SECONDS = 0.3
PartNames = Annotated[
    list[str] | None, typer.Argument(metavar="[PART]...", help=f"One of: {', '.join(NAMES)}. Default: all.")
]


class Output(StrEnum):
    """How a command prints its result."""

    table = "table"
    json = "json"
    yaml = "yaml"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Format of the output.")]


@contextmanager
def _reported() -> Iterator[None]:
    """A StackError becomes words on standard error and exit code 1, or 2 when the usage was wrong."""
    try:
        yield
    except StackError as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        raise typer.Exit(2 if isinstance(error, StackUsageError) else 1) from None


@app.command()
def up(
    parts: PartNames = None,
    port: Annotated[list[str] | None, typer.Option(help="PART=N, remembered; may be repeated.")] = None,
    gateway: Annotated[bool, typer.Option("--gateway/--no-gateway", help="Start the gateway too.")] = True,
) -> None:
    """Start what does not run yet, and wait until it is ready."""
    with _reported():
        chosen = parse_choices(port or ())
        left_out = () if gateway else ("gateway",)
        shown = [name for name in select(parts or ()) if name not in left_out]
        with ConsoleProgress(Console(stderr=True), shown) as progress:
            try:
                Stack.here().up(parts or (), without=left_out, ports=chosen, progress=progress)
            except StackError:
                if progress.failures:  # already shown, when it happened
                    raise typer.Exit(1) from None
                raise


@app.command()
def down(
    parts: PartNames = None,
    purge: Annotated[bool, typer.Option("--purge", help="Remove all data too.")] = False,
) -> None:
    """Stop the parts in order. Data stays unless --purge is given."""
    with _reported(), ConsoleProgress(Console(stderr=True), select(parts or ())) as progress:
        Stack.here().down(parts or (), purge=purge, progress=progress)


@app.command()
def status(output: OutputOption = Output.table) -> None:
    """Show what runs, where, and since when."""
    with _reported():
        parts = Stack.here().status()
    if output is Output.table:
        Console().print(_status_table(parts))
    else:
        _print_document({"parts": [asdict(part) for part in parts]}, output)


@app.command()
def env(output: OutputOption = Output.table) -> None:
    """Print the addresses as `export` lines: eval "$(terrafusion stack env)"."""
    with _reported():
        variables = Stack.here().env()
    if output is Output.table:
        for name, value in variables.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
    else:
        _print_document(variables, output)


@app.command()
def logs(
    part: Annotated[
        str | None, typer.Argument(help=f"One of: {', '.join(NAMES)}, syncservice. Default: all.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each log.")] = 50,
) -> None:
    """Print the end of the parts' logs."""
    with _reported():
        files = _log_files(part)
    for name, file in files.items():
        if len(files) > 1:
            typer.echo(f"==> {name} <==")
        if text := last_lines(file, lines) if lines else "":
            typer.echo(text)
    if follow:
        _follow(files)


def _log_files(part: str | None) -> dict[str, Path]:
    stack = Stack.here()
    known = {line.name: Path(line.log) for line in stack.status()}
    known["syncservice"] = stack.home.log("syncservice")
    if part is None:
        return known
    if part not in known:
        raise StackUsageError(f"there is no log of a part {part!r}", f"the parts are {', '.join(known)}")
    return {part: known[part]}


def _follow(files: dict[str, Path]) -> None:
    """Print what is added to the files until interrupted; a rotated file is read from its start."""
    ends = {file: file.stat().st_size if file.exists() else 0 for file in files.values()}
    while True:
        for name, file in files.items():
            size = file.stat().st_size if file.exists() else 0
            if size < ends[file]:
                ends[file] = 0
            if size > ends[file]:
                with file.open("rb") as stream:
                    stream.seek(ends[file])
                    text = stream.read(size - ends[file]).decode(errors="replace")
                ends[file] = size
                prefix = f"{name} | " if len(files) > 1 else ""
                typer.echo("\n".join(prefix + line for line in text.splitlines()))
        time.sleep(FOLLOW_SECONDS)


def _status_table(parts: list[PartStatus]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("part", "state", "pid", "address", "since"):
        table.add_column(column)
    for part in parts:
        state = f"[{STATE_STYLES.get(part.state, 'white')}]{part.state}[/]"
        table.add_row(part.name, state, str(part.pid or ""), part.address, part.since or "")
    return table


def _print_document(document: object, output: Output) -> None:
    if output is Output.json:
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(yaml.safe_dump(document, sort_keys=False).rstrip())
