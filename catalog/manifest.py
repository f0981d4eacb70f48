"""Manifests: from YAML or JSON to `System` and `SyncPair`, or to every problem at once.

A bad manifest is refused whole. Each problem says where (`spec.tables[0].columns.owner`), what is wrong and what is
allowed; none ever repeats a value, since a value could be a password written in the wrong place.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from catalog.names import NAME_ALLOWED, TABLE_ALLOWED, format_path
from catalog.secrets import SecretError
from catalog.specs import (
    API_VERSION,
    Document,
    FullSyncSpec,
    Metadata,
    SecretRef,
    SyncPair,
    SyncPairSpec,
    System,
    SystemSpec,
    TableSpec,
)
from catalog.yaml_documents import DocumentError, load_documents

__all__ = [
    "API_VERSION",
    "Document",
    "FullSyncSpec",
    "ManifestError",
    "ManifestProblem",
    "Metadata",
    "SecretError",
    "SecretRef",
    "SyncPair",
    "SyncPairSpec",
    "System",
    "SystemSpec",
    "TableSpec",
    "parse_document",
    "parse_documents",
]

_MODELS: dict[str, type[System] | type[SyncPair]] = {"System": System, "SyncPair": SyncPair}
_FIELDS_TO_COME = frozenset(
    {"where", "create", "validate", "schema_changes", "limits", "dead_letters", "options"}
)
_VALUES_TO_COME: dict[str, frozenset[str]] = {
    "mode": frozenset({"on_demand"}),
    "transactions": frozenset({"whole"}),
    "strategy": frozenset({"snapshot", "extract"}),
    "on_delete": frozenset({"ignore"}),
    "on_truncate": frozenset({"apply", "ignore"}),
    "kind": frozenset({"mariadb", "mysql", "sqlserver", "oracle", "http", "kafka"}),
}
_EXPECTED = {
    "apiVersion": API_VERSION,
    "name": NAME_ALLOWED,
    "source": "the name of a system",
    "target": "the name of a system",
    "from": TABLE_ALLOWED,
    "to": TABLE_ALLOWED,
    "tables": "a list of {from, to}, at least one",
    "key": "a list of target columns, at least one",
    "columns": "target column: source column, at least one",
    "kind": "postgresql",
    "host": "a host name or address",
    "port": "1 to 65535",
    "database": "the name of a database",
    "user": "the name of a role",
    "password": "{env: NAME} or {file: PATH}",
    "adopt": "true or false",
}
_MESSAGES = {
    "missing": "is missing",
    "literal_error": "is not an allowed value",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "bool_type": "is not true or false",
    "string_type": "is not a text",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "tuple_type": "is not a list",
    "too_short": "is empty",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "invalid_key": "is not a text",
}


@dataclass(frozen=True)
class ManifestProblem:
    """One thing wrong in a manifest. `path`: `spec.tables[0].to`, or `line 3, column 7` where the YAML itself is
    broken; `allowed`: what may stand there; `document`: `SyncPair pacs-to-cama`, or empty for a single document."""

    path: str
    message: str
    allowed: str = ""
    document: str = ""

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.document, self.path) if part)
        allowed = f" (allowed: {self.allowed})" if self.allowed else ""
        return f"{where}: {self.message}{allowed}" if where else f"{self.message}{allowed}"


class ManifestError(Exception):
    """A manifest that was refused whole; `errors` holds every problem."""

    code = "manifest_invalid"
    retry = "never"

    def __init__(self, errors: Iterable[ManifestProblem]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(map(str, self.errors)))


def parse_documents(text: str) -> list[Document]:
    """All documents of a YAML (or JSON) text, in their order. Raises ManifestError with every problem of every
    document; an empty text is a problem too."""
    try:
        raw = load_documents(text)
    except DocumentError as error:
        raise ManifestError([ManifestProblem(error.path, error.message)]) from None
    if not raw:
        raise ManifestError(
            [ManifestProblem("", "the manifest holds no document", "kind System or SyncPair")]
        )
    documents: list[Document] = []
    problems: list[ManifestProblem] = []
    for number, data in enumerate(raw, start=1):
        try:
            documents.append(parse_document(data))
        except ManifestError as error:
            label = _label(data, number) if len(raw) > 1 else ""
            problems += [ManifestProblem(p.path, p.message, p.allowed, label) for p in error.errors]
    problems += _same_document_twice(documents)
    if problems:
        raise ManifestError(problems)
    return documents


def parse_document(data: object) -> Document:
    """One document given as plain values (a PUT body). Raises ManifestError with every problem."""
    if not isinstance(data, dict):
        raise ManifestError([ManifestProblem("", "is not a mapping", "apiVersion, kind, metadata and spec")])
    kind = data.get("kind")
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        message = "is missing" if kind is None else "is not an allowed value"
        raise ManifestError([ManifestProblem("kind", message, "System or SyncPair")])
    try:
        document = model.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        found = _without_echoes(error.errors(include_url=False))
        problems = dict.fromkeys(_problem(model, details) for details in found)
        raise ManifestError([*problems, *_cross_checks(data)]) from None
    except RecursionError:
        raise ManifestError([ManifestProblem("", "the manifest is nested too deeply")]) from None
    broken_rules = list(_cross_checks(data))
    if broken_rules:
        raise ManifestError(broken_rules)
    return document


def _label(data: object, number: int) -> str:
    metadata = data.get("metadata") if isinstance(data, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = data.get("kind") if isinstance(data, dict) else None
    if isinstance(name, str) and isinstance(kind, str):
        return f"{kind[:40]} {name[:60]}"
    return f"document {number}"


def _same_document_twice(documents: Sequence[Document]) -> list[ManifestProblem]:
    counts = Counter((document.kind, document.metadata.name) for document in documents)
    return [
        ManifestProblem(
            "metadata.name", "appears twice in this manifest", "one document each", f"{kind} {name}"
        )
        for (kind, name), count in counts.items()
        if count > 1
    ]


def _without_echoes(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """A list whose items are all wrong also counts as too short; only the items' errors help."""
    inner = [error["loc"] for error in errors if error["type"] != "too_short"]
    return [
        error
        for error in errors
        if error["type"] != "too_short" or all(loc[: len(error["loc"])] != error["loc"] for loc in inner)
    ]


def _problem(model: type[BaseModel], details: ErrorDetails) -> ManifestProblem:
    loc, kind, context = details["loc"], details["type"], details.get("ctx", {})
    path = format_path(loc)
    field = str(loc[-1]) if loc else ""
    if kind == "manifest":
        return ManifestProblem(path, str(context["message"]), str(context["allowed"]))
    if kind == "extra_forbidden":
        return _unknown_field(model, loc, path, field)
    if kind == "literal_error":
        return _bad_value(path, field, details.get("input"), str(context.get("expected", "")))
    allowed = _allowed(model, loc)
    return ManifestProblem(path, _MESSAGES.get(kind, "is not valid"), allowed)


def _unknown_field(
    model: type[BaseModel], loc: Sequence[str | int], path: str, field: str
) -> ManifestProblem:
    parent = _model_at(model, loc[:-1])
    known = _field_names(parent) if parent else []
    allowed = ", ".join(known)
    if field in _FIELDS_TO_COME:
        return ManifestProblem(path, "is not supported yet", allowed)
    close = difflib.get_close_matches(field, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return ManifestProblem(path, f"is an unknown field{hint}", allowed)


def _bad_value(path: str, field: str, value: object, expected: str) -> ManifestProblem:
    to_come = isinstance(value, dict) or (isinstance(value, str) and value in _VALUES_TO_COME.get(field, ()))
    message = "is not supported yet" if to_come and field in _VALUES_TO_COME else "is not an allowed value"
    return ManifestProblem(path, message, expected.replace("'", ""))


def _allowed(model: type[BaseModel], loc: Sequence[str | int]) -> str:
    named = _EXPECTED.get(str(loc[-1])) if loc else None
    if named is not None:
        return named
    found = _model_at(model, loc)
    return ", ".join(_field_names(found)) if found else ""


def _field_names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel] | None:
    """The model that stands at `loc` below `model`, or None where no model stands there."""
    current: type[BaseModel] | None = model
    annotation: Any = model
    for part in loc:
        if isinstance(part, int):
            annotation = next(iter(typing.get_args(annotation)), None)
        elif current is not None:
            fields = {field.alias or name: field.annotation for name, field in current.model_fields.items()}
            annotation = fields.get(part)
        else:
            return None
        annotation = _plain(annotation)
        current = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return current


def _plain(annotation: Any) -> Any:
    """Without Annotated and Optional."""
    if typing.get_origin(annotation) is Annotated:
        return _plain(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return _plain(next(arg for arg in typing.get_args(annotation) if arg is not type(None)))
    return annotation


def _cross_checks(data: dict[Any, Any]) -> Iterator[ManifestProblem]:
    """Rules between fields, on the raw values, so that they are found together with the others."""
    spec = data.get("spec")
    if data.get("kind") != "SyncPair" or not isinstance(spec, dict):
        return
    if isinstance(spec.get("source"), str) and spec.get("source") == spec.get("target"):
        yield ManifestProblem("spec.target", "is the source itself", "another system")
    tables = spec.get("tables")
    rows = (
        [(i, t) for i, t in enumerate(tables) if isinstance(t, dict)]
        if isinstance(tables, list | tuple)
        else []
    )
    for field in ("from", "to"):
        yield from _duplicates(rows, field)
    for index, table in rows:
        yield from _key_checks(f"spec.tables[{index}].key", table)


def _duplicates(tables: Sequence[tuple[int, dict[Any, Any]]], field: str) -> Iterator[ManifestProblem]:
    first: dict[str, int] = {}
    for index, table in tables:
        value = table.get(field)
        if not isinstance(value, str):
            continue
        if value in first:
            where = f"spec.tables[{first[value]}]"
            yield ManifestProblem(
                f"spec.tables[{index}].{field}", f"is already used by {where}", "each table once"
            )
        first.setdefault(value, index)


def _key_checks(path: str, table: dict[Any, Any]) -> Iterator[ManifestProblem]:
    key, columns = table.get("key"), table.get("columns")
    if not isinstance(key, list | tuple):
        return
    seen: set[str] = set()
    for index, column in enumerate(key):
        if not isinstance(column, str):
            continue
        if column in seen:
            yield ManifestProblem(f"{path}[{index}]", "appears twice in the key", "each column once")
        seen.add(column)
        if isinstance(columns, dict) and columns and column not in columns:
            mapped = ", ".join(str(name) for name in columns)
            yield ManifestProblem(f"{path}[{index}]", "is not among the mapped columns", mapped[:500])
