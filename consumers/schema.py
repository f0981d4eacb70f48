"""The writer's schema of a change event, prepared once per schema id for both decoders.

Debezium's envelope is a record with `before`, `after`, `source`, `op` … . Both decoders read the same *plain*
form of it: named types written out under unique names, logical types and Connect's attributes dropped.
The bytes do not change by that. What was dropped is kept per column and re-applied to the decoded column
(`typing.py`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import fastavro
import polars as pl

from consumers.errors import UnsupportedSchema

HEADER_BYTES = 5  # Confluent wire format: 0, then the schema id as four bytes
_SYNC = bytes(16)
_PRIMITIVES: dict[str, pl.DataType] = {
    "boolean": pl.Boolean(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "bytes": pl.Binary(),
    "string": pl.String(),
}


@dataclass(frozen=True)
class Column:
    """A column of the source table as the event carries it.

    `semantic` is Connect's schema name (`io.debezium.time.Date`, …) or the Avro type's name when there is
    none; `dtype` the undecorated polars type both decoders give; `items` the element of an array.
    """

    name: str
    semantic: str
    dtype: pl.DataType
    nullable: bool
    parameters: dict[str, str] = field(default_factory=dict)
    items: Column | None = None


@dataclass(frozen=True)
class WriterSchema:
    """One schema id: what the decoders and the typing step need of it."""

    schema_id: int
    plain: dict[str, Any]
    columns: tuple[Column, ...]
    columnar: bool

    @cached_property
    def container_head(self) -> bytes:
        """The head of an Avro object container whose records still carry the five header bytes."""
        header = {"name": "wire_header", "type": {"type": "fixed", "name": "wire_header_5", "size": 5}}
        schema = dict(self.plain, fields=[header, *self.plain["fields"]])
        metadata = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": b"null"}
        parts = [b"Obj\x01", zigzag(len(metadata))]
        for name, value in metadata.items():
            parts += [zigzag(len(name)), name, zigzag(len(value)), value]
        return b"".join([*parts, b"\x00", _SYNC])

    @cached_property
    def parsed(self) -> Any:
        """The plain schema as fastavro wants it."""
        return fastavro.parse_schema(self.plain)

    @cached_property
    def row_dtype(self) -> pl.Struct:
        """The type of `after`."""
        return pl.Struct([pl.Field(c.name, c.dtype) for c in self.columns])

    def column(self, name: str) -> Column | None:
        """The column called `name`."""
        return next((c for c in self.columns if c.name == name), None)


def zigzag(number: int) -> bytes:
    """Avro's encoding of a long."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def prepare(schema_id: int, schema: Any) -> WriterSchema:
    """Prepare a registered envelope schema.

    Raises UnsupportedSchema when it is no change event or holds a type that cannot be typed.
    """
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise UnsupportedSchema(f"schema {schema_id} is no record")
    named: dict[str, Any] = {}
    _collect(schema, None, named)
    plain = _plain(schema, named, None, _namer())
    fields = {f["name"]: f["type"] for f in schema["fields"]}
    if "op" not in fields or "after" not in fields:
        raise UnsupportedSchema(f"schema {schema_id} is no change event: it has no op and after")
    row = _resolve(_not_null(fields["after"])[0], named, schema.get("namespace"))
    namespace = row.get("namespace", schema.get("namespace"))
    columns = tuple(_column(f["name"], f["type"], named, namespace) for f in row["fields"])
    return WriterSchema(schema_id, plain, columns, _polars_reads(plain))


def _namer() -> Callable[[], str]:
    numbers: Iterator[int] = itertools.count()
    return lambda: f"t{next(numbers)}"


def _full_name(name: str, namespace: str | None) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _collect(schema: Any, namespace: str | None, named: dict[str, Any]) -> None:
    """Gather named types, so that a later mention by name can be written out."""
    if isinstance(schema, list):
        for branch in schema:
            _collect(branch, namespace, named)
    elif isinstance(schema, dict):
        if schema.get("type") in ("record", "fixed", "enum"):
            namespace = schema.get("namespace", namespace)
            named[_full_name(schema["name"], namespace)] = schema
            for item in schema.get("fields", ()):
                _collect(item["type"], namespace, named)
        else:
            for inner in ("type", "items", "values"):
                _collect(schema.get(inner), namespace, named)


def _resolve(schema: Any, named: dict[str, Any], namespace: str | None) -> dict[str, Any]:
    """A type as a dict, mentions by name replaced by what they name."""
    if isinstance(schema, str):
        if schema in _PRIMITIVES or schema == "null":
            return {"type": schema}
        found = named.get(_full_name(schema, namespace)) or named.get(schema)
        if found is None:
            raise UnsupportedSchema(f"the schema mentions {schema}, which it does not define")
        return dict(found)
    if isinstance(schema, dict) and isinstance(schema.get("type"), dict):
        return _resolve(schema["type"], named, namespace) | {k: v for k, v in schema.items() if k != "type"}
    if isinstance(schema, dict):
        return schema
    raise UnsupportedSchema(f"a union stands where one type was expected: {json.dumps(schema)[:200]}")


def _not_null(schema: Any) -> tuple[Any, bool]:
    """The type without its null branch, and whether it had one."""
    if not isinstance(schema, list):
        return schema, False
    branches = [s for s in schema if s not in ("null", {"type": "null"})]
    return (branches[0] if len(branches) == 1 else branches), len(branches) < len(schema)


def _plain(schema: Any, named: dict[str, Any], namespace: str | None, fresh: Callable[[], str]) -> Any:
    """The schema with named types written out and everything dropped that does not change the bytes."""
    if isinstance(schema, list):
        return [_plain(branch, named, namespace, fresh) for branch in schema]
    if isinstance(schema, str) and (schema in _PRIMITIVES or schema == "null"):
        return schema
    whole = _resolve(schema, named, namespace)
    kind = whole["type"]
    namespace = whole.get("namespace", namespace)
    if kind == "record":
        fields = [
            {"name": f["name"], "type": _plain(f["type"], named, namespace, fresh)} for f in whole["fields"]
        ]
        return {"type": "record", "name": fresh(), "fields": fields}
    if kind == "array":
        return {"type": "array", "items": _plain(whole["items"], named, namespace, fresh)}
    if kind == "map":
        return {"type": "map", "values": _plain(whole["values"], named, namespace, fresh)}
    if kind == "fixed":
        return {"type": "fixed", "name": fresh(), "size": whole["size"]}
    if kind == "enum":
        return {"type": "enum", "name": fresh(), "symbols": whole["symbols"]}
    return kind


def _column(name: str, schema: Any, named: dict[str, Any], namespace: str | None) -> Column:
    inner, nullable = _not_null(schema)
    if isinstance(inner, list):
        raise UnsupportedSchema(f"column {name} is a union of several types")
    whole = _resolve(inner, named, namespace)
    kind = whole["type"]
    semantic = str(whole.get("connect.name") or whole.get("logicalType") or kind)
    parameters = {str(k): str(v) for k, v in whole.get("connect.parameters", {}).items()}
    if kind == "array":
        items = _column("item", whole["items"], named, namespace)
        return Column(name, semantic, pl.List(items.dtype), nullable, parameters, items)
    return Column(name, semantic, _dtype(whole, named, namespace), nullable, parameters)


def _dtype(whole: dict[str, Any], named: dict[str, Any], namespace: str | None) -> pl.DataType:
    kind = whole["type"]
    if kind in _PRIMITIVES:
        return _PRIMITIVES[kind]
    if kind == "fixed":
        return pl.Binary()
    if kind == "enum":
        return pl.Enum(whole["symbols"])
    if kind == "record":
        inner = whole.get("namespace", namespace)
        columns = [_column(f["name"], f["type"], named, inner) for f in whole["fields"]]
        return pl.Struct([pl.Field(c.name, c.dtype) for c in columns])
    raise UnsupportedSchema(f"an Avro {kind} cannot be a column")


def _polars_reads(plain: Any) -> bool:
    """Whether polars reads the plain schema: no map or enum, no union of more than one type with null."""
    if isinstance(plain, list):
        return len(plain) <= 2 and "null" in plain and all(_polars_reads(branch) for branch in plain)
    if isinstance(plain, dict):
        if plain["type"] in ("map", "enum"):
            return False
        if plain["type"] == "record":
            return all(_polars_reads(f["type"]) for f in plain["fields"])
        if plain["type"] == "array":
            return _polars_reads(plain["items"])
    return True
