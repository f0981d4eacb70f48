"""The command line program `terrafusion`."""

from __future__ import annotations

import typer

from terrafusion.cli import connectors, demo, keys, manifests, operations, serve, stack, status, sync

app = typer.Typer(
    no_args_is_help=True,
    help="Replication of county systems through Kafka.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(stack.app, name="stack")
app.command()(serve.serve)
app.command()(manifests.apply)
app.command()(manifests.get)
app.command()(manifests.describe)
app.command()(manifests.delete)
app.add_typer(sync.app, name="sync")
app.command()(sync.pause)
app.command()(sync.resume)
app.command()(status.status)
app.command()(sync.verify)
app.add_typer(operations.app, name="operations")
app.add_typer(connectors.app, name="connectors")
app.add_typer(keys.app, name="keys")
app.command()(demo.demo)


@app.callback()
def main() -> None:
    """Replication of county systems through Kafka."""
