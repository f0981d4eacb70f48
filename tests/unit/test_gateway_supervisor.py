"""The supervisor with a stand-in for SyncService that dies, hangs, or loops in crashes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway import child as children
from gateway.service_state import FRESH_FOR_S, ServiceState
from gateway.supervisor import Plan, Supervisor, pause_before_restart

STAND_IN = """
import http.server, os, signal, sys, time
port, behaviour = int(sys.argv[1]), sys.argv[2]
print("stand-in starts", os.getpid(), flush=True)
if behaviour == "crash":
    sys.exit(3)
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        return

if behaviour == "mute":
    time.sleep(600)
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


@dataclass
class Lab:
    """A plan with short times, and the supervisors started in a test."""

    plan: Plan
    script: Path
    port: int
    state: ServiceState = field(default_factory=ServiceState)
    reasons: list[str] = field(default_factory=list)
    running: list[Supervisor] = field(default_factory=list)

    def behaving(self, behaviour: str, **changes: float) -> Plan:
        command = (sys.executable, str(self.script), str(self.port), behaviour)
        return replace(self.plan, command=command, **changes)  # type: ignore[arg-type]

    def start(self, plan: Plan | None = None, state: ServiceState | None = None) -> Supervisor:
        supervisor = Supervisor(plan or self.behaving("well"), state or self.state, self.reasons.append)
        supervisor.start()
        self.running.append(supervisor)
        return supervisor

    @property
    def pid(self) -> int:
        return int(json.loads(self.plan.record.read_text())["pid"])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plan = Plan(
        command=(),
        environment=dict(os.environ),
        address=f"http://127.0.0.1:{port}",
        state_dir=tmp_path,
        interval=0.05,
        deadline=0.5,
        patience=10.0,
        grace=5.0,
        backoff=0.05,
        backoff_limit=0.4,
    )
    made = Lab(plan, script, port)
    yield made
    for supervisor in made.running:
        supervisor.stop()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.02)


def up(lab: Lab) -> bool:
    return lab.state.snapshot().up


def test_it_is_started_watched_and_stopped(lab: Lab) -> None:
    supervisor = lab.start()
    until(lambda: up(lab))
    snapshot = lab.state.snapshot()
    assert (snapshot.pid, snapshot.supervised_here, snapshot.restarts_total) == (lab.pid, True, 0)
    record = json.loads(lab.plan.record.read_text())
    assert set(record) == {"pid", "create_time", "address", "since"}
    assert record["address"] == lab.plan.address
    assert "stand-in starts" in lab.plan.log.read_text()
    assert os.getsid(lab.pid) == lab.pid
    pid = lab.pid
    supervisor.stop()
    assert children.running_since(pid) is None
    assert not lab.plan.record.exists()
    assert not up(lab)


def test_a_dead_one_is_replaced_and_the_reason_kept(lab: Lab) -> None:
    lab.start()
    until(lambda: up(lab))
    first = lab.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: up(lab) and lab.state.snapshot().restarts_total == 1)
    assert lab.pid != first
    assert lab.reasons == ["SyncService was killed by SIGKILL"]
    assert [restart.reason for restart in lab.state.snapshot().restarts] == lab.reasons


def test_a_hung_one_is_killed_and_replaced(lab: Lab) -> None:
    lab.start(lab.behaving("well", deadline=0.2))
    until(lambda: up(lab))
    first = lab.pid
    os.kill(first, signal.SIGSTOP)
    until(lambda: up(lab) and lab.state.snapshot().restarts_total == 1)
    assert children.running_since(first) is None
    assert lab.reasons == ["SyncService did not answer 3 times in a row"]


def test_one_that_never_answers_is_replaced_after_the_patience(lab: Lab) -> None:
    began = time.monotonic()
    lab.start(lab.behaving("mute", patience=1.0, deadline=0.1))
    until(lambda: len(lab.reasons) == 1)
    assert time.monotonic() - began > 1.0
    assert not up(lab)


def test_a_crash_loop_slows_down(lab: Lab) -> None:
    lab.start(lab.behaving("crash"))
    until(lambda: len(lab.reasons) >= 6)
    assert set(lab.reasons) == {"SyncService ended with exit code 3"}
    assert lab.state.snapshot().restarts_total >= 6
    for ends, seconds in ((0, 0.05), (1, 0.1), (3, 0.4), (20, 0.4)):
        pauses = [pause_before_restart(lab.plan, ends) for _ in range(50)]
        assert 0.75 * seconds <= min(pauses) < max(pauses) <= 1.25 * seconds


def test_a_program_that_cannot_be_started_is_tried_again(lab: Lab) -> None:
    lab.start(replace(lab.plan, command=("/nonexistent/program",)))
    until(lambda: len(lab.reasons) >= 2)
    assert set(lab.reasons) == {"SyncService could not be started"}


def test_a_child_left_by_a_killed_gateway_is_adopted(lab: Lab) -> None:
    command = lab.behaving("well").command
    left = children.start(command, lab.plan.environment, lab.plan.log)
    children.write_record(lab.plan.record, left, lab.plan.address)
    lab.start()
    until(lambda: up(lab))
    assert (lab.pid, lab.state.snapshot().restarts_total) == (left.pid, 0)
    os.kill(left.pid, signal.SIGKILL)
    left.wait(5)
    until(lambda: up(lab) and lab.state.snapshot().restarts_total == 1)
    assert lab.pid != left.pid


def test_a_hung_child_left_by_a_killed_gateway_is_replaced(lab: Lab) -> None:
    left = children.start(lab.behaving("mute").command, lab.plan.environment, lab.plan.log)
    children.write_record(lab.plan.record, left, lab.plan.address)
    lab.start(lab.behaving("well", deadline=0.2))
    until(lambda: up(lab))
    left.wait(5)
    assert lab.pid != left.pid
    assert not left.alive()


def test_a_pid_that_is_somebody_else_now_is_left_alone(lab: Lab) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        lab.plan.record.parent.mkdir(parents=True)
        lab.plan.record.write_text(json.dumps({"pid": stranger.pid, "create_time": time.time() - 5000}))
        supervisor = lab.start()
        until(lambda: up(lab))
        assert lab.pid != stranger.pid
        supervisor.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    "record", ["", "{}", "[]", '{"pid": "x", "create_time": 1}', '{"pid": 999999999, "create_time": 1}']
)
def test_a_broken_record_is_ignored(tmp_path: Path, record: str) -> None:
    file = tmp_path / "syncservice.json"
    assert children.read_record(file) is None
    file.write_text(record)
    assert children.read_record(file) is None


def test_one_supervisor_even_with_two_gateways(lab: Lab) -> None:
    first = lab.start()
    until(lambda: up(lab))
    pid, other = lab.pid, ServiceState()
    lab.start(state=other)
    until(lambda: other.snapshot().up)
    assert (lab.pid, other.snapshot().supervised_here) == (pid, False)
    first.stop()
    until(lambda: other.snapshot().up and other.snapshot().supervised_here)
    assert lab.pid != pid


def test_a_restart_on_request_is_graceful_and_at_once(lab: Lab) -> None:
    supervisor = lab.start(lab.behaving("well", backoff=60.0))
    until(lambda: up(lab))
    first = lab.pid
    supervisor.restart("asked for with the key ops")
    until(lambda: up(lab) and lab.state.snapshot().restarts_total == 1)
    assert lab.pid != first
    assert lab.reasons == ["asked for with the key ops"]


def test_one_that_will_not_stop_is_killed(lab: Lab) -> None:
    supervisor = lab.start(lab.behaving("stubborn", grace=0.5))
    until(lambda: up(lab))
    pid = lab.pid
    supervisor.stop()
    assert children.running_since(pid) is None


def test_stopping_while_it_backs_off_is_prompt(lab: Lab) -> None:
    supervisor = lab.start(lab.behaving("crash", backoff=60.0, backoff_limit=60.0))
    until(lambda: len(lab.reasons) == 1)
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 3.0


def test_silence_counts_as_down() -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    state = ServiceState(clock)
    assert (state.snapshot().up, state.snapshot().age_s) == (False, None)
    state.started(7, supervised_here=True)
    assert not state.snapshot().up
    state.answered()
    assert state.snapshot().up
    clock.now = FRESH_FOR_S + 0.1
    assert (state.snapshot().up, state.snapshot().age_s) == (False, FRESH_FOR_S + 0.1)
    state.answered()
    state.gone()
    assert (state.snapshot().up, state.snapshot().pid) == (False, None)


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LOG_LIMIT_BYTES", 10)
    log = tmp_path / "syncservice.log"
    log.write_text("a long log of old")
    started = children.start((sys.executable, "-c", "print('new')"), dict(os.environ), log)
    assert started.wait(20)
    assert (tmp_path / "syncservice.log.1").read_text() == "a long log of old"
    assert log.read_text() == "new\n"
