"""The schema registry: Apicurio with its storage in PostgreSQL (in memory, a crash would give ids out again)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from terrafusion.stack.config import inherited_environment
from terrafusion.stack.credentials import REGISTRY_DATABASE, REGISTRY_ROLE
from terrafusion.stack.jars import UNPACKED
from terrafusion.stack.java import Jvm
from terrafusion.stack.part import TERMINATE, Site, StopSteps, answers
from terrafusion.stack.ports import LOOPBACK
from terrafusion.stack.processes import Launch


@dataclass(frozen=True)
class Registry:
    """Apicurio, its tables in the database `registry` on control-db."""

    site: Site
    name: str = "registry"
    needs: tuple[str, ...] = ("control-db",)
    after: tuple[str, ...] = ()
    patience: float = 120.0
    stop_steps: StopSteps = TERMINATE
    adopts: bool = False

    @property
    def working_folder(self) -> Path:
        return self.site.data(self.name)

    @property
    def remedy(self) -> str:
        return f"read {self.site.home.log(self.name)}; does control-db run (`terrafusion stack status`)?"

    def prepare(self) -> Launch:
        """Give the command line; all settings are in the environment."""
        self.working_folder.mkdir(mode=0o700, exist_ok=True)
        flags = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        jvm = Jvm("-Xms128m -Xmx256m", self.site.home.class_archive, flags)
        runner = self.site.home.jars / "registry" / UNPACKED / "quarkus-run.jar"
        return Launch(
            jvm.command("-jar", str(runner)), inherited_environment(self._settings()), self.working_folder
        )

    def _settings(self) -> dict[str, str]:
        ports = self.site.ports
        return {
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "postgresql",
            "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://{LOOPBACK}:{ports['control-db']}/{REGISTRY_DATABASE}",
            "APICURIO_DATASOURCE_USERNAME": REGISTRY_ROLE,
            "APICURIO_DATASOURCE_PASSWORD": self.site.credentials.password(REGISTRY_ROLE),
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "QUARKUS_HTTP_PORT": str(ports["registry"]),
            "QUARKUS_MANAGEMENT_HOST": LOOPBACK,
            "QUARKUS_MANAGEMENT_PORT": str(ports["registry-management"]),
        }

    def ready(self) -> bool:
        """Do its own health check and the two interfaces that we use answer?"""
        http = self.site.addresses.http
        return answers(http("registry-management", "/health/ready")) and answers(
            http("registry", "/apis/ccompat/v7/subjects")
        )

    def finish(self) -> None:
        """Nothing is left to do."""
