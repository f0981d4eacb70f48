"""`terrafusion operations`."""

from __future__ import annotations

from typing import Annotated

import typer

from terrafusion.cli import output
from terrafusion.cli.connection import Key, Server, connected
from terrafusion.cli.kinds import OPERATION_COLUMNS, operation_row
from terrafusion.cli.output import Output, OutputOption, say
from terrafusion.cli.waiting import follow

app = typer.Typer(no_args_is_help=True, help="Full syncs, catch-ups and verifications.")
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the operation.")]


@app.command("list")
def list_operations(
    pair: Annotated[str | None, typer.Option("--pair", help="Only of this pair.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="queued, running, succeeded, failed, cancelled.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="At most so many, newest first.")
    ] = 20,
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """List operations, newest first.

    Example: terrafusion operations list --pair pacs-to-cama
    """
    with connected(server, key) as client:
        items = client.operations(pair=pair, state=state, limit=limit)
    if output_format is Output.table:
        rows = [operation_row(item) for item in items]
        output.table(OPERATION_COLUMNS, rows, empty="No operation yet. Start one: terrafusion sync full PAIR")
    else:
        output.document({"items": items}, output_format)


@app.command()
def show(
    id: Id,
    wait: Annotated[bool, typer.Option("--wait", help="Show the progress and wait for the end.")] = False,
    output_format: OutputOption = Output.yaml,
    server: Server = None,
    key: Key = None,
) -> None:
    """Show one operation with its counts and result.

    Example: terrafusion operations show 0f8fad5b-d9cb-469f-a165-70867728950e
    """
    with connected(server, key) as client:
        operation = client.operation(id)
        if wait:
            operation = follow(client, operation)
    if output_format is Output.table:
        output.table(OPERATION_COLUMNS, [operation_row(operation)])
    else:
        output.document(operation, output_format)


@app.command()
def cancel(id: Id, server: Server = None, key: Key = None) -> None:
    """Cancel an operation: a queued one at once, a running one at its next step.

    Example: terrafusion operations cancel 0f8fad5b-d9cb-469f-a165-70867728950e
    """
    with connected(server, key) as client:
        operation = client.cancel(id)
    say(f"Operation {id} is {'being ' if operation['state'] == 'running' else ''}cancelled.")
