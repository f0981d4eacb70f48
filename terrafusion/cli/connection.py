"""What every command that talks to the gateway shares: its flags, and errors as words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from terrafusion.cli.config import address
from terrafusion.cli.output import console, fail, say
from terrafusion.client import ApiError, Client, ClientError

Server = Annotated[
    str | None,
    typer.Option("--server", help="The gateway's address. Default: TERRAFUSION_URL, else the local stack's."),
]
Key = Annotated[
    str | None,
    typer.Option("--key", help="An API key; better in TERRAFUSION_API_KEY. Default: the local stack's."),
]
PairArgument = Annotated[str, typer.Argument(metavar="PAIR", help="Name of the sync pair.")]


@contextmanager
def connected(server: str | None, key: str | None) -> Iterator[Client]:
    """A client of the chosen gateway; what goes wrong is printed, and the command exits with 1."""
    chosen = address(server, key)
    try:
        with Client(chosen.url, chosen.key, on_wait=say) as client:
            yield client
    except ApiError as error:
        raise explain(error, chosen.key) from None
    except ClientError as error:
        raise fail(str(error)) from None


def explain(error: ApiError, key: str = "-") -> typer.Exit:
    """Print a problem with every error in it."""
    if error.errors:
        exit_code = fail(f"refused, {len(error.errors)} {'error' if len(error.errors) == 1 else 'errors'}:")
        for item in error.errors:
            allowed = f" (allowed: {item['allowed']})" if item.get("allowed") else ""
            console(stderr=True).print(
                f"  {item.get('path', '')}: {item.get('message', '')}{allowed}", markup=False, soft_wrap=True
            )
        return exit_code
    hint = ""
    if error.status == 401 and not key:
        hint = " No key is known here: set TERRAFUSION_API_KEY, or run `terrafusion stack up`."
    trace = f" (trace id {error.trace_id})" if error.status >= 500 and error.trace_id else ""
    return fail(f"{error}{hint}{trace}")
