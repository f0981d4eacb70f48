"""The life of the demo's sync pair as the API shows it: removed, begun, running."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from terrafusion.demo.errors import DemoError
from terrafusion.demo.manifests import PAIR, SYSTEMS
from terrafusion.demo.product import POLL_SECONDS, Operation, Product
from terrafusion.demo.screen import Step

DELETE_SECONDS = 120.0
SETTLE_SECONDS = 120.0


def refuse_other_pairs(product: Product) -> None:
    """The demo makes its databases anew, so no pair but its own may use them."""
    others = [_name(pair) for pair in product.pairs() if _name(pair) != PAIR and _uses_demo_systems(pair)]
    if others:
        raise DemoError(
            f"sync pairs of yours use the demo's databases, which are about to be made anew: {' '.join(others)}",
            f"terrafusion delete sync-pair {others[0]}",
        )


def remove_pair(product: Product, step: Step) -> None:
    """Delete the demo's pair and wait until connector, slot and topics are gone with it."""
    product.delete_pair(PAIR)
    deadline = time.monotonic() + DELETE_SECONDS
    while (pair := product.pair(PAIR)) is not None:
        if time.monotonic() > deadline:
            reason = pair.get("reason") or "no reason given"
            raise DemoError(
                f"the pair is still {pair.get('state')} after {DELETE_SECONDS:.0f} s: {reason}",
                "terrafusion stack logs syncservice",
            )
        time.sleep(POLL_SECONDS)
    step.say("connector, slot and topics are gone")


def first_full_operation(product: Product, known: set[str], seconds: float, step: Step) -> Operation:
    """The full sync that a new pair begins with: the first one whose id is not among `known`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for operation in product.operations(PAIR):
            if operation.id not in known and operation.kind == "full":
                return operation
        _look(product, step)
        time.sleep(POLL_SECONDS)
    raise DemoError("the new pair has not begun its full sync", "terrafusion stack logs syncservice")


def wait_until_running(product: Product, step: Step) -> None:
    """Wait until changes are applied as they come."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while _look(product, step) != "running":
        if time.monotonic() > deadline:
            raise DemoError(
                "the pair does not run after its full sync", f"terrafusion describe sync-pair {PAIR}"
            )
        time.sleep(POLL_SECONDS)


def _look(product: Product, step: Step) -> str:
    """The pair's state, shown; a pair that halted ends the demo with its reason."""
    pair = product.pair(PAIR) or {}
    state, reason = str(pair.get("state") or "unknown"), str(pair.get("reason") or "")
    if state == "halted":
        raise DemoError(f"the pair halted: {reason}", f"terrafusion describe sync-pair {PAIR}")
    step.say(f"pair is {state} {reason}".rstrip())
    return state


def _name(pair: Mapping[str, Any]) -> str:
    return str(pair.get("name") or (pair.get("metadata") or {}).get("name"))


def _uses_demo_systems(pair: Mapping[str, Any]) -> bool:
    spec = pair.get("spec") or {}
    return spec.get("source") in SYSTEMS or spec.get("target") in SYSTEMS
