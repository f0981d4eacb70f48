"""Ports, state folder, secrets and addresses of the local stack."""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from terrafusion.stack import Stack, StackError
from terrafusion.stack.addresses import Addresses
from terrafusion.stack.config import Home, inherited_environment, project_folder
from terrafusion.stack.files import kept_secret, read_json, write_json
from terrafusion.stack.parts import NAMES, all_parts, select, with_needs
from terrafusion.stack.ports import DEFAULTS, OF_PART, Ports, parse_choices, refuse_taken


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TERRAFUSION_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TERRAFUSION_PORT_OFFSET", raising=False)
    home = Home.here()
    home.make_folders()
    return home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_folder_is_in_the_project_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(deep)
    monkeypatch.delenv("TERRAFUSION_HOME", raising=False)
    assert Home.here().root == tmp_path / ".terrafusion"
    monkeypatch.setenv("TERRAFUSION_HOME", "/elsewhere")
    assert Home.here().root == Path("/elsewhere")


def test_without_a_project_the_current_folder_is_used() -> None:
    assert project_folder(Path("/proc/self")) == Path("/proc/self")


def test_folders_with_secrets_are_the_owners_alone(home: Home) -> None:
    for folder in (home.root, home.config, home.data, home.secrets, home.connect_secrets):
        assert mode(folder) == 0o700


def test_ports_are_shifted_by_the_offset_but_chosen_ones_are_not(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFUSION_PORT_OFFSET", "1000")
    ports = Ports.load(home, {"broker": 9999})
    assert ports["gateway"] == 6000
    assert ports.of("broker") == (9999, 10093)


def test_ports_are_remembered(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRAFUSION_PORT_OFFSET", "7")
    Ports.load(home, {"connect": 9000}).save(home)
    monkeypatch.delenv("TERRAFUSION_PORT_OFFSET")
    again = Ports.load(home)
    assert (again["connect"], again["registry"]) == (9000, 8088)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"nobody": 1}, "no port named"),
        ({"broker": 70000}, "out of range"),
        ({"broker": 8083}, "would both use"),
    ],
)
def test_impossible_ports_are_refused(home: Home, chosen: dict[str, int], words: str) -> None:
    with pytest.raises(StackError, match=words):
        Ports.load(home, chosen)


def test_an_offset_that_is_no_number_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRAFUSION_PORT_OFFSET", "many")
    with pytest.raises(StackError, match="whole number"):
        Ports.load(home)


def test_port_choices_read_part_equals_number() -> None:
    assert parse_choices(["broker=1", "connect=2"]) == {"broker": 1, "connect": 2}
    with pytest.raises(StackError, match="PART=NUMBER"):
        parse_choices(["broker"])


def test_a_taken_port_is_reported_with_its_holder(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports = Ports.load(home, {"registry": server.getsockname()[1]})
        with pytest.raises(StackError, match=r"\(registry\) is taken by pid \d+ \(.*python") as caught:
            refuse_taken(ports, ["registry"])
    assert "--port registry=N" in caught.value.remedy


def test_every_port_belongs_to_one_part() -> None:
    assert sorted(name for names in OF_PART.values() for name in names) == sorted(DEFAULTS)
    assert tuple(OF_PART) == (
        "control-db",
        "source-db",
        "target-db",
        "broker",
        "registry",
        "connect",
        "gateway",
    )


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    assert kept_secret(file, "first") == "first"
    assert kept_secret(file, "second") == "first"
    assert mode(file) == 0o600


def test_a_damaged_file_reads_as_empty(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    assert read_json(file) == {}
    file.write_text("{")
    assert read_json(file) == {}
    write_json(file, {"a": 1})
    assert read_json(file) == {"a": 1}


def test_env_names_every_part_and_a_well_formed_key(home: Home) -> None:
    env = Stack.here().env()
    assert re.fullmatch(r"tf_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", env["TERRAFUSION_API_KEY"])
    assert env["TERRAFUSION_API_KEY"] == (home.root / "api-key").read_text().strip()
    assert env["SCHEMA_REGISTRY_URL"] == "http://127.0.0.1:8081/apis/ccompat/v7"
    assert urlsplit(env["SOURCE_DSN"]).path == "/pacs"
    assert env == Stack.here().env()


def test_the_gateway_gets_no_superuser_address(home: Home) -> None:
    addresses = Addresses(home, Ports.load(home))
    env = addresses.gateway_environment()
    superusers = {value for name, value in addresses.environment().items() if name.endswith("_DSN")}
    assert len(superusers) == 3
    assert not superusers.intersection(env.values())
    assert env["CATALOG_DSN"].startswith("postgresql://terrafusion_catalog:")


def test_superuser_addresses_of_the_shell_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DSN", "postgresql://postgres:secret@127.0.0.1/pacs")
    assert "SOURCE_DSN" not in inherited_environment({"A": "1"})


def test_selected_parts_come_in_order_with_what_they_need(home: Home) -> None:
    parts = all_parts(Stack.here().site())
    assert tuple(parts) == NAMES
    assert select([]) == NAMES
    assert with_needs(parts, ["connect", "gateway"]) == ("control-db", "broker", "connect", "gateway")
    with pytest.raises(StackError, match="no part nobody"):
        select(["nobody"])
