"""The gateway, the stack's last part. It starts and watches SyncService itself."""

from __future__ import annotations

import importlib.util
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from terrafusion.stack.config import inherited_environment
from terrafusion.stack.errors import StackError
from terrafusion.stack.logs import last_lines
from terrafusion.stack.part import Site, StopSteps, answers
from terrafusion.stack.processes import Launch

SYNCSERVICE_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Gateway:
    """`python -m gateway`."""

    site: Site
    name: str = "gateway"
    needs: tuple[str, ...] = ("control-db",)
    # not after Connect, the slowest: SyncService waits for it anyway
    after: tuple[str, ...] = ("source-db", "target-db", "broker", "registry")
    patience: float = 60.0
    # long enough for SyncService to finish the batch in hand
    stop_steps: StopSteps = ((signal.SIGTERM, 40.0),)
    working_folder: Path | None = None
    adopts: bool = True

    @property
    def remedy(self) -> str:
        return f"read {self.site.home.log(self.name)}; `terrafusion stack up --no-gateway` starts all but the gateway"

    def prepare(self) -> Launch:
        """Give the command line and the environment; raises StackError while there is no gateway program."""
        if (
            importlib.util.find_spec("gateway") is None
            or importlib.util.find_spec("gateway.__main__") is None
        ):
            raise StackError("there is no gateway program here", "`terrafusion stack up --no-gateway`")
        environment = inherited_environment(self.site.addresses.gateway_environment())
        project = Path(__file__).resolve().parents[2]
        return Launch((sys.executable, "-m", "gateway"), environment, project)

    def ready(self) -> bool:
        """Does it live? (Whether it is ready to serve, its own /readyz tells.)"""
        return answers(self.site.addresses.http("gateway", "/livez"))

    def finish(self) -> None:
        """Wait for SyncService, which the gateway starts. The gateway stays up when that fails: it knows why."""
        deadline = time.monotonic() + SYNCSERVICE_PATIENCE_SECONDS
        while not answers(self.site.addresses.http("syncservice", "/livez")):
            if time.monotonic() > deadline:
                raise StackError(
                    f"SyncService does not answer {SYNCSERVICE_PATIENCE_SECONDS:.0f} s after its gateway started",
                    "the gateway goes on starting it; read `terrafusion stack logs syncservice` and then "
                    "`terrafusion stack up` again",
                    last_lines(self.site.home.log("syncservice")),
                )
            time.sleep(0.2)
