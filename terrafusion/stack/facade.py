"""`Stack`: what the commands, the tests and the demo use."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from terrafusion.stack.config import Home
from terrafusion.stack.errors import StackError, StackUsageError
from terrafusion.stack.files import write_json
from terrafusion.stack.part import Site
from terrafusion.stack.parts import NAMES, all_parts, select, with_needs
from terrafusion.stack.ports import Ports
from terrafusion.stack.progress import Progress, Silent
from terrafusion.stack.starting import Start
from terrafusion.stack.status import PartStatus, status
from terrafusion.stack.stopping import Stop


@dataclass(frozen=True)
class Stack:
    """The local stack of one state folder. Its methods may be called from several processes at once."""

    home: Home

    @classmethod
    def here(cls) -> Stack:
        """The stack of `$TERRAFUSION_HOME`, or of the project around the current folder."""
        return cls(Home.here())

    def site(self, chosen: Mapping[str, int] | None = None) -> Site:
        return Site(self.home, Ports.load(self.home, chosen))

    def up(
        self,
        parts: Iterable[str] = (),
        *,
        without: Iterable[str] = (),
        ports: Mapping[str, int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Start what does not run of these parts (default all, less `without`) and of what they need.

        Returns when all are ready. `ports` are remembered. Raises StackError.
        """
        site = self.site(ports)
        known = all_parts(site)
        left_out = set(without)
        names = tuple(n for n in with_needs(known, select(parts)) if n not in left_out)
        if not names:
            raise StackError("no part is left to start", f"the parts are {', '.join(NAMES)}")
        self.home.make_folders()
        with self._alone():
            site.credentials.make_all()
            start = Start(site, known, progress or Silent())
            start.check(names)
            site.ports.save(self.home)
            write_json(self.home.environment_file, dict(site.addresses.environment()))
            start.run(names)

    def down(
        self, parts: Iterable[str] = (), *, purge: bool = False, progress: Progress | None = None
    ) -> None:
        """Stop these parts (default all). Data stays, unless `purge` (all parts only)."""
        names = select(parts)
        if purge and names != NAMES:
            raise StackUsageError("--purge takes no single parts", "`terrafusion stack down --purge`")
        if not self.home.run.exists():
            return
        site = self.site()
        with self._alone():
            Stop(site, all_parts(site), progress or Silent()).run(names)
            if purge:
                self._purge()

    def _purge(self) -> None:
        """Remove the data folders, and the secrets that belong to it. Jars and the API key stay."""
        for folder in (self.home.data, self.home.connect_secrets):
            shutil.rmtree(folder, ignore_errors=True)
        (self.home.config / "cluster-id").unlink(missing_ok=True)

    def status(self) -> list[PartStatus]:
        """Every part's state."""
        return status(self.site())

    def env(self) -> dict[str, str]:
        """The variables of `stack env`."""
        self.home.make_folders()
        return self.site().addresses.environment()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one `up` or `down` at a time; a second one waits. The lock ends with its process."""
        with (self.home.run / "stack.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
