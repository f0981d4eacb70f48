"""The stack that the end-to-end tests share: a state folder and ports of its own, a small county, a running pair."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from terrafusion.demo.comparison import ComparedTable
from terrafusion.demo.databases import source_address, target_address
from terrafusion.demo.flow import Demo, DemoOptions
from terrafusion.demo.live import LiveLoad
from terrafusion.demo.manifests import PAIR
from terrafusion.demo.product import Operation
from terrafusion.stack import Stack
from tests.conftest import make_home

PARCELS = 2000


def eventually(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until it holds, or fail saying what did not come about."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that were started for this state folder and still run."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            environment = process.environ()
            words = process.cmdline()
            zombie = process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        ours = environment.get("TERRAFUSION_HOME") == str(home) or any(str(home) in word for word in words)
        if ours and not zombie and process.pid != os.getpid():
            found.append(f"{process.pid} {' '.join(words)}")
    return found


@pytest.fixture
def demo_home(tmp_path: Path) -> Iterator[Path]:
    """A state folder with ports of its own; nothing runs yet, and nothing afterwards."""
    home = make_home(tmp_path)
    yield home.root
    Stack(home).down()


@dataclass(frozen=True)
class DemoStack:
    """The running stack with the demo's pair in it, and what tests do to it."""

    stack: Stack
    demo: Demo
    source: str
    target: str

    def live_load(self, rate: float = 200.0, seed: int = 5) -> LiveLoad:
        return LiveLoad(self.source, rate, seed)

    def pid(self, part: str) -> int | None:
        """The part's process (also of `syncservice`), None while it does not run."""
        line = next((line for line in self.stack.status() if line.name == part), None)
        return line.pid if line is not None and line.state == "running" else None

    def kill(self, part: str) -> int:
        """kill -9; returns the pid that was."""
        pid = self.pid(part)
        assert pid is not None, f"{part} does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    def settle(self) -> None:
        """With the source quiet: everything committed until now is applied."""
        self.demo.catch_up()

    def verify(self) -> dict[str, Any]:
        return self.demo.verify()

    def differing(self) -> list[ComparedTable]:
        """What the comparison that does not use the product finds."""
        return [table for table in self.demo.compare() if table.differences]

    def operation(self, kind: str) -> Operation:
        product = self.demo.product
        return product.follow(product.start(PAIR, kind), 300)


@pytest.fixture(scope="session")
def demo_stack(stack: Stack) -> DemoStack:
    """The session's stack with a county of 2,000 parcels whose first full sync is done."""
    demo = Demo(stack, DemoOptions(parcels=PARCELS, seed=3), Console(stderr=True, width=160))
    demo.start_stack()
    demo.remove_earlier_pair()
    demo.make_databases()
    demo.first_full_sync()
    environment = stack.env()
    return DemoStack(
        stack, demo, source_address(environment["SOURCE_DSN"]), target_address(environment["TARGET_DSN"])
    )
