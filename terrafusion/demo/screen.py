"""How the demo shows what it does: one line a step, live in a terminal, plain elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from terrafusion.demo.product import Operation


class Step:
    """What a step may say while it runs."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self.outcome = ""

    def say(self, text: str) -> None:
        """What is going on now; the last text stays as the step's outcome unless `outcome` is set."""
        self._progress.update(self._task, detail=escape(text))
        self.outcome = text

    def advance(self, done: float, total: float | None, text: str) -> None:
        """How far it is: the bar moves when the total is known."""
        self._progress.update(self._task, completed=done, total=total or None, detail=escape(text))


class Screen:
    """Prints steps as they begin and end."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step of the demo; its line ends with ✓ and the time it took, or with ✗ when an error leaves it."""
        began = time.monotonic()
        progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}[/]"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        step = Step(progress, progress.add_task(title, total=None, detail=""))
        try:
            with progress:
                yield step
        except BaseException:
            self._line("[bold red]✗[/]", title, step.outcome, began)
            raise
        self.done(title, step.outcome, began)

    def done(self, title: str, outcome: str, began: float) -> None:
        """The line of a step that showed its progress in its own way; `began` by time.monotonic."""
        self._line("[bold green]✓[/]", title, outcome, began)

    def _line(self, mark: str, title: str, outcome: str, began: float) -> None:
        seconds = time.monotonic() - began
        said = f" – {escape(outcome)}" if outcome else ""
        self.console.print(
            f"{mark} [bold]{escape(title)}[/]{said} [dim]{seconds:.1f} s[/]", highlight=False, soft_wrap=True
        )


def show_operation(step: Step, operation: Operation) -> None:
    """Phase, rows done of total, rows/s."""
    progress = operation.progress
    done, total = float(progress.get("rows_done") or 0), float(progress.get("rows_total") or 0)
    rate = float(progress.get("rows_per_s") or 0)
    text = (
        f"{operation.phase or operation.state}: {done:,.0f}"
        + (f" of {total:,.0f}" if total else "")
        + " rows"
    )
    step.advance(done, total or None, text + (f", {rate:,.0f} rows/s" if rate else ""))
