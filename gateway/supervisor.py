"""Keeps SyncService running: started as a child, asked every second whether it lives, replaced when it does not.

One supervisor even with several gateways on a machine: whoever holds the lock file supervises, the others watch and
take over when the lock becomes free. A child left by a killed gateway is adopted.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from gateway import child as children
from gateway.child import Child
from gateway.service_state import ServiceState

_log = structlog.get_logger("gateway.supervisor")


@dataclass(frozen=True)
class Plan:
    """How SyncService is started and watched; times in seconds.

    `interval`: between two questions; `deadline`: for one answer; `patience`: for the first answer; `failures`: in a
    row until it counts as hung; `grace`: after SIGTERM; `backoff`, `backoff_limit`: before a restart, doubled each
    time until the child has been well for `steady`.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    state_dir: Path
    interval: float = 1.0
    deadline: float = 2.0
    patience: float = 30.0
    failures: int = 3
    grace: float = 20.0
    backoff: float = 0.5
    backoff_limit: float = 30.0
    steady: float = 60.0

    @property
    def log(self) -> Path:
        return self.state_dir / "logs" / "syncservice.log"

    @property
    def record(self) -> Path:
        return self.state_dir / "run" / "syncservice.json"

    @property
    def lock(self) -> Path:
        return self.state_dir / "run" / "supervisor.lock"


@dataclass
class _Loop:
    """What the supervisor remembers between two children."""

    quick_ends: int = 0
    adopted: bool = False


def answers(address: str, deadline: float) -> bool:
    """Whether SyncService at `address` answers its liveness question within `deadline` seconds."""
    try:
        return httpx.get(f"{address}/livez", timeout=deadline, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def pause_before_restart(plan: Plan, quick_ends: int) -> float:
    """Seconds to wait when `quick_ends` children in a row have ended soon: doubled each time up to a limit, with a
    quarter of jitter either way."""
    return min(plan.backoff_limit, plan.backoff * 2.0**quick_ends) * random.uniform(0.75, 1.25)  # noqa: S311


class Supervisor:
    """A thread. `on_restart(reason)` is called for every restart, from that thread."""

    def __init__(
        self,
        plan: Plan,
        state: ServiceState,
        on_restart: Callable[[str], None] = lambda reason: None,
        probe: Callable[[str, float], bool] = answers,
    ) -> None:
        self._plan = plan
        self._state = state
        self._on_restart = on_restart
        self._probe = probe
        self._stopping = threading.Event()
        self._asked: str | None = None
        self._wake = threading.Event()
        self._loop = _Loop()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to supervise, or to watch while another gateway supervises."""
        self._thread.start()

    def stop(self) -> None:
        """Stop SyncService gracefully (SIGTERM, `grace`, SIGKILL) if it is ours, then the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._plan.grace + self._plan.deadline + 5)

    def restart(self, reason: str) -> None:
        """Ask for a graceful restart; it happens within a second."""
        self._asked = reason
        self._wake.set()

    def _run(self) -> None:
        with _Lock(self._plan.lock) as lock:
            while not self._stopping.is_set() and not lock.taken():
                self._look_on()
            if self._stopping.is_set():
                return
            self._supervise()

    def _look_on(self) -> None:
        """Another gateway supervises: only know how SyncService does."""
        if self._probe(self._plan.address, self._plan.deadline):
            self._state.answered()
        self._sleep(self._plan.interval)

    def _supervise(self) -> None:
        current = self._adopt()
        while not self._stopping.is_set():
            current = current or self._start()
            reason = self._watch(current) if current else "SyncService could not be started"
            if reason is not None:
                self._replace(current, reason)
                current = None
        if current is not None:
            self._end(current)
        self._plan.record.unlink(missing_ok=True)
        self._state.gone()

    def _adopt(self) -> Child | None:
        found = children.read_record(self._plan.record)
        if found is not None:
            _log.info("took over a running SyncService", pid=found.pid)
            self._loop.adopted = True
            self._state.started(found.pid, supervised_here=True)
        return found

    def _start(self) -> Child | None:
        self._loop.adopted, self._asked = False, None
        try:
            started = children.start(self._plan.command, self._plan.environment, self._plan.log)
            children.write_record(self._plan.record, started, self._plan.address)
        except OSError as error:
            _log.error("SyncService cannot be started", command=self._plan.command[0], error=str(error))
            return None
        self._state.started(started.pid, supervised_here=True)
        _log.info("started SyncService", pid=started.pid, log=str(self._plan.log))
        return started

    def _watch(self, current: Child) -> str | None:
        """Until the child has to be replaced (the reason) or the supervisor stops (None)."""
        began = time.monotonic()
        answered, missed = self._loop.adopted, 0
        while not self._stopping.is_set():
            if self._asked is not None:
                return self._asked
            if not current.alive():
                return f"SyncService {current.end()}"
            if self._probe(self._plan.address, self._plan.deadline):
                answered, missed = True, 0
                if current.alive():
                    self._state.answered()
                if time.monotonic() - began > self._plan.steady:
                    self._loop.quick_ends = 0
            elif answered or time.monotonic() - began > self._plan.patience:
                missed += 1
                if missed >= self._plan.failures:
                    return f"SyncService did not answer {missed} times in a row"
            self._sleep(self._plan.interval)
        return None

    def _replace(self, current: Child | None, reason: str) -> None:
        asked, self._asked = self._asked, None
        self._state.gone()
        self._state.restarted(reason)
        _log.warning("restarting SyncService", reason=reason, log=str(self._plan.log))
        if current is not None and asked is not None:
            self._end(current)
        elif current is not None:
            current.send(signal.SIGKILL)
            current.wait(self._plan.grace)
        self._plan.record.unlink(missing_ok=True)
        self._on_restart(reason)
        if asked is None:
            self._back_off()

    def _back_off(self) -> None:
        seconds = pause_before_restart(self._plan, self._loop.quick_ends)
        self._loop.quick_ends = min(self._loop.quick_ends + 1, 20)
        self._sleep(seconds)

    def _end(self, current: Child) -> None:
        current.send(signal.SIGTERM)
        if not current.wait(self._plan.grace):
            _log.warning("SyncService did not stop in time", seconds=self._plan.grace, pid=current.pid)
            current.send(signal.SIGKILL)
            current.wait(self._plan.grace)

    def _sleep(self, seconds: float) -> None:
        """Until `seconds` have passed, or the supervisor is to stop or restart."""
        if self._wake.wait(seconds) and not self._stopping.is_set():
            self._wake.clear()


class _Lock:
    """An exclusive lock file; the kernel frees it when the process ends in whatever way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> _Lock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        return self

    def taken(self) -> bool:
        """Whether we hold it now."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
