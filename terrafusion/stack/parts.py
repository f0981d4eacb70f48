"""The parts of the stack, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Iterable

from terrafusion.stack.broker import Broker
from terrafusion.stack.connect import Connect
from terrafusion.stack.errors import StackUsageError
from terrafusion.stack.gateway import Gateway
from terrafusion.stack.part import Part, Site
from terrafusion.stack.postgres import PostgresServer
from terrafusion.stack.registry import Registry

NAMES = ("control-db", "source-db", "target-db", "broker", "registry", "connect", "gateway")
JAVA_PARTS = frozenset({"broker", "registry", "connect"})


def all_parts(site: Site) -> dict[str, Part]:
    """Every part by its name."""
    databases = [PostgresServer(site, name) for name in ("control-db", "source-db", "target-db")]
    parts: list[Part] = [*databases, Broker(site), Registry(site), Connect(site), Gateway(site)]
    return {part.name: part for part in parts}


def select(names: Iterable[str]) -> tuple[str, ...]:
    """The named parts in listing order, all when none is named; raises StackUsageError for an unknown one."""
    chosen = set(names)
    if unknown := chosen.difference(NAMES):
        raise StackUsageError(
            f"there is no part {', '.join(sorted(unknown))}", f"the parts are {', '.join(NAMES)}"
        )
    return tuple(name for name in NAMES if name in chosen) if chosen else NAMES


def with_needs(parts: dict[str, Part], names: Iterable[str]) -> tuple[str, ...]:
    """These parts and every part that they cannot run without."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting.extend(parts[name].needs)
    return tuple(name for name in NAMES if name in wanted)
