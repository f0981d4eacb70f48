"""A full sync among others: the live road goes on beside it, and another run of the same operation may come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncservice import replay
from syncservice.errors import Fenced, SyncError
from syncservice.full_sync import FullSync
from syncservice.targets.connection import Connect, Connection
from tests.databases import scratch_database
from tests.full_sync_lab import PARCEL, FullSyncLab, Hooks, parcel

VIEW = "CREATE VIEW {s}.v AS SELECT * FROM {s}.parcel"


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    with scratch_database() as connect:
        yield connect


@pytest.fixture(params=["swap", "merge"])
def lab(request: pytest.FixtureRequest, connect: Connect) -> Iterator[FullSyncLab]:
    """Rows 0 to 3 are live, as the log says."""
    lab = FullSyncLab(connect)
    if request.param == "merge":
        lab.run_sql(VIEW)
    lab.begin()
    for number in range(4):
        lab.log.upsert(parcel(number, name="old"), "c")
    lab.live().apply()
    yield lab
    lab.close()


class Run(threading.Thread):
    """A full sync in a thread of its own; `error` is what it raised."""

    def __init__(self, sync: FullSync) -> None:
        super().__init__(daemon=True)
        self._sync = sync
        self.error: BaseException | None = None
        self.result: dict[str, Any] | None = None

    def run(self) -> None:
        """See Thread.run."""
        try:
            self.result = self._sync.run()
        except BaseException as error:  # noqa: BLE001 - shown by the test that waits for it
            self.error = error

    def ended(self, seconds: float = 20) -> bool:
        """Whether it ends in time."""
        self.join(seconds)
        return not self.is_alive()


# -- beside the live road ----------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["replay", "indexes", "compare", "cut over"])
def test_what_the_live_road_applies_meanwhile_is_drained(lab: FullSyncLab, phase: str) -> None:
    live = lab.live()

    def change() -> None:
        lab.log.upsert(parcel(0, name="new"), "u")
        lab.log.delete(parcel(1))
        lab.log.upsert(parcel(9), "c")
        live.apply()

    lab.hooks.at[phase] = change
    lab.sync()
    assert lab.rows() == [(0, "new", None, 1), (2, "old", None, 1), (3, "old", None, 1), (9, None, None, 1)]
    assert lab.offsets()[PARCEL.topic] == 8


def test_after_the_cut_over_the_old_claim_is_fenced_and_a_new_one_goes_on(lab: FullSyncLab) -> None:
    live = lab.live()
    lab.sync()
    lab.log.upsert(parcel(9), "c")
    with pytest.raises(Fenced) as fenced:
        live.apply()
    assert not fenced.value.taken
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3]
    live.again()
    assert live.position == 4
    live.apply()
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3, 9]


def test_a_shadow_ahead_of_the_live_position_moves_it_forward(lab: FullSyncLab) -> None:
    """What the replay has read past the live position is not applied a second time."""
    lab.log.upsert(parcel(0, name="new"), "u")
    lab.log.delete(parcel(3))
    lab.sync()
    live = lab.live()
    assert live.position == 7
    assert [row[:2] for row in lab.rows()] == [(0, "new"), (1, "old"), (2, "old")]


def test_a_live_road_that_never_rests_loses_nothing(
    lab: FullSyncLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_RECORDS", 5)
    stop, failures = threading.Event(), list[BaseException]()

    def go_on() -> None:
        live, number = lab.live(), 0
        while not stop.is_set():
            if live.position == lab.log.next:
                number += 1
                lab.log.upsert(parcel(number % 13, area=number), "u")
            try:
                live.apply(3)
            except Fenced as fenced:
                if fenced.taken:
                    failures.append(fenced)
                live.again()
            except SyncError as error:
                failures.append(error)
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for number in range(3):
            lab.sync(operation=f"op-{number}")
    finally:
        stop.set()
        thread.join()
    lab.live().apply() if lab.log.next > lab.offsets()[PARCEL.topic] else None
    wanted = dict.fromkeys(range(4), ("old", 1))
    for number in range(1, lab.log.next - 3):
        wanted[number % 13] = (None, number)  # type: ignore[assignment]
    assert failures == []
    assert {row[0]: (row[1], row[3]) for row in lab.rows()} == wanted
    assert lab.leftovers() == []


# -- first repeated key between the drains (no index for it yet) -------------------------------------


class BetweenDrains(FullSync):
    """Something happens between the drain without locks and the one with them."""

    happens: Callable[[], None]

    def _drain(self, connection: Connection, lock: bool) -> None:
        if lock:
            self.happens()
        super()._drain(connection, lock)


def test_the_first_repeated_key_comes_between_the_drains(
    lab: FullSyncLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_RECORDS", 2)
    before = lab.indexes()
    sync = BetweenDrains(lab.parts(), lab.plans)
    live = lab.live()

    def happens() -> None:
        if lab.log.next == 4:
            lab.log.upsert(parcel(0, name="new"), "u")
            live.apply()

    sync.happens = happens
    run = Run(sync)
    run.start()
    assert run.ended(), "the full sync hangs"
    assert run.error is None
    assert [row[1] for row in lab.rows()] == ["new", "old", "old", "old"]
    assert lab.indexes() == before


def test_the_index_for_repeated_keys_is_not_put_in_place(
    lab: FullSyncLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_RECORDS", 2)
    before = lab.indexes()
    lab.log.upsert(parcel(0, name="new"), "u")
    lab.log.delete(parcel(1))
    lab.sync()
    assert [row[:2] for row in lab.rows()] == [(0, "new"), (2, "old"), (3, "old")]
    assert lab.indexes() == before


def test_a_refused_new_row_in_the_drain_leaves_no_index_behind(lab: FullSyncLab) -> None:
    before, live = lab.indexes(), lab.live()

    def happens() -> None:
        lab.log.upsert(parcel(8), "c")
        lab.log.upsert(parcel(9, area=-1), "c")
        live.apply()

    lab.hooks.at["cut over"] = happens
    run = Run(lab.full_sync())
    run.start()
    assert run.ended(), "the full sync hangs"
    assert run.error is None
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3, 8]
    assert lab.letters() == {5: "target_23514"}
    assert lab.indexes() == before


# -- two runs of one operation -----------------------------------------------------------------------


class AtTheFence(FullSync):
    """Stops behind its fence, inside the cut-over's transaction."""

    passed: threading.Event
    go: threading.Event

    def _fence(self, connection: Connection) -> None:
        super()._fence(connection)
        self.passed.set()
        self.go.wait(10)


class BeforeTheFence(AtTheFence):
    """Stops before it."""

    def _fence(self, connection: Connection) -> None:
        self.passed.set()
        self.go.wait(10)
        FullSync._fence(self, connection)


class Counted:
    """Looks at the live table again and again: a reader must never find it empty."""

    def __init__(self, lab: FullSyncLab) -> None:
        self._lab, self.least, self._stop = lab, 10**9, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        query = f"SELECT count(*) FROM {self._lab.schema}.parcel".encode()
        with self._lab.connect() as connection:
            while not self._stop.is_set():
                row = connection.execute(query).fetchone()
                self.least = min(self.least, row[0] if row else 0)
                time.sleep(0.005)

    def __enter__(self) -> Counted:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def held(lab: FullSyncLab, kind: type[AtTheFence]) -> tuple[AtTheFence, Run]:
    """A run that has come to where its kind stops."""
    sync = kind(lab.parts(hooks=Hooks()), lab.plans)
    sync.passed, sync.go = threading.Event(), threading.Event()
    run = Run(sync)
    run.start()
    assert sync.passed.wait(10)
    return sync, run


def test_case_34_a_second_run_waits_for_a_first_that_is_behind_its_fence(lab: FullSyncLab) -> None:
    with Counted(lab) as seen:
        first, one = held(lab, AtTheFence)
        two = Run(lab.full_sync(hooks=Hooks()))
        two.start()
        time.sleep(0.3)
        assert two.is_alive()
        first.go.set()
        assert one.ended()
        assert two.ended()
    assert one.error is None
    assert two.error is None
    assert seen.least == 4
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3]
    assert lab.leftovers() == []
    assert lab.live().position == 4


def test_case_34_a_first_run_that_was_overtaken_is_fenced(lab: FullSyncLab) -> None:
    with Counted(lab) as seen:
        first, one = held(lab, BeforeTheFence)
        hooks, go = Hooks(), threading.Event()
        hooks.at["indexes"] = lambda: go.wait(10)
        two = Run(lab.full_sync(hooks=hooks))
        two.start()
        while "indexes" not in hooks.phases:
            time.sleep(0.02)
            assert two.is_alive()
        first.go.set()
        assert one.ended()
        assert isinstance(one.error, SyncError)
        assert one.error.retry == "timed"
        assert len(lab.leftovers()) == 2  # the second run's shadow and position are still there
        go.set()
        assert two.ended()
    assert two.error is None
    assert seen.least == 4
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3]
    assert lab.leftovers() == []


def test_case_34_an_overtaken_replay_does_not_touch_the_newer_shadow(lab: FullSyncLab) -> None:
    hooks, go = Hooks(), threading.Event()
    hooks.at["indexes"] = lambda: go.wait(10)
    one = Run(lab.full_sync(hooks=hooks))
    one.start()
    while "indexes" not in hooks.phases:
        time.sleep(0.02)
        assert one.is_alive()

    def overtake() -> None:
        go.set()
        assert one.ended()

    lab.sync(hooks=Hooks(at={"cut over": overtake}))
    assert isinstance(one.error, SyncError)
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3]
    assert lab.leftovers() == []


class SlowToCleanUp(FullSync):
    """Something happens between the cut-over's COMMIT and cleaning up."""

    happens: Callable[[], None]

    def _clean_up(self, connection: Connection) -> None:
        self.happens()
        super()._clean_up(connection)


def test_case_34_a_run_that_has_finished_does_not_drop_the_next_ones_shadow(lab: FullSyncLab) -> None:
    hooks, go = Hooks(), threading.Event()
    hooks.at["indexes"] = lambda: go.wait(10)
    two = Run(lab.full_sync(hooks=hooks))
    sync = SlowToCleanUp(lab.parts(hooks=Hooks()), lab.plans)

    def happens() -> None:
        two.start()
        while "indexes" not in hooks.phases:
            time.sleep(0.02)
            assert two.is_alive()

    sync.happens = happens
    sync.run()
    go.set()
    assert two.ended()
    assert two.error is None
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3]
    assert lab.leftovers() == []


def test_case_34_a_killed_run_is_done_again_from_the_start(lab: FullSyncLab) -> None:
    """kill -9: the connection ends, nothing is cleaned up; the next run of the operation does it."""

    class Killed(FullSync):
        def _clean_up(self, connection: Connection) -> None:
            connection.close()
            super()._clean_up(connection)

    def die() -> None:
        raise SyncError("killed")

    with pytest.raises(SyncError, match="killed"):
        Killed(lab.parts(hooks=Hooks(at={"compare": die})), lab.plans).run()
    assert len(lab.leftovers()) == 2
    lab.sync()
    assert [row[0] for row in lab.rows()] == [0, 1, 2, 3]
    assert lab.leftovers() == []


def test_the_shadows_position_is_of_a_generation_of_its_own(lab: FullSyncLab) -> None:
    seen: list[dict[str, int]] = []
    lab.sync(hooks=Hooks(at={"compare": lambda: seen.extend([lab.offsets("op-1"), lab.offsets()])}))
    assert seen == [{PARCEL.topic: 4}, {PARCEL.topic: 4}]
