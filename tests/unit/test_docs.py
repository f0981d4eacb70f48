"""What the documents name is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "consumers", "catalog", "syncservice", "gateway", "terrafusion")
NAME = re.compile(r"`((?:" + "|".join(PACKAGES) + r")(?:\.\w+)+)`")


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or something inside one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("document", ["docs/flow.md", "docs/invariants.md"])
def test_named_functions_exist(document: str) -> None:
    names = set(NAME.findall((ROOT / document).read_text()))
    assert names or document != "docs/flow.md"
    assert sorted(name for name in names if not exists(name)) == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/flow.md"])
def test_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", text)
    missing = [
        path
        for path in {*links, *paths}
        if "…" not in path and not path.startswith(".terrafusion/") and not (ROOT / path).exists()
    ]
    assert missing == []
