"""`terrafusion connectors`."""

from __future__ import annotations

from typing import Annotated

import typer

from terrafusion.cli import output
from terrafusion.cli.connection import Key, Server, connected
from terrafusion.cli.kinds import kind_named
from terrafusion.cli.output import Output, OutputOption, say

app = typer.Typer(no_args_is_help=True, help="The Debezium connectors of the source systems.")


@app.command("list")
def list_connectors(
    output_format: OutputOption = Output.table, server: Server = None, key: Key = None
) -> None:
    """List connectors with their state and what is wrong with them.

    Example: terrafusion connectors list
    """
    kind = kind_named("connectors")
    with connected(server, key) as client:
        items = client.connectors()
    if output_format is Output.table:
        output.table(kind.columns, [kind.row(item) for item in items], empty=kind.empty)
    else:
        output.document({"items": items}, output_format)


@app.command()
def restart(
    name: Annotated[str, typer.Argument(metavar="NAME")], server: Server = None, key: Key = None
) -> None:
    """Restart the failed tasks of a connector.

    Example: terrafusion connectors restart tf-pacs-1
    """
    with connected(server, key) as client:
        client.restart_connector(name)
    say(f"The failed tasks of connector {name} are being restarted.")
