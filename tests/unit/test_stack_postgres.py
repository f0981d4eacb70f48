"""How PostgreSQL is brought to run as whoever starts the stack."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from terrafusion.stack import StackError, postgres, processes
from terrafusion.stack.config import Home
from terrafusion.stack.part import Site
from terrafusion.stack.ports import Ports
from terrafusion.stack.postgres import PostgresServer, unprivileged


def machine(monkeypatch: pytest.MonkeyPatch, user: int, accounts: list[int], exit_code: int = 0) -> None:
    """A machine where this user runs the stack, with these accounts, where unshare ends with this code."""

    def run(argv: tuple[str, ...], **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, exit_code, "", "unshare: Operation not permitted\n")

    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(pwd, "getpwall", lambda: [SimpleNamespace(pw_uid=uid) for uid in accounts])
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)


def test_an_ordinary_user_needs_no_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 1000, [0, 1000])
    assert unprivileged() == ()


@pytest.mark.parametrize(
    ("user", "accounts", "mapped"),
    [(0, [0, 1, 1000], 1000), (0, [0, 1, 65534], 1), (4242, [0, 1000], 1000), (0, [0], 1000)],
)
def test_root_and_users_without_account_become_one_that_has_one(
    monkeypatch: pytest.MonkeyPatch, user: int, accounts: list[int], mapped: int
) -> None:
    machine(monkeypatch, user, accounts)
    assert unprivileged() == ("unshare", "--user", f"--map-user={mapped}", f"--map-group={mapped}", "--")


def test_where_user_namespaces_are_off_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0, [0, 1000], exit_code=1)
    with pytest.raises(StackError, match=r"namespaces are off \(unshare: Operation not permitted") as caught:
        unprivileged()
    assert "ordinary user" in caught.value.remedy
    assert "max_user_namespaces" in caught.value.remedy


def test_without_unshare_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0, [0, 1000])
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(StackError, match="no `unshare` program"):
        unprivileged()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    home = Home(tmp_path)
    home.make_folders()
    server = PostgresServer(Site(home, Ports(0, {})), "source-db")
    server.working_folder.mkdir()
    for name in ("PG_VERSION", "postgresql.conf", postgres.SETTINGS_FILE, "postmaster.pid"):
        (server.working_folder / name).touch()
    monkeypatch.setattr(postgres, "unprivileged", lambda: ())
    return server


def test_settings_are_included_once_and_the_source_decodes_its_log(server: PostgresServer) -> None:
    for _ in range(2):
        launch = server.prepare()
    assert (server.working_folder / "postgresql.conf").read_text().count("include_if_exists") == 1
    assert "wal_level = logical\n" in (server.working_folder / postgres.SETTINGS_FILE).read_text()
    assert "listen_addresses=127.0.0.1" in launch.argv


def test_the_lock_of_a_killed_server_is_removed(server: PostgresServer) -> None:
    server.prepare()
    assert not (server.working_folder / "postmaster.pid").exists()


def test_a_data_folder_in_use_is_left_alone(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "working_in", lambda _folder: {77: 1.0})
    with pytest.raises(StackError, match="in use by pid 77"):
        server.prepare()
    assert (server.working_folder / "postmaster.pid").exists()
