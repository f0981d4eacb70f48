"""Processes of the local stack: recognised again, stopped with all they started, never confused with strangers."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from terrafusion.stack import processes
from terrafusion.stack.processes import Launch, Record

FORKING = """
import subprocess, sys, time
apart = len(sys.argv) > 1
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=apart)
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
SECOND = ((signal.SIGTERM, 1.0),)


class Nursery:
    """Starts processes for a test and ends those that it left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"test@{folder}"
        self.log = folder / "part.log"
        self.records: list[Record] = []

    def start(self, *arguments: str) -> Record:
        launch = Launch((sys.executable, "-c", *arguments), dict(os.environ), self.folder)
        record = processes.start("part", launch, self.log, (1,), self.mark)
        self.records.append(record)
        return record

    def printed(self) -> str:
        deadline = time.monotonic() + 10
        while not (text := self.log.read_text().strip()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return text

    def end(self) -> None:
        for record in self.records:
            processes.kill(processes.family(record, self.mark))


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    nursery.end()


def alive(pid: int) -> bool:
    return processes.start_time(pid) is not None


def test_a_process_is_recognised_by_its_saved_record(nursery: Nursery, tmp_path: Path) -> None:
    record = nursery.start("import time; time.sleep(60)")
    processes.save(tmp_path, record)
    again = processes.load(tmp_path, "part")
    assert again == record
    assert again is not None and again.alive()
    assert os.getsid(record.pid) == record.pid


def test_a_pid_used_again_is_a_stranger(nursery: Nursery) -> None:
    record = nursery.start("import time; time.sleep(60)")
    assert not replace(record, started=record.started - 5).alive()
    assert not replace(record, boot="another boot").alive()
    stale = replace(record, started=record.started - 5)
    assert processes.family(stale, "no such mark") == {}


def test_a_process_that_ended_is_not_alive(nursery: Nursery) -> None:
    record = nursery.start("pass")
    assert processes.wait_gone({record.pid: record.started}, 10) == {}
    assert not record.alive()


def test_records_that_are_missing_or_damaged_are_none(tmp_path: Path) -> None:
    assert processes.load(tmp_path, "part") is None
    (tmp_path / "part.json").write_text('{"pid": 1}')
    assert processes.load(tmp_path, "part") is None


@pytest.mark.parametrize("apart", [(), ("apart",)])
def test_stop_takes_the_children_along(nursery: Nursery, apart: tuple[str, ...]) -> None:
    record = nursery.start(FORKING, *apart)
    child = int(nursery.printed())
    assert processes.stop(record, nursery.mark, SECOND)
    assert not alive(record.pid)
    assert not alive(child)


@pytest.mark.parametrize("apart", [(), ("apart",)])
def test_children_are_found_after_their_parent_was_killed(nursery: Nursery, apart: tuple[str, ...]) -> None:
    record = nursery.start(FORKING, *apart)
    child = int(nursery.printed())
    os.kill(record.pid, signal.SIGKILL)
    processes.wait_gone({record.pid: record.started}, 10)
    assert set(processes.family(record, nursery.mark)) == {child}


def test_stop_escalates_to_sigkill(nursery: Nursery) -> None:
    record = nursery.start(STUBBORN)
    nursery.printed()
    assert not processes.stop(record, nursery.mark, ((signal.SIGTERM, 0.2),))
    assert not alive(record.pid)


def test_a_big_log_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_ROTATE_BYTES", 3)
    log = tmp_path / "part.log"
    for content in ("one!", "two!", "three", "four!", "no"):
        log.write_text(content)
        processes.rotate(log)
    assert log.read_text() == "no"
    assert [log.with_name(f"part.log.{n}").read_text() for n in (1, 2, 3)] == ["four!", "three", "two!"]
    assert not log.with_name("part.log.4").exists()
