"""One SyncService process: started by us, or left by an earlier gateway and taken over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

CREATE_TIME_TOLERANCE_S = 1.5
LOG_LIMIT_BYTES = 50_000_000


@dataclass
class Child:
    """A process known by pid and creation time, so that a pid used again is never mistaken for it."""

    pid: int
    create_time: float
    process: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        if self.process is not None:
            return self.process.poll() is None
        return running_since(self.pid) is not None and self._same()

    def end(self) -> str:
        """How it ended, in words."""
        code = self.process.poll() if self.process is not None else None
        if code is None:
            return "died"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def send(self, number: signal.Signals) -> None:
        """Signal it and what it started; gone is fine."""
        if not self.alive():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it still runs then."""
        try:
            if self.process is not None:
                self.process.wait(seconds)
            elif self._same():
                psutil.Process(self.pid).wait(seconds)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            return False
        except psutil.Error:
            return True
        return True

    def _same(self) -> bool:
        since = running_since(self.pid)
        return since is not None and abs(since - self.create_time) < CREATE_TIME_TOLERANCE_S


def running_since(pid: int) -> float | None:
    """The creation time (seconds since the epoch) of a running process, None when there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start SyncService in a session of its own, so that a signal to the gateway's terminal does not reach it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(process.pid, running_since(process.pid) or datetime.now(UTC).timestamp(), process)


def write_record(file: Path, child: Child, address: str) -> None:
    """Note the child for the next gateway and for `terrafusion stack`, at once or not at all."""
    record = {
        "pid": child.pid,
        "create_time": child.create_time,
        "address": address,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps(record), encoding="ascii")
    draft.replace(file)


def read_record(file: Path) -> Child | None:
    """The child that an earlier gateway left running, None when there is none."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        child = Child(int(record["pid"]), float(record["create_time"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return child if child.alive() else None
