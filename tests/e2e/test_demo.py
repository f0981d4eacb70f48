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
COMMAND = [str(Path(sys.executable).parent / "terrafusion"), "demo", "--parcels", "2000", "--once"]


def demo(home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TERRAFUSION_HOME": str(home), "COLUMNS": "160"}
    return subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.timeout(900)
def test_once_finds_source_and_target_equal_and_leaves_nothing_running(demo_home: Path) -> None:
    run = demo(demo_home)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "source and target are equal" in run.stdout
    assert processes_of(demo_home) == []


@pytest.mark.timeout(900)
def test_interrupted_it_stops_everything_and_fails(demo_home: Path) -> None:
    environment = {**os.environ, "TERRAFUSION_HOME": str(demo_home)}
    run = subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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
