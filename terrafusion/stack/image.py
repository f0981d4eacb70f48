"""`python -m terrafusion.stack.image FOLDER`: what `deploy/Dockerfile.connect` puts into the Connect image.

`FOLDER/jars/plugins` holds the locked plugins and our compiled transforms, `FOLDER/connect.properties` the worker's
settings: the local stack's, with the addresses and folders of `compose.kafka.yml`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from terrafusion.stack import jars, transforms
from terrafusion.stack.broker import as_properties
from terrafusion.stack.config import Home
from terrafusion.stack.connect import Connect
from terrafusion.stack.part import Site
from terrafusion.stack.ports import Ports

IN_CONTAINER = {
    "bootstrap.servers": "broker:19092",
    "listeners": "http://0.0.0.0:8083",
    "rest.advertised.host.name": "connect",
    "plugin.path": "/opt/terrafusion/plugins",
    "config.providers.file.param.allowed.paths": "/run/terrafusion/connect-secrets",
}


def worker_properties() -> dict[str, str]:
    """The worker's settings inside the container."""
    site = Site(Home(Path("/opt/terrafusion")), Ports(0, {}))
    return {**Connect(site).properties(), **IN_CONTAINER}


def main(folder: Path) -> None:
    """Fill the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    jars.install(folder / "jars", without=frozenset({"registry"}))
    transforms.build(folder / "jars")
    (folder / "connect.properties").write_text(as_properties(worker_properties()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
