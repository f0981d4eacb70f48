"""Kafka Connect in distributed mode, with Debezium, the Avro converter and our transform as plugins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from terrafusion.stack.broker import LARGEST_RECORD_BYTES, as_properties
from terrafusion.stack.config import inherited_environment
from terrafusion.stack.files import write_whole
from terrafusion.stack.java import Jvm, class_path
from terrafusion.stack.part import TERMINATE, Site, StopSteps, answers
from terrafusion.stack.processes import Launch


@dataclass(frozen=True)
class Connect:
    """One Connect worker. It keeps its state in Kafka topics."""

    site: Site
    name: str = "connect"
    needs: tuple[str, ...] = ("broker",)
    after: tuple[str, ...] = ()
    patience: float = 120.0
    stop_steps: StopSteps = TERMINATE
    adopts: bool = False

    @property
    def working_folder(self) -> Path:
        return self.site.data(self.name)

    @property
    def remedy(self) -> str:
        return f"read {self.site.home.log(self.name)}; does the broker run (`terrafusion stack status`)?"

    def prepare(self) -> Launch:
        """Write the worker's properties and give the command line."""
        self.working_folder.mkdir(mode=0o700, exist_ok=True)
        properties = self.site.home.config / "connect.properties"
        write_whole(properties, as_properties(self.properties()))
        jvm = Jvm(
            "-Xms768m -Xmx1g",
            self.site.home.class_archive,
            ("-XX:+UseG1GC",),
        )
        argv = jvm.command(
            "-cp",
            class_path(self.site.home.jars / "runtime"),
            "org.apache.kafka.connect.cli.ConnectDistributed",
            str(properties),
        )
        return Launch(argv, inherited_environment({}), self.working_folder)

    def properties(self) -> dict[str, str]:
        """The worker's settings. Connectors name their own converters; these are only a fallback."""
        size = str(LARGEST_RECORD_BYTES)
        return {
            "bootstrap.servers": self.site.addresses.bootstrap(),
            "group.id": "terrafusion-connect",
            "config.storage.topic": "terrafusion-connect-configs",
            "offset.storage.topic": "terrafusion-connect-offsets",
            "status.storage.topic": "terrafusion-connect-status",
            "config.storage.replication.factor": "1",
            "offset.storage.replication.factor": "1",
            "offset.storage.partitions": "5",
            "status.storage.replication.factor": "1",
            "status.storage.partitions": "1",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            "listeners": self.site.addresses.http("connect"),
            "plugin.path": str(self.site.home.jars / "plugins"),
            "plugin.discovery": "service_load",
            "connector.client.config.override.policy": "All",
            "exactly.once.source.support": "disabled",
            "config.providers": "file",
            "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
            "config.providers.file.param.allowed.paths": str(self.site.home.connect_secrets),
            "offset.flush.interval.ms": "1000",
            "scheduled.rebalance.max.delay.ms": "1000",
            # a worker that was killed holds up its successor for this long
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "2000",
            "producer.max.request.size": size,
            "producer.buffer.memory": str(2 * LARGEST_RECORD_BYTES),
            "consumer.max.partition.fetch.bytes": size,
            "consumer.fetch.max.bytes": str(2 * LARGEST_RECORD_BYTES),
        }

    def ready(self) -> bool:
        """Has the worker joined its group and read its topics? (/health says so since Kafka 3.9.)"""
        return answers(self.site.addresses.http("connect", "/health"))

    def finish(self) -> None:
        """Nothing is left to do."""
