"""`terrafusion serve`: run a service in this process."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer


class Service(StrEnum):
    """What can be served."""

    gateway = "gateway"
    syncservice = "syncservice"


def serve(
    service: Annotated[
        Service, typer.Argument(help="gateway (which starts SyncService), or syncservice alone.")
    ],
) -> None:
    """Run the gateway or SyncService here; settings come from the environment.

    Example: terrafusion serve gateway
    """
    os.execv(sys.executable, [sys.executable, "-m", service.value])  # noqa: S606  (the same process goes on)
