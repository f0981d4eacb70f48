"""Which port each part listens on, and who holds a port that is taken. All on 127.0.0.1."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from terrafusion.stack.config import Home, port_offset
from terrafusion.stack.errors import StackError, StackUsageError
from terrafusion.stack.files import read_json, write_json

LOOPBACK = "127.0.0.1"
DEFAULTS: Mapping[str, int] = {
    "gateway": 5000,
    "syncservice": 8080,
    "broker": 9092,
    "controller": 9093,
    "registry": 8081,
    "registry-management": 8082,
    "connect": 8083,
    "control-db": 5441,
    "source-db": 5442,
    "target-db": 5443,
}
# The ports that a part opens, its own first.
OF_PART: Mapping[str, tuple[str, ...]] = {
    "control-db": ("control-db",),
    "source-db": ("source-db",),
    "target-db": ("target-db",),
    "broker": ("broker", "controller"),
    "registry": ("registry", "registry-management"),
    "connect": ("connect",),
    "gateway": ("gateway", "syncservice"),
}


@dataclass(frozen=True)
class Ports:
    """The ports in force: defaults, shifted by an offset, single ones replaced."""

    offset: int
    chosen: Mapping[str, int]

    @classmethod
    def load(cls, home: Home, chosen: Mapping[str, int] | None = None) -> Ports:
        """As remembered in the state folder, with the environment's offset and `chosen` on top."""
        remembered = read_json(home.ports_file)
        offset = port_offset()
        if offset is None:
            offset = int(remembered.get("offset", 0))
        ports = cls(offset, {**remembered.get("ports", {}), **(chosen or {})})
        ports.check()
        return ports

    def __getitem__(self, name: str) -> int:
        return self.chosen.get(name, DEFAULTS[name] + self.offset)

    def of(self, part: str) -> tuple[int, ...]:
        """The ports that a part opens."""
        return tuple(self[name] for name in OF_PART[part])

    def check(self) -> None:
        """Raise StackError for an unknown name, a port out of range or one used twice."""
        for name in self.chosen:
            if name not in DEFAULTS:
                raise StackUsageError(f"there is no port named {name!r}", f"use one of {', '.join(DEFAULTS)}")
        seen: dict[int, str] = {}
        for name in DEFAULTS:
            port = self[name]
            if not 1 <= port <= 65535:
                raise StackError(f"port {port} of {name} is out of range", "choose 1 to 65535")
            if port in seen:
                raise StackError(
                    f"{name} and {seen[port]} would both use port {port}", f"choose another: --port {name}=N"
                )
            seen[port] = name

    def save(self, home: Home) -> None:
        """Remember them for later commands."""
        write_json(home.ports_file, {"offset": self.offset, "ports": dict(self.chosen)})


def parse_choices(texts: Iterable[str]) -> dict[str, int]:
    """`["broker=9192"]` → `{"broker": 9192}`; raises StackUsageError when it reads otherwise."""
    chosen = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not number.isdecimal():
            raise StackUsageError(
                f"--port {text} cannot be read", "write it as PART=NUMBER, such as broker=9192"
            )
        chosen[name] = int(number)
    return chosen


def refuse_taken(ports: Ports, names: Iterable[str]) -> None:
    """Raise StackError naming every one of these ports that somebody holds, and who."""
    taken = [(name, ports[name]) for name in names if not _is_free(ports[name])]
    if not taken:
        return
    holders = _holders()
    lines = [
        f"port {port} ({name}) is taken by {holders.get(port, 'another process')}" for name, port in taken
    ]
    first = taken[0][0]
    raise StackError(
        "\n".join(lines),
        f"stop that process, choose another port (--port {first}=N) or shift all (TERRAFUSION_PORT_OFFSET=1000)",
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _holders() -> dict[int, str]:
    """Port → `pid 123 (command line)` of every listening process that this user may see."""
    holders: dict[int, str] = {}
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return holders
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr:
            holders[connection.laddr[1]] = f"pid {connection.pid} ({_command(connection.pid)})"
    return holders


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:120]
    except psutil.Error:
        return "command unknown"
