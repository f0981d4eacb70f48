"""Starts parts side by side, each as soon as what it needs is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from terrafusion.stack import jars, processes, transforms
from terrafusion.stack.errors import StackError
from terrafusion.stack.java import make_class_archive
from terrafusion.stack.logs import last_lines
from terrafusion.stack.part import Part, Site
from terrafusion.stack.parts import JAVA_PARTS
from terrafusion.stack.ports import OF_PART, refuse_taken
from terrafusion.stack.processes import Record
from terrafusion.stack.progress import Progress

PROBE_INTERVAL_SECONDS = 0.1


@dataclass
class Start:
    """One `up`: the parts to bring up, and how far each has come."""

    site: Site
    parts: Mapping[str, Part]
    progress: Progress
    _ready: dict[str, Future[None]] = field(default_factory=dict)
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def run(self, names: tuple[str, ...]) -> None:
        """Bring these parts up; returns when all are ready, raises StackError naming all that failed."""
        self._ready = {name: Future() for name in names}
        with ThreadPoolExecutor(len(names) + 1) as pool:
            files = pool.submit(self._install) if JAVA_PARTS.intersection(names) else Future[None]()
            for name in names:
                pool.submit(self._settle, name, files)
            try:
                self._wait()
            except KeyboardInterrupt:
                self._cancelled.set()
                raise
        self._raise_failures()

    def _wait(self) -> None:
        while not all(future.done() for future in self._ready.values()):
            time.sleep(PROBE_INTERVAL_SECONDS)

    def _raise_failures(self) -> None:
        errors = [future.exception() for future in self._ready.values()]
        problems = [error for error in errors if error is not None and not isinstance(error, _Skipped)]
        if len(problems) == 1:
            raise problems[0]
        if problems:
            raise StackError("\n\n".join(str(problem) for problem in problems))

    def check(self, names: tuple[str, ...]) -> None:
        """Before anything is started: leftovers of dead parts go, then no wanted port may be held."""
        wanted: list[str] = []
        for name in names:
            record = processes.load(self.site.home.run, name)
            if record is not None and record.alive():
                self._refuse_moved(name, record)
                continue
            wanted.extend(self._clear(self.parts[name], record))
        refuse_taken(self.site.ports, wanted)

    def _clear(self, part: Part, record: Record | None) -> tuple[str, ...]:
        """Kill what a dead part left, unless its successor adopts it; returns the ports that must be free now."""
        leftovers = processes.family(record, mark(self.site, part.name), part.working_folder)
        if part.adopts and leftovers:
            return OF_PART[part.name][:1]
        processes.kill(leftovers)
        return OF_PART[part.name]

    def _refuse_moved(self, name: str, record: Record) -> None:
        wanted = self.site.ports.of(name)
        if record.ports != wanted:
            raise StackError(
                f"{name} runs on port {record.ports[0]}, not on {wanted[0]}",
                "`terrafusion stack down` first, then `up` with the other ports",
            )

    def _install(self) -> None:
        """Jars and transforms; the Java parts wait for it."""
        make_class_archive(self.site.home.class_archive)
        jars.install(self.site.home.jars, self._report_jars)
        transforms.build(self.site.home.jars)

    def _report_jars(self, done: int, count: int) -> None:
        if self._cancelled.is_set():
            raise _Skipped("cancelled")
        self.progress.tell("jars", "installed" if done == count else "installing", f"{done} of {count} files")

    def _settle(self, name: str, files: Future[None]) -> None:
        """Run one part's start and keep its outcome; nothing is raised here."""
        outcome = self._ready[name]
        try:
            self._await_needs(name)
            self._bring_up(self.parts[name], files if name in JAVA_PARTS else None)
        except _Skipped as skipped:
            self.progress.tell(name, "skipped", str(skipped))
            outcome.set_exception(skipped)
        except Exception as error:  # noqa: BLE001 - it is raised again by run()
            problem = _in_words(name, error, self.site.home.root)
            self.progress.tell(name, "failed", str(problem))
            outcome.set_exception(problem)
        else:
            outcome.set_result(None)

    def _await_needs(self, name: str) -> None:
        part = self.parts[name]
        for other in (*part.needs, *part.after):
            future = self._ready.get(other)
            if future is not None and future.exception() is not None and other in part.needs:
                raise _Skipped(f"{other} is not there")

    def _bring_up(self, part: Part, files: Future[None] | None) -> None:
        record = processes.load(self.site.home.run, part.name)
        if record is None or not record.alive():
            self.progress.tell(part.name, "preparing")
            if files is not None:
                files.result()
            launch = part.prepare()
            if self._cancelled.is_set():
                raise _Skipped("cancelled")
            log = self.site.home.log(part.name)
            record = processes.start(
                part.name, launch, log, self.site.ports.of(part.name), mark(self.site, part.name)
            )
            processes.save(self.site.home.run, record)
        self.progress.tell(part.name, "starting")
        try:
            self._await_ready(part, record)
        except StackError:
            stop_part(self.site, part, record)
            raise
        processes.save(self.site.home.run, replace(record, state="running"))
        part.finish()
        self.progress.tell(part.name, "running", self.site.addresses.of_part(part.name))

    def _await_ready(self, part: Part, record: Record) -> None:
        """Probe until ready. A part that died, or is not ready in time, is reported with the end of its log."""
        deadline = time.monotonic() + part.patience
        while not (part.ready() and record.alive()):  # alive too: a stranger may answer on its port
            if not record.alive():
                raise self._failure(part, "ended while starting")
            if time.monotonic() > deadline:
                raise self._failure(part, f"was not ready within {part.patience:.0f} s and is stopped again")
            if self._cancelled.wait(PROBE_INTERVAL_SECONDS):
                raise _Skipped("cancelled")

    def _failure(self, part: Part, what: str) -> StackError:
        return StackError(f"{part.name} {what}", part.remedy, last_lines(self.site.home.log(part.name)))


class _Skipped(Exception):
    """Not started, since a part that it needs is not there."""


def _in_words(name: str, error: Exception, folder: Path) -> Exception:
    if isinstance(error, OSError):
        return StackError(f"{name}: {error}", f"check that the disk is not full and that {folder} is yours")
    return error


def mark(site: Site, name: str) -> str:
    """What the environment of a part's processes says about whose they are."""
    return f"{name}@{site.home.root}"


def stop_part(site: Site, part: Part, record: Record) -> bool:
    """Stop a part with everything it started; returns whether it ended without SIGKILL."""
    return processes.stop(record, mark(site, part.name), part.stop_steps, part.working_folder)
