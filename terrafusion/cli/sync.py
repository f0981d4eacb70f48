"""`terrafusion sync`, `pause`, `resume` and `verify`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from terrafusion.cli import output
from terrafusion.cli.connection import Key, PairArgument, Server, connected
from terrafusion.cli.differences import print_verification
from terrafusion.cli.output import Output, OutputOption, console, fail, say, seconds
from terrafusion.cli.waiting import follow
from terrafusion.client import Kind

Json = dict[str, Any]
app = typer.Typer(no_args_is_help=True, help="Start a full or an incremental sync.")
Tables = Annotated[
    list[str] | None, typer.Option("--table", "-t", help="Only this target table (schema.table); repeatable.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Show the progress and wait for the end.")]


@app.command()
def full(
    pair: PairArgument,
    table: Tables = None,
    wait: Wait = False,
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """Rebuild the target tables from the log while the live ones keep being served, then swap.

    Example: terrafusion sync full pacs-to-cama --wait
    """
    _start(pair, "full", table, wait, output_format, server, key)


@app.command()
def incremental(
    pair: PairArgument,
    table: Tables = None,
    wait: Wait = False,
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """Catch up with everything committed at the source until now.

    Example: terrafusion sync incremental pacs-to-cama --wait
    """
    _start(pair, "incremental", table, wait, output_format, server, key)


def verify(
    pair: PairArgument,
    table: Tables = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the result.")] = True,
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """Compare source and target row by row; exit 1 when they differ.

    Example: terrafusion verify pacs-to-cama
    """
    ended = _run(pair, "verify", table, wait, server, key)
    if output_format is not Output.table:
        output.document(ended, output_format)
    elif wait:
        _succeeded(ended)
        print_verification(ended["result"])
    if wait and not (ended["state"] == "succeeded" and ended["result"].get("equal") is True):
        raise typer.Exit(1)


def pause(pair: PairArgument, server: Server = None, key: Key = None) -> None:
    """Stop applying changes of a pair; they wait in Kafka.

    Example: terrafusion pause pacs-to-cama
    """
    with connected(server, key) as client:
        client.pause(pair)
    say(f"Sync pair {pair} is being paused; `terrafusion resume {pair}` goes on.")


def resume(pair: PairArgument, server: Server = None, key: Key = None) -> None:
    """Go on applying changes of a pair where it stopped.

    Example: terrafusion resume pacs-to-cama
    """
    with connected(server, key) as client:
        client.resume(pair)
    say(f"Sync pair {pair} goes on; `terrafusion status {pair}` shows it.")


def _start(
    pair: str,
    kind: Kind,
    tables: Sequence[str] | None,
    wait: bool,
    form: Output,
    server: str | None,
    key: str | None,
) -> None:
    ended = _run(pair, kind, tables, wait, server, key)
    if form is not Output.table:
        output.document(ended, form)
    elif wait:
        _succeeded(ended)
        _print_counts(ended)
    if wait and ended["state"] != "succeeded":
        raise typer.Exit(1)


def _run(
    pair: str, kind: Kind, tables: Sequence[str] | None, wait: bool, server: str | None, key: str | None
) -> Json:
    with connected(server, key) as client:
        operation = client.start(pair, kind, tables or ())
        if wait:
            return follow(client, operation)
    say(f"Operation {operation['id']} is {operation['state']}; terrafusion operations show {operation['id']}")
    return operation


def _succeeded(operation: Json) -> None:
    if operation["state"] == "succeeded":
        return
    error = operation.get("error") or {}
    why = f": {error.get('message', '')} {error.get('remedy', '')}".rstrip() if error else ""
    raise fail(f"The {operation['kind']} operation {operation['state']}{why}")


def _print_counts(operation: Json) -> None:
    result = operation.get("result") or {}
    if result.get("way"):
        why = f" ({result['why']})" if result.get("why") else ""
        console().print(f"By {result['way']}{why}", markup=False)
    names = ("read", "inserted", "updated", "deleted", "unchanged")
    rows = [
        (
            item.get("table"),
            *(item.get(name) for name in names),
            seconds(item.get("seconds")),
            round(item["rows_per_s"]) if item.get("rows_per_s") is not None else None,
        )
        for item in result.get("tables") or operation.get("metrics") or []
    ]
    columns = ["table", *(f"{name} >" for name in names), "duration >", "rows/s >"]
    output.table(columns, rows, empty=f"The {operation['kind']} operation succeeded.")
