"""Stops parts in the reverse of the order in which they depend on each other, and leaves no process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from terrafusion.stack import processes, syncservice
from terrafusion.stack.part import Part, Site
from terrafusion.stack.progress import Progress
from terrafusion.stack.starting import mark, stop_part

LEFTOVER_SECONDS = 30.0
LAST_UP = "gateway"  # it uses everything, and goes first


@dataclass
class Stop:
    """One `down`."""

    site: Site
    parts: Mapping[str, Part]
    progress: Progress

    def run(self, names: tuple[str, ...]) -> None:
        """Stop these parts; each waits for those that use it and are being stopped too."""
        gone = {name: threading.Event() for name in names}
        with ThreadPoolExecutor(len(names)) as pool:
            futures: list[Future[None]] = [pool.submit(self._stop_in_turn, name, gone) for name in names]
        for future in futures:
            future.result()

    def _stop_in_turn(self, name: str, gone: Mapping[str, threading.Event]) -> None:
        try:
            for user, part in self.parts.items():
                if user in gone and (name in (*part.needs, *part.after) or user == LAST_UP != name):
                    gone[user].wait()
            self._stop(self.parts[name])
        finally:
            gone[name].set()

    def _stop(self, part: Part) -> None:
        home = self.site.home
        record = processes.load(home.run, part.name)
        self.progress.tell(part.name, "stopping")
        if record is not None and record.alive():
            orderly = stop_part(self.site, part, record)
        else:
            leftovers = processes.family(record, mark(self.site, part.name), part.working_folder)
            orderly = processes.end(leftovers, LEFTOVER_SECONDS)
        if part.name == "gateway":
            syncservice.stop(home)
        (home.run / f"{part.name}.json").unlink(missing_ok=True)
        self.progress.tell(part.name, "stopped", "" if orderly else "killed")
