"""Starting and stopping in the order of needs, with small Python programs in the place of real parts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from terrafusion.stack import StackError, processes
from terrafusion.stack.config import Home
from terrafusion.stack.files import write_json
from terrafusion.stack.logs import last_lines
from terrafusion.stack.part import Part, Site, StopSteps
from terrafusion.stack.parts import NAMES
from terrafusion.stack.ports import DEFAULTS, Ports
from terrafusion.stack.processes import Launch
from terrafusion.stack.starting import Start
from terrafusion.stack.status import status
from terrafusion.stack.stopping import Stop

SLEEP = "import time; time.sleep(60)"
DIE = "print('line 1'); print('the reason', flush=True); raise SystemExit(3)"


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds at this moment; all are held at once, so that they differ."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


@dataclass
class Notes:
    """A progress that remembers."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, part: str, state: str, detail: str = "") -> None:
        self.told.append((part, state))

    def states(self, part: str) -> list[str]:
        return [state for name, state in self.told if name == part]


@dataclass
class Program:
    """A part that runs a Python one-liner and is ready when `is_ready`."""

    site: Site
    name: str
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    code: str = SLEEP
    is_ready: bool = True
    patience: float = 20.0
    stop_steps: StopSteps = ((signal.SIGTERM, 5.0),)
    working_folder: Path | None = None
    adopts: bool = False
    remedy: str = "the remedy"
    finished: int = 0

    def prepare(self) -> Launch:
        return Launch((sys.executable, "-c", self.code), dict(os.environ), self.site.home.root)

    def ready(self) -> bool:
        return self.is_ready and processes.load(self.site.home.run, self.name) is not None

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    home = Home(tmp_path / "state")
    home.make_folders()
    site = Site(home, Ports(0, dict(zip(DEFAULTS, free_ports(len(DEFAULTS)), strict=True))))
    yield site
    for name in NAMES:
        record = processes.load(home.run, name)
        processes.kill(processes.family(record, f"{name}@{home.root}"))


def start(site: Site, *programs: Program) -> Notes:
    notes = Notes()
    parts: dict[str, Part] = {program.name: program for program in programs}
    run = Start(site, parts, notes)
    run.check(tuple(parts))
    run.run(tuple(parts))
    return notes


def stop(site: Site, *programs: Program) -> Notes:
    notes = Notes()
    Stop(site, {program.name: program for program in programs}, notes).run(tuple(p.name for p in programs))
    return notes


def states(site: Site) -> dict[str, str]:
    return {line.name: line.state for line in status(site)}


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terrafusion.stack.starting.JAVA_PARTS", frozenset())


def test_a_part_starts_after_what_it_needs_and_stops_before_it(site: Site) -> None:
    database = Program(site, "control-db")
    gateway = Program(site, "gateway", needs=("control-db",))
    notes = start(site, gateway, database)
    assert notes.told.index(("control-db", "running")) < notes.told.index(("gateway", "starting"))
    assert states(site)["gateway"] == "running"
    notes = stop(site, database, gateway)
    assert notes.told.index(("gateway", "stopped")) < notes.told.index(("control-db", "stopped"))
    assert set(states(site).values()) == {"stopped"}


def test_a_second_up_leaves_running_parts_alone(site: Site) -> None:
    program = Program(site, "broker")
    start(site, program)
    pid = processes.load(site.home.run, "broker")
    start(site, program)
    assert processes.load(site.home.run, "broker") == pid


def test_a_killed_part_is_failed_and_is_started_again(site: Site) -> None:
    program = Program(site, "broker")
    start(site, program)
    record = processes.load(site.home.run, "broker")
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    processes.wait_gone({record.pid: record.started}, 5)
    assert states(site)["broker"] == "failed"
    start(site, program)
    assert states(site)["broker"] == "running"


def test_a_part_that_dies_is_reported_at_once_with_its_log_and_remedy(site: Site) -> None:
    began = time.monotonic()
    database = Program(site, "control-db", code=DIE, is_ready=False)
    gateway = Program(site, "gateway", needs=("control-db",))
    with pytest.raises(StackError, match="control-db ended while starting") as caught:
        start(site, database, gateway)
    assert time.monotonic() - began < 10
    assert "the reason" in caught.value.log
    assert caught.value.remedy == "the remedy"
    assert states(site)["control-db"] == "failed"
    assert states(site)["gateway"] == "stopped"


def test_what_only_comes_after_a_failed_part_is_started(site: Site) -> None:
    connect = Program(site, "connect", code=DIE, is_ready=False)
    gateway = Program(site, "gateway", after=("connect",))
    with pytest.raises(StackError, match="connect ended"):
        start(site, connect, gateway)
    assert states(site)["gateway"] == "running"


def test_a_part_that_is_never_ready_is_stopped_again(site: Site) -> None:
    with pytest.raises(StackError, match="not ready within 0 s"):
        start(site, Program(site, "broker", is_ready=False, patience=0.3))
    assert states(site)["broker"] == "failed"


def test_a_running_part_is_not_moved_to_another_port(site: Site) -> None:
    start(site, Program(site, "broker"))
    moved = Site(site.home, Ports(0, {**site.ports.chosen, "broker": 41000}))
    with pytest.raises(StackError, match="runs on port"):
        start(moved, Program(moved, "broker"))


FORKING = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("adopts", [True, False])
def test_children_of_a_killed_part_are_left_to_a_successor_that_adopts_them(site: Site, adopts: bool) -> None:
    program = Program(site, "gateway", code=FORKING, adopts=adopts)
    start(site, program)
    log = site.home.log("gateway")
    while not log.read_text().strip():
        time.sleep(0.02)
    child = int(log.read_text())
    begun = processes.start_time(child)
    record = processes.load(site.home.run, "gateway")
    assert record is not None and begun is not None
    os.kill(record.pid, signal.SIGKILL)
    processes.wait_gone({record.pid: record.started}, 5)
    start(site, program)
    assert processes.is_alive(child, begun) is adopts
    stop(site, program)
    assert not processes.is_alive(child, begun)


def write_syncservice(site: Site, pid: int, create_time: float) -> None:
    write_json(
        site.home.syncservice_file, {"pid": pid, "create_time": create_time, "since": "2026-01-01T00:00:00Z"}
    )


def test_syncservice_is_listed_and_stopped_with_the_gateway(site: Site) -> None:
    assert "syncservice" not in states(site)
    child = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    write_syncservice(site, child.pid, psutil.Process(child.pid).create_time())
    assert states(site)["syncservice"] == "running"
    stop(site, Program(site, "gateway"))
    assert child.wait(5) == -signal.SIGTERM
    assert "syncservice" not in states(site)


def test_a_stranger_with_syncservices_old_pid_is_left_alone(site: Site) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as stranger:
        write_syncservice(site, stranger.pid, psutil.Process(stranger.pid).create_time() - 60)
        assert states(site)["syncservice"] == "failed"
        stop(site, Program(site, "gateway"))
        assert stranger.poll() is None
        stranger.kill()


def test_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_lines(log) == ""
    log.write_text("\n".join(f"line {n}" for n in range(100)))
    assert last_lines(log, 2) == "line 98\nline 99"
