"""Bytes to frames: two decoders behind one seam, and the isolation of what cannot be decoded.

`decode_columns` (polars, ~900,000 records/s) and `decode_rows` (fastavro, ~40,000 records/s, but quicker
below ~150 records and able to read every Avro type) give equal frames: one row a record with the columns
`after` (struct, null for a delete) and `op`. A property test holds them to it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import fastavro
import polars as pl

from consumers.errors import BadRecord
from consumers.schema import HEADER_BYTES, WriterSchema, zigzag

ROWS_BELOW = 150
_END = b"\xff" * HEADER_BYTES


def schema_id_of(value: bytes) -> int:
    """The schema id in the Confluent wire format. Raises BadRecord."""
    if len(value) < HEADER_BYTES:
        raise BadRecord(
            "truncated", f"the value has {len(value)} bytes, the wire format's header alone has 5"
        )
    if value[0] != 0:
        raise BadRecord("bad_magic", f"the value starts with byte {value[0]:#04x} instead of 0x00")
    return int.from_bytes(value[1:5])


def decode(values: Sequence[bytes], schema: WriterSchema) -> pl.DataFrame:
    """Decode values that all carry `schema`'s id into `after` and `op`.

    Raises BadRecord when one of them is bad; `decode_rows` on single values tells which.
    """
    if schema.columnar and len(values) >= ROWS_BELOW:
        return decode_columns(values, schema)
    return decode_rows(values, schema)


def decode_columns(values: Sequence[bytes], schema: WriterSchema) -> pl.DataFrame:
    """The columnar decoder: the values become one Avro container in memory, read by polars."""
    # the last value once more under a header of its own: surplus whole records would push it from its place
    body = b"".join((*values, _END, values[-1][HEADER_BYTES:]))
    container = b"".join((schema.container_head, zigzag(len(values) + 1), zigzag(len(body)), body, bytes(16)))
    try:
        frame = pl.read_avro(io.BytesIO(container), columns=["wire_header", "after", "op"])
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise BadRecord("bad_avro", f"a value does not fit its schema: {error}") from error
    except BaseException as error:
        # polars raises its panics as an exception outside the Exception tree
        if type(error).__name__ != "PanicException":
            raise
        raise BadRecord("bad_avro", "a value does not fit its schema: the decoder panicked") from error
    headers = frame["wire_header"]
    expected = pl.Series([values[0][:HEADER_BYTES]])
    if frame.height != len(values) + 1 or headers[-1] != _END or not (headers[:-1] == expected).all():
        raise BadRecord("bad_avro", "a value is shorter or longer than its schema says")
    return frame.select("after", "op").head(len(values))


def decode_rows(values: Sequence[bytes], schema: WriterSchema) -> pl.DataFrame:
    """The row decoder."""
    events = [decode_event(value, schema) for value in values]
    after = pl.Series("after", [event["after"] for event in events], dtype=schema.row_dtype)
    return pl.DataFrame([after, pl.Series("op", [event["op"] for event in events], dtype=pl.String)])


def decode_event(value: bytes, schema: WriterSchema) -> dict[str, object]:
    """One whole envelope as plain Python values, `source` included. Raises BadRecord."""
    stream = io.BytesIO(value)
    stream.seek(HEADER_BYTES)
    try:
        event = fastavro.schemaless_reader(stream, schema.parsed, None)
    except (EOFError, ValueError, IndexError, OverflowError, TypeError, KeyError, MemoryError) as error:
        raise BadRecord(
            "bad_avro", f"the value does not fit its schema: {error or type(error).__name__}"
        ) from error
    if stream.tell() != len(value):
        raise BadRecord("bad_avro", f"{len(value) - stream.tell()} bytes follow the record")
    if not isinstance(event, dict):
        raise BadRecord("bad_avro", "the value is no record")
    return event
