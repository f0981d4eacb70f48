"""`terrafusion demo --once` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import eventually, processes_of

pytestmark = pytest.mark.stack
COMMAND = [str(Path(sys.executable).parent / "terrafusion"), "demo", "--once", "--parcels"]


def demo(home: Path, parcels: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TERRAFUSION_HOME": str(home), "COLUMNS": "160"}
    command = [*COMMAND, str(parcels)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1700, check=False)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "parcels",
    [2000, pytest.param(50_000, marks=pytest.mark.slow), pytest.param(300_000, marks=pytest.mark.slow)],
)
def test_once_finds_source_and_target_equal_and_leaves_nothing_running(demo_home: Path, parcels: int) -> None:
    run = demo(demo_home, parcels)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "source and target are equal" in run.stdout
    assert processes_of(demo_home) == []


@pytest.mark.timeout(900)
def test_interrupted_it_stops_everything_and_fails(demo_home: Path) -> None:
    environment = {**os.environ, "TERRAFUSION_HOME": str(demo_home)}
    run = subprocess.Popen(
        [*COMMAND, "2000"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        eventually(lambda: len(processes_of(demo_home)) > 3, 60, "the stack starts")
        time.sleep(2)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=120)
    finally:
        run.kill()
    assert run.returncode == 1, output
    assert processes_of(demo_home) == []
