"""What runs: one line a part."""

from __future__ import annotations

from dataclasses import dataclass

from terrafusion.stack import processes, syncservice
from terrafusion.stack.files import read_json
from terrafusion.stack.part import Site
from terrafusion.stack.parts import NAMES


@dataclass(frozen=True)
class PartStatus:
    """State is running, starting, stopped or failed (it ended by itself)."""

    name: str
    state: str
    pid: int | None
    address: str
    log: str
    since: str | None


def status(site: Site) -> list[PartStatus]:
    """Every part, and SyncService when the gateway has said that it started it."""
    lines = [_of_part(site, name) for name in NAMES]
    if site.home.syncservice_file.exists():
        lines.append(_of_syncservice(site))
    return lines


def _of_part(site: Site, name: str) -> PartStatus:
    record = processes.load(site.home.run, name)
    state, pid, since = "stopped", None, None
    if record is not None and record.alive():
        state, pid, since = record.state, record.pid, record.since
    elif record is not None and record.boot == processes.boot_id():
        state = "failed"
    return PartStatus(name, state, pid, site.addresses.of_part(name), str(site.home.log(name)), since)


def _of_syncservice(site: Site) -> PartStatus:
    members = syncservice.find(site.home)
    document = read_json(site.home.syncservice_file)
    since = document.get("since")
    return PartStatus(
        "syncservice",
        "running" if members else "failed",
        next(iter(members), None),
        site.addresses.http("syncservice"),
        str(site.home.log("syncservice")),
        str(since) if members and since else None,
    )
