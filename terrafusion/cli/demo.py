"""`terrafusion demo`: a synthetic county, replicated from PACS to CAMA on this machine."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Annotated

import psycopg
import typer
from rich.console import Console

from terrafusion.demo.county import LARGEST, SMALLEST
from terrafusion.demo.errors import DemoError
from terrafusion.demo.flow import Demo, DemoOptions
from terrafusion.demo.summary import print_next_steps
from terrafusion.stack import Stack, StackError


def demo(
    parcels: Annotated[int, typer.Option(min=SMALLEST, max=LARGEST, help="Size of the county.")] = 50_000,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Stop everything at the end; exit 0 only if source and target are equal."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same county and same changes.")] = 1,
) -> None:
    """Replicate a synthetic county from PACS to CAMA: full sync, live changes, verification, summary."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    console = Console()
    stack = Stack.here()
    equal = False
    try:
        equal = _run(Demo(stack, DemoOptions(parcels=parcels, seed=seed), console), console, keep=not once)
    except (DemoError, StackError, psycopg.Error) as error:
        _say(error)
    except KeyboardInterrupt:
        console.print("\ninterrupted", highlight=False)
    finally:
        if once:
            _stop_all(stack, console)
    raise typer.Exit(0 if equal else 1)


def _run(demo: Demo, console: Console, keep: bool) -> bool:
    """Run the demo; with `keep`, go on until Ctrl-C. True when source and target were found equal."""
    equal = demo.run().equal
    if keep:
        print_next_steps(console, demo.url, demo.home)
        try:
            demo.keep_changing()
        except KeyboardInterrupt:
            console.print(
                "\nThe changes have ended, the stack runs on: .venv/bin/terrafusion stack down stops it.",
                highlight=False,
                soft_wrap=True,
            )
    return equal


def _stop_all(stack: Stack, console: Console) -> None:
    """Stop every part; a second Ctrl-C must not leave half of them."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)
    console.print("Stopping the stack …", highlight=False)
    try:
        stack.down()
    except StackError as error:
        _say(error)
        raise typer.Exit(1) from None


def _say(error: Exception) -> None:
    Console(stderr=True).print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
