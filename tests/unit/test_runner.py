"""Apply groups as threads: restarted with backoff, halted with a reason, stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from syncservice import pair_runner
from syncservice.errors import Halt, SyncError, TargetUnavailable
from syncservice.pair_runner import GroupThread, PairRunner
from syncservice.pipeline import ApplyGroup


class Script:
    """Stands for apply groups: each `run` takes the next step."""

    def __init__(self, *steps: BaseException | None) -> None:
        self._steps, self.runs = iter(steps), 0

    def run(self, stop: threading.Event, claimed: Callable[[], None] = lambda: None) -> None:
        self.runs += 1
        step = next(self._steps, None)
        if step is not None:
            raise step
        claimed()
        stop.wait(10)

    def build(self) -> ApplyGroup:
        return self  # type: ignore[return-value]


class Impatient(threading.Event):
    """Notes the delays that were asked for; none is waited."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.delays.append(round(timeout or 0))
        return self.is_set()


def delays_of(*steps: BaseException) -> list[float]:
    """The delays between the runs of a group that fails so."""
    thread = GroupThread("p", ["t"], Script(*steps, Halt("enough")).build)
    thread._stopping = impatient = Impatient()
    thread.run()
    assert thread.state == "halted"
    return impatient.delays


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jitter in the delays."""
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)


@pytest.fixture
def started() -> Iterator[Callable[[GroupThread], GroupThread]]:
    threads: list[GroupThread] = []

    def start(thread: GroupThread) -> GroupThread:
        threads.append(thread)
        thread.start()
        return thread

    yield start
    for thread in threads:
        thread.stop()
        thread.join(5)
        assert not thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_halt_stops_for_good_and_says_why(started: Callable[[GroupThread], GroupThread]) -> None:
    script = Script(Halt("the table is gone", code="target_schema"))
    thread = started(GroupThread("p", ["t"], script.build))
    thread.join(5)
    assert (thread.state, script.runs) == ("halted", 1)
    assert thread.trouble is not None
    assert thread.trouble.code == "target_schema"


@pytest.mark.usefixtures("exact")
def test_what_mends_itself_is_tried_again_with_growing_delays() -> None:
    assert delays_of(*(TargetUnavailable("down") for _ in range(9))) == [1, 2, 4, 8, 16, 30, 30, 30, 30]


@pytest.mark.usefixtures("exact")
def test_a_group_that_was_sound_for_long_starts_its_backoff_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_runner, "SOUND_AFTER", -1.0)
    assert delays_of(*(TargetUnavailable("down") for _ in range(3))) == [1, 1, 1]


@pytest.mark.usefixtures("exact")
def test_an_error_nobody_foresaw_is_tried_again() -> None:
    assert delays_of(ValueError("odd"), TargetUnavailable("down")) == [1, 2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_panic_does_not_end_the_thread_without_a_word() -> None:
    class PanicException(BaseException):
        """As pyo3 raises it."""

    thread = GroupThread("p", ["t"], Script(PanicException("index out of range"), Halt("enough")).build)
    thread.start()
    thread.join(5)
    assert (thread.state, thread.trouble is not None) == ("halted", True)


def test_a_claim_ends_the_trouble(
    started: Callable[[GroupThread], GroupThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_runner, "BACKOFF_MAX", 0.01)
    thread = started(GroupThread("p", ["t"], Script(TargetUnavailable("down")).build))
    until(lambda: thread.state == "running" and thread.trouble is None)
    thread.stop()
    thread.join(5)
    assert thread.state == "stopped"


def test_stopping_does_not_wait_for_the_backoff(started: Callable[[GroupThread], GroupThread]) -> None:
    thread = started(GroupThread("p", ["t"], Script(*[TargetUnavailable("down")] * 50).build))
    until(lambda: thread.state == "retrying")
    began = time.monotonic()
    thread.stop()
    thread.join(5)
    assert time.monotonic() - began < 0.4
    assert thread.state == "stopped"


def group(state: pair_runner.GroupState, error: SyncError | None, *topics: str) -> GroupThread:
    thread = GroupThread("p", topics, Script().build)
    thread.state, thread.trouble = state, error
    return thread


def test_a_pairs_trouble_is_its_worst() -> None:
    down, gone = TargetUnavailable("down"), Halt("gone")
    runner = PairRunner(
        "p", 1, [group("running", None, "a"), group("retrying", down, "b"), group("halted", gone, "c", "d")]
    )
    assert runner.trouble() is gone
    assert runner.states() == {"a": "running", "b": "retrying", "c": "halted", "d": "halted"}
    assert PairRunner("p", 1, runner.groups[:2]).trouble() is down
    assert PairRunner("p", 1, runner.groups[:1]).trouble() is None


def test_a_pair_starts_and_stops_all_its_groups() -> None:
    runner = PairRunner("p", 1, [GroupThread("p", [t], Script().build) for t in "ab"])
    runner.start()
    until(lambda: set(runner.states().values()) == {"running"})
    runner.stop()
    assert runner.states() == {"a": "stopped", "b": "stopped"}
