"""Fixtures of the tests that use the running stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from terrafusion.stack import Stack
from tests.integration.connect_lab import SourceLab


@pytest.fixture(scope="module")
def source_lab(stack: Stack) -> Iterator[Callable[[str, str, list[str]], SourceLab]]:
    """Makes source databases with connectors: (system, ddl, tables); all are removed at the end."""
    with ExitStack() as exits:

        def make(system: str, ddl: str, tables: list[str]) -> SourceLab:
            lab = SourceLab(stack.env(), system, ddl, tables)
            exits.callback(lab.close)
            return lab

        yield make
