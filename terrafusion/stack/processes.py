"""Detached processes: start, recognise again, stop with everything that they started.

A process is recognised by pid *and* start time *and* boot, so that a pid used again by a stranger (after a crash or
a reboot) is never taken for ours, let alone killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from terrafusion.stack.files import read_json, write_json

MARK = "TERRAFUSION_STACK_PART"
LOG_ROTATE_BYTES = 20 * 1024 * 1024
LOGS_KEPT = 3
CHILD_SECONDS = 5.0
START_TOLERANCE_SECONDS = 0.05
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Launch:
    """How a part is started: command line, whole environment, working folder."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class Record:
    """What is remembered of a started process. `started` is in seconds since the boot `boot`."""

    part: str
    pid: int
    started: float
    boot: str
    since: str
    ports: tuple[int, ...] = ()
    state: str = "starting"

    def alive(self) -> bool:
        """Does this very process run (a zombie does not)?"""
        if self.boot != boot_id():
            return False
        return is_alive(self.pid, self.started)


def boot_id() -> str:
    """A name of the machine's current boot; times since boot mean nothing across boots."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def start_time(pid: int) -> float | None:
    """When the process started, None when there is none (or only a zombie).

    Seconds since boot where /proc tells it (a stepped wall clock does not change it), else since the epoch.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _created(pid)
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _created(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def is_alive(pid: int, started: float) -> bool:
    """Does a process with this pid and this start time run?"""
    found = start_time(pid)
    return found is not None and abs(found - started) <= START_TOLERANCE_SECONDS


def load(folder: Path, part: str) -> Record | None:
    """The record of a part, None when it was never started or its file is damaged."""
    document = read_json(folder / f"{part}.json")
    try:
        return Record(**{**document, "ports": tuple(document.get("ports", ()))}) if document else None
    except TypeError:
        return None


def save(folder: Path, record: Record) -> None:
    """Write a part's record."""
    write_json(folder / f"{record.part}.json", asdict(record))


def start(part: str, launch: Launch, log: Path, ports: tuple[int, ...], mark: str) -> Record:
    """Start the process detached, in a session of its own, output to its log; returns its record.

    `mark` goes into its environment, by which children that outlive it are found.
    """
    rotate(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            launch.argv,
            env={**launch.environment, MARK: mark},
            cwd=launch.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    reap()
    _children.append(process)
    started = start_time(process.pid)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Record(part, process.pid, started or 0.0, boot_id(), now, ports)


def reap() -> None:
    """Collect the exit codes of children that ended, so that none stays as a zombie."""
    _children[:] = [child for child in _children if child.poll() is None]


def rotate(log: Path) -> None:
    """Move a big log aside (`.1`, `.2`, …); a small one is continued."""
    if not log.exists() or log.stat().st_size < LOG_ROTATE_BYTES:
        return
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))


def family(record: Record | None, mark: str, folder: Path | None = None) -> dict[int, float]:
    """pid → start time of the process and everything it started, also when it is dead itself.

    Found by descent, by session, by the mark in the environment, and (for PostgreSQL, whose backends leave the
    session and overwrite their environment) by the data folder they work in.
    """
    found: dict[int, float] = {}
    same_boot = record is not None and record.boot == boot_id()
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        begun = start_time(process.pid)
        if begun is not None and (
            (record is not None and same_boot and _in_session(process.pid, record, begun))
            or _marked(process, mark)
            or (folder is not None and _works_in(process, folder))
        ):
            found[process.pid] = begun
    if record is not None and record.alive():
        found[record.pid] = record.started
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(record.pid).children(recursive=True):
                if (begun := start_time(child.pid)) is not None:
                    found[child.pid] = begun
    return found


def _in_session(pid: int, record: Record, begun: float) -> bool:
    with contextlib.suppress(OSError):
        leader = start_time(record.pid)
        reused = leader is not None and abs(leader - record.started) > START_TOLERANCE_SECONDS
        return not reused and os.getsid(pid) == record.pid and begun >= record.started
    return False


def _marked(process: psutil.Process, mark: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return bool(process.environ().get(MARK) == mark)
    return False


def working_in(folder: Path) -> dict[int, float]:
    """pid → start time of PostgreSQL's processes that work in this data folder."""
    found = {p.pid: start_time(p.pid) for p in psutil.process_iter() if _works_in(p, folder)}
    return {pid: begun for pid, begun in found.items() if begun is not None}


def _works_in(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.name().startswith("postgres") and process.cwd() == str(folder.resolve())
    return False


def send(pid: int, started: float, number: int) -> None:
    """Signal the process if it still is the same one."""
    if is_alive(pid, started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_gone(members: Mapping[int, float], seconds: float) -> dict[int, float]:
    """Wait until these processes are gone; returns those still there after `seconds`."""
    deadline = time.monotonic() + seconds
    while left := {pid: begun for pid, begun in members.items() if is_alive(pid, begun)}:
        reap()
        if time.monotonic() >= deadline:
            break
        time.sleep(0.05)
    return left


def stop(record: Record, mark: str, steps: Iterable[tuple[int, float]], folder: Path | None = None) -> bool:
    """Stop the process: each step sends a signal and waits so many seconds, then SIGKILL to what is left.

    Children are looked up before the first signal and again at the end, so that none is left; they get SIGTERM once
    the process is gone. Returns whether all ended without SIGKILL.
    """
    members = family(record, mark, folder)
    own = {record.pid: record.started} if record.pid in members else {}
    for number, seconds in steps:
        for pid, begun in own.items():
            send(pid, begun, number)
        own = wait_gone(own, seconds)
        if not own:
            break
    killed = kill(own)
    members.update(family(record, mark, folder))
    return end(members, CHILD_SECONDS) and not killed


def end(members: Mapping[int, float], seconds: float) -> bool:
    """SIGTERM to these processes, after `seconds` SIGKILL; returns whether none needed it."""
    for pid, begun in members.items():
        send(pid, begun, signal.SIGTERM)
    return not kill(wait_gone(members, seconds if members else 0.0))


def kill(members: Mapping[int, float]) -> bool:
    """SIGKILL these processes and wait for them; returns whether there were any."""
    for pid, begun in members.items():
        send(pid, begun, signal.SIGKILL)
    wait_gone(members, 10.0)
    return bool(members)
