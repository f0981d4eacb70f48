"""SyncService as the stack sees it: started by the gateway, known by the file that the gateway writes.

`run/syncservice.json` holds `pid`, `create_time` (seconds since the epoch), `address` and `since`.
"""

from __future__ import annotations

import contextlib

import psutil

from terrafusion.stack import processes
from terrafusion.stack.config import Home
from terrafusion.stack.files import read_json

STOP_SECONDS = 30.0
CREATE_TIME_TOLERANCE_SECONDS = 1.5  # as the gateway has it


def find(home: Home) -> dict[int, float]:
    """pid → start time of SyncService and its children; empty when it does not run."""
    document = read_json(home.syncservice_file)
    pid = document.get("pid")
    if not isinstance(pid, int):
        return {}
    begun = processes.start_time(pid)
    if begun is None or not _is_the_same(pid, document.get("create_time")):
        return {}
    members = {pid: begun}
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            if (started := processes.start_time(child.pid)) is not None:
                members[child.pid] = started
    return members


def _is_the_same(pid: int, create_time: object) -> bool:
    """A pid can have been used again: only a process of the noted age, or else of our program, counts."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if isinstance(create_time, int | float):
            return bool(abs(process.create_time() - create_time) < CREATE_TIME_TOLERANCE_SECONDS)
        return any("syncservice" in word for word in process.cmdline())
    return False


def stop(home: Home) -> None:
    """Stop one that outlived its gateway, and remove its file."""
    processes.end(find(home), STOP_SECONDS)
    home.syncservice_file.unlink(missing_ok=True)
