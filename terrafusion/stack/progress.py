"""Shows how the start of several parts goes: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

STYLES = {
    "running": "green",
    "installed": "green",
    "failed": "bold red",
    "stopped": "dim",
    "skipped": "yellow",
}


class Progress(Protocol):
    """Told about every step, from several threads."""

    def tell(self, part: str, state: str, detail: str = "") -> None: ...


class Silent:
    """Shows nothing."""

    def tell(self, part: str, state: str, detail: str = "") -> None:
        """Drop it."""


@dataclass
class _Line:
    state: str = "waiting"
    detail: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None


class ConsoleProgress:
    """A context manager that shows one line a part while it is open."""

    def __init__(self, console: Console, parts: Iterable[str]) -> None:
        self._console = console
        self._lines = {part: _Line() for part in parts}
        self._lock = threading.Lock()
        self.failures = 0
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4)

    def __enter__(self) -> ConsoleProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def tell(self, part: str, state: str, detail: str = "") -> None:
        """Show the part's state; plain lines are printed only when it changes, a failure at once and whole."""
        with self._lock:
            line = self._lines.setdefault(part, _Line())
            changed = line.state != state
            if changed and line.state == "waiting":
                line.began = time.monotonic()
            line.state, line.detail = state, detail.partition("\n")[0]
            line.ended = time.monotonic() if state in STYLES else None
            self.failures += changed and state == "failed"
            if changed and (state == "failed" or not self._console.is_terminal):
                self._console.print(
                    f"{part}: {state} {detail}".rstrip(), highlight=False, markup=False, soft_wrap=True
                )

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        now = time.monotonic()
        with self._lock:
            for part, line in self._lines.items():
                seconds = "" if line.state == "waiting" else f"{(line.ended or now) - line.began:.0f} s"
                table.add_row(
                    part, f"[{STYLES.get(line.state, 'cyan')}]{line.state}[/]", seconds, line.detail
                )
        return table
