"""Whether bytes are exactly what a plain Avro schema allows: branch numbers that exist, booleans of 0 or 1, nothing left."""

from __future__ import annotations

from typing import Any


class NotAvro(Exception):
    """The bytes are nothing that a writer of the schema could have written."""


def is_avro(data: bytes, schema: Any) -> bool:
    """Strict: decoders may read more leniently."""
    try:
        return _end(data, 0, schema) == len(data)
    except NotAvro:
        return False


def _end(data: bytes, at: int, schema: Any) -> int:
    """Where a value that starts at `at` ends."""
    if isinstance(schema, list):
        branch, at = _long(data, at)
        if not 0 <= branch < len(schema):
            raise NotAvro
        return _end(data, at, schema[branch])
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        for field in schema["fields"]:
            at = _end(data, at, field["type"])
        return at
    if kind == "array":
        return _array(data, at, schema["items"])
    if kind in ("int", "long"):
        return _long(data, at)[1]
    if kind == "fixed":
        return _within(data, at + int(schema["size"]))
    if kind == "enum":
        symbol, at = _long(data, at)
        if not 0 <= symbol < len(schema["symbols"]):
            raise NotAvro
        return at
    if kind in ("string", "bytes"):
        length, at = _long(data, at)
        if length < 0 or (kind == "string" and not _utf8(data[at : at + length])):
            raise NotAvro
        return _within(data, at + length)
    if kind == "boolean" and data[at : at + 1] not in (b"\x00", b"\x01"):
        raise NotAvro
    return _within(data, at + {"null": 0, "boolean": 1, "float": 4, "double": 8}[kind])


def _array(data: bytes, at: int, items: Any) -> int:
    while True:
        count, at = _long(data, at)
        if count == 0:
            return at
        if count < 0:
            raise NotAvro  # a sized block: allowed, but no writer here makes one
        for _ in range(min(count, len(data) + 1)):
            at = _end(data, at, items)


def _long(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        _within(data, at + 1)
        byte, at = data[at], at + 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        if shift > 63:
            raise NotAvro


def _utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise NotAvro
    return end
