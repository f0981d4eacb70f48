"""What a part of the stack is: the seam between starting and stopping, and the programs that are started."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from terrafusion.stack.addresses import Addresses
from terrafusion.stack.config import Home
from terrafusion.stack.credentials import Credentials
from terrafusion.stack.ports import Ports
from terrafusion.stack.processes import Launch

PROBE_SECONDS = 3.0
# (signal, seconds to wait for its effect); SIGKILL follows by itself.
StopSteps = tuple[tuple[int, float], ...]
TERMINATE: StopSteps = ((signal.SIGTERM, 30.0),)


@dataclass(frozen=True)
class Site:
    """Everything that a part needs to know about its surroundings."""

    home: Home
    ports: Ports

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.home, self.ports)

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.home)

    def data(self, part: str) -> Path:
        return self.home.data / part


class Part(Protocol):
    """One program of the stack.

    `needs`: parts that have to be ready before it is started. `after`: parts that are waited for only when they
    are being started too. `patience`: seconds from start to ready. `prepare` may take long, is called again at
    every start, and raises StackError. `ready` must be quick and answers False for every "not yet". `finish` runs
    once after it, and may be repeated. `adopts`: what it started may outlive it and is taken over by its successor.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def after(self) -> tuple[str, ...]: ...
    @property
    def patience(self) -> float: ...
    @property
    def stop_steps(self) -> StopSteps: ...
    @property
    def working_folder(self) -> Path | None: ...
    @property
    def adopts(self) -> bool: ...
    @property
    def remedy(self) -> str: ...
    def prepare(self) -> Launch: ...
    def ready(self) -> bool: ...
    def finish(self) -> None: ...


def answers(url: str) -> bool:
    """Does a GET answer 200? (http.client: no proxy of the environment gets between us and loopback.)"""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", address.path or "/")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
