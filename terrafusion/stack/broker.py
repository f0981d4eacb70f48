"""The Kafka broker: one KRaft node that is broker and controller."""

from __future__ import annotations

import base64
import socket
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from terrafusion.stack.config import inherited_environment
from terrafusion.stack.files import kept_secret, write_whole
from terrafusion.stack.java import Jvm, class_path, run
from terrafusion.stack.part import PROBE_SECONDS, TERMINATE, Site, StopSteps
from terrafusion.stack.ports import LOOPBACK
from terrafusion.stack.processes import Launch

LARGEST_RECORD_BYTES = 32 * 1024 * 1024
NODE = 1
METADATA_REQUEST = 3
METADATA_VERSION = 5


@dataclass(frozen=True)
class Broker:
    """Kafka with its data in `data/broker`."""

    site: Site
    name: str = "broker"
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    patience: float = 90.0
    stop_steps: StopSteps = TERMINATE
    adopts: bool = False

    @property
    def working_folder(self) -> Path:
        return self.site.data(self.name)

    @property
    def remedy(self) -> str:
        return f"read {self.site.home.log(self.name)}; `terrafusion stack down --purge` begins anew (all data is lost)"

    def prepare(self) -> Launch:
        """Write the properties, format the data folder the first time, give the command line."""
        self.working_folder.mkdir(mode=0o700, exist_ok=True)
        properties = self.site.home.config / "broker.properties"
        write_whole(properties, as_properties(self.properties()))
        classes = class_path(self.site.home.jars / "runtime")
        if not (self.working_folder / "meta.properties").exists():
            self._format(classes, properties)
        jvm = Jvm(
            "-Xms512m -Xmx1g",
            self.site.home.class_archive,
            (
                "-XX:+UseG1GC",
                "-XX:MaxGCPauseMillis=20",
                "-Dorg.slf4j.simpleLogger.log.state.change.logger=warn",
            ),
        )
        argv = jvm.command("-cp", classes, "kafka.Kafka", str(properties))
        return Launch(argv, inherited_environment({}), self.working_folder)

    def _format(self, classes: str, properties: Path) -> None:
        cluster = kept_secret(self.site.home.config / "cluster-id", _new_cluster_id())
        arguments = ("format", "--cluster-id", cluster, "--config", str(properties), "--ignore-formatted")
        jvm = Jvm("-Xmx256m", self.site.home.class_archive, ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"))
        run(jvm.command("-cp", classes, "kafka.tools.StorageTool", *arguments), self.remedy)

    def properties(self) -> dict[str, str]:
        """The broker's settings."""
        port, controller = self.site.ports["broker"], self.site.ports["controller"]
        size = str(LARGEST_RECORD_BYTES)
        return {
            "process.roles": "broker,controller",
            "node.id": str(NODE),
            "controller.quorum.voters": f"{NODE}@{LOOPBACK}:{controller}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.working_folder),
            "num.partitions": "1",
            "auto.create.topics.enable": "false",
            "default.replication.factor": "1",
            "min.insync.replicas": "1",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "10",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "10",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "message.max.bytes": size,
            "replica.fetch.max.bytes": size,
            "socket.request.max.bytes": str(4 * LARGEST_RECORD_BYTES),
            "log.cleaner.enable": "true",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "controlled.shutdown.enable": "true",
        }

    def ready(self) -> bool:
        """Does it answer a metadata request, and name itself as a broker?"""
        try:
            return _knows_a_broker(self.site.ports[self.name])
        except (OSError, struct.error):
            return False

    def finish(self) -> None:
        """Nothing is left to do."""


def as_properties(settings: dict[str, str]) -> str:
    """Java properties; our values hold no character that needs an escape but the backslash."""
    return "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in settings.items())


def _new_cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)


def _knows_a_broker(port: int) -> bool:
    """A metadata request in Kafka's protocol (no topics asked for): how many brokers does the answer list?

    Before its registration is complete the broker answers with an empty list, and clients would fail.
    """
    client = b"terrafusion-stack"
    header = struct.pack(">hhih", METADATA_REQUEST, METADATA_VERSION, 1, len(client)) + client
    body = struct.pack(">i?", 0, False)
    with socket.create_connection((LOOPBACK, port), PROBE_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(header + body)) + header + body)
        stream = connection.makefile("rb")
        (size,) = struct.unpack(">i", stream.read(4))
        answer = stream.read(size)
    _correlation, _throttle, brokers = struct.unpack(">iii", answer[:12])
    return int(brokers) > 0
