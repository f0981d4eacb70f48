"""SyncService as the stack sees it: started by the gateway, known by the file that the gateway writes.

`run/syncservice.json` holds `pid`, and may hold `started` (seconds since boot or epoch), `port` and `since`.
"""

from __future__ import annotations

import contextlib
import signal

import psutil

from terrafusion.stack import processes
from terrafusion.stack.config import Home
from terrafusion.stack.files import read_json

STOP_SECONDS = 30.0


def find(home: Home) -> dict[int, float]:
    """pid → start time of SyncService and its children; empty when it does not run."""
    pid = read_json(home.syncservice_file).get("pid")
    if not isinstance(pid, int):
        return {}
    begun = processes.start_time(pid)
    if begun is None or not _is_syncservice(pid):
        return {}
    members = {pid: begun}
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            if (started := processes.start_time(child.pid)) is not None:
                members[child.pid] = started
    return members


def _is_syncservice(pid: int) -> bool:
    """A pid can have been used again: only a process that runs our program counts."""
    with contextlib.suppress(psutil.Error):
        return any("syncservice" in word for word in psutil.Process(pid).cmdline())
    return False


def stop(home: Home) -> None:
    """Stop one that outlived its gateway, and remove its file."""
    members = find(home)
    for pid, begun in members.items():
        processes.send(pid, begun, signal.SIGTERM)
    processes.kill(processes.wait_gone(members, STOP_SECONDS if members else 0.0))
    home.syncservice_file.unlink(missing_ok=True)
