"""`terrafusion keys`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from terrafusion.cli import output
from terrafusion.cli.connection import Key, Server, connected
from terrafusion.cli.kinds import KEY_COLUMNS, key_row
from terrafusion.cli.output import Output, OutputOption, fail, say

app = typer.Typer(no_args_is_help=True, help="API keys; an admin key is needed.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    scope: Annotated[str, typer.Option("--scope", "-s", help="read, operate or admin.")] = "read",
    pair: Annotated[
        list[str] | None, typer.Option("--pair", help="Only for this sync pair; repeatable.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="In so many days (90d), or a date (2030-01-31).")
    ] = None,
    output_format: OutputOption = Output.table,
    server: Server = None,
    key: Key = None,
) -> None:
    """Create a key; it is shown only now.

    Example: terrafusion keys create dashboards --scope read --expires 90d
    """
    until = _until(expires)
    with connected(server, key) as client:
        made = client.create_key(name, [scope], pair, until)
    if output_format is Output.table:
        say(f"Key {made['id']} ({', '.join(made['scopes'])}), shown only now:")
        typer.echo(made["key"])
    else:
        output.document(made, output_format)


@app.command("list")
def list_keys(output_format: OutputOption = Output.table, server: Server = None, key: Key = None) -> None:
    """List keys, without their secrets.

    Example: terrafusion keys list
    """
    with connected(server, key) as client:
        items = client.keys()
    if output_format is Output.table:
        output.table(KEY_COLUMNS, [key_row(item) for item in items])
    else:
        output.document({"items": items}, output_format)


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, the part after tf_.")],
    server: Server = None,
    key: Key = None,
) -> None:
    """End a key at once and for good.

    Example: terrafusion keys revoke n52qm5w1kmp3
    """
    with connected(server, key) as client:
        client.revoke_key(id)
    say(f"Key {id} is revoked.")


def _until(expires: str | None) -> str | None:
    if expires is None:
        return None
    days = re.fullmatch(r"([1-9][0-9]{0,4})d", expires)
    if days:
        return (datetime.now(UTC) + timedelta(days=int(days[1]))).isoformat(timespec="seconds")
    try:
        given = datetime.fromisoformat(expires)
    except ValueError:
        raise fail(f"--expires {expires!r} is neither days (90d) nor a date (2030-01-31).", code=2) from None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).isoformat(timespec="seconds")
