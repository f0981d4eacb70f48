"""The command line program `terrafusion`."""

from __future__ import annotations

import typer

from terrafusion.cli import stack

app = typer.Typer(
    no_args_is_help=True, help="Replication of county systems through Kafka.", pretty_exceptions_enable=False
)
app.add_typer(stack.app, name="stack")


@app.callback()
def main() -> None:
    """Replication of county systems through Kafka."""
