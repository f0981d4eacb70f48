"""The stack that the tests of a session share: the local stack, with state and ports of its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from terrafusion.stack import Stack
from terrafusion.stack.config import Home
from terrafusion.stack.ports import DEFAULTS, LOOPBACK


def free_ports() -> dict[str, int]:
    """A port for each part, away from the defaults, all free at this moment."""
    for offset in range(7000, 20000, 100):
        ports = {name: port + offset for name, port in DEFAULTS.items()}
        if all(_is_free(port) for port in ports.values()):
            return ports
    raise AssertionError("no free range of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def make_home(folder: Path) -> Home:
    """A state folder with ports of its own; nothing runs yet."""
    root = folder / "state"
    root.mkdir(mode=0o700)
    (root / "ports.json").write_text(json.dumps({"offset": 0, "ports": free_ports()}))
    return Home(root)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that `terrafusion stack up` starts, gateway and SyncService included."""
    found = Stack(make_home(tmp_path_factory.mktemp("stack")))
    try:
        found.up()
        yield found
    finally:
        found.down()
