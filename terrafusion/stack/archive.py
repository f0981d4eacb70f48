"""Writes jars: of compiled classes, and of declared plugin classes.

Kafka Connect finds plugins by what META-INF/services declares. It could search every class instead
(`plugin.discovery=hybrid_warn`), but that took 10 of the 14 CPU seconds of a worker's start.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from terrafusion.stack.jarlist import Services

SERVICES_JAR = "services.jar"


def services_entries(services: Services) -> dict[str, bytes]:
    """The jar entries that declare these classes."""
    return {
        f"META-INF/services/{name}": ("\n".join(classes) + "\n").encode()
        for name, classes in services.items()
    }


def write_jar(path: Path, entries: Mapping[str, bytes]) -> None:
    """Write a jar whole or not at all, its entries sorted."""
    fresh = path.with_name(path.name + ".new")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries):
            archive.writestr(name, entries[name])
    fresh.replace(path)
