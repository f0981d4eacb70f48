"""The shapes of requests that gateway and SyncService both take."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from catalog.manifest import ManifestError, ManifestProblem, SyncPair, System, parse_document
from catalog.names import NAME, TABLE_ALLOWED, is_table
from catalog.records import OPERATION_KINDS, OperationKind

MAX_TABLES = 1000


class OperationRequest(BaseModel):
    """The body of POST …/operations. `tables`: target tables (`schema.table`), empty for all of the pair."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: OperationKind = Field(description=f"one of {', '.join(OPERATION_KINDS)}")
    tables: tuple[str, ...] = Field(default=(), max_length=MAX_TABLES)


def is_name(text: str) -> bool:
    """Whether `text` can be the name of a system or a pair; what cannot be is not found."""
    return re.fullmatch(NAME, text) is not None


def system_of(name: str, body: object) -> System:
    """The System in a PUT body. Raises ManifestError, also when it is another kind or another name."""
    document = parse_document(body)
    if not isinstance(document, System):
        raise ManifestError([ManifestProblem("kind", "is not what this address takes", "System")])
    _same_name(name, document.metadata.name)
    return document


def pair_of(name: str, body: object) -> SyncPair:
    """The SyncPair in a PUT body. Raises ManifestError, also when it is another kind or another name."""
    document = parse_document(body)
    if not isinstance(document, SyncPair):
        raise ManifestError([ManifestProblem("kind", "is not what this address takes", "SyncPair")])
    _same_name(name, document.metadata.name)
    return document


def check_tables(tables: Sequence[str], of_pair: Sequence[str]) -> None:
    """Raise ManifestError unless each of `tables` is a target table of the pair."""
    known = ", ".join(of_pair)
    problems = []
    for index, table in enumerate(tables):
        if not is_table(table):
            problems.append(ManifestProblem(f"tables[{index}]", "is not a table name", TABLE_ALLOWED))
        elif table not in of_pair:
            problems.append(ManifestProblem(f"tables[{index}]", "is not a target table of the pair", known))
    if problems:
        raise ManifestError(problems)


def _same_name(address: str, document: str) -> None:
    if address != document:
        raise ManifestError(
            [ManifestProblem("metadata.name", "differs from the name in the address", address)]
        )
