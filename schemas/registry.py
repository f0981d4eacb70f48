"""The schema registry, read only: writer's schemas by id.

Ids are cached for ever: under one id the registry must always give the same schema. `fingerprint` lets a
caller that stores it notice when it does not (a registry that lost its storage hands ids out again).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from httpx2 import HTTPError

JsonSchema = Any  # an Avro schema as parsed JSON


class RegistryUnavailable(Exception):
    """The registry did not answer; the caller retries, no event is at fault."""


class UnknownSchema(Exception):
    """The registry answers, but knows no schema under this id."""


class Registry(Protocol):
    """Writer's schemas by id."""

    def schema(self, schema_id: int) -> JsonSchema:
        """The Avro schema as parsed JSON. Raises UnknownSchema, RegistryUnavailable."""
        ...

    def latest(self, subject: str) -> int:
        """The id of the subject's newest version. Raises UnknownSchema, RegistryUnavailable."""
        ...


class SchemaRegistry:
    """A Confluent-compatible registry over HTTP."""

    def __init__(self, url: str) -> None:
        self._client = SchemaRegistryClient({"url": url, "max.retries": 1})
        self._schemas: dict[int, JsonSchema] = {}

    def schema(self, schema_id: int) -> JsonSchema:
        """The Avro schema as parsed JSON. Raises UnknownSchema, RegistryUnavailable."""
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._fetch(schema_id)
        return self._schemas[schema_id]

    def latest(self, subject: str) -> int:
        """The id of the subject's newest version; never cached. Raises UnknownSchema, RegistryUnavailable."""
        with _translated(f"subject {subject}"):
            found = self._client.get_latest_version(subject).schema_id
        if found is None:
            raise UnknownSchema(f"the registry gives no id for subject {subject}")
        return int(found)

    def _fetch(self, schema_id: int) -> JsonSchema:
        with _translated(f"schema id {schema_id}"):
            text = self._client.get_schema(schema_id).schema_str
        if text is None:
            raise UnknownSchema(f"the registry has no text for schema id {schema_id}")
        return json.loads(text)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """The client's errors as ours: 404 is an answer, everything else is not."""
    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code == 404:
            raise UnknownSchema(f"the registry does not know {what}") from error
        raise RegistryUnavailable(f"the registry answered {error.http_status_code} for {what}") from error
    except (OSError, HTTPError) as error:
        raise RegistryUnavailable(f"the registry does not answer: {error}") from error


class MemoryRegistry:
    """The in-memory twin: schemas given by hand."""

    def __init__(self, schemas: dict[int, JsonSchema] | None = None) -> None:
        self.schemas = dict(schemas or {})

    def schema(self, schema_id: int) -> JsonSchema:
        """See Registry.schema."""
        if schema_id not in self.schemas:
            raise UnknownSchema(f"the registry knows no schema with id {schema_id}")
        return self.schemas[schema_id]

    def latest(self, subject: str) -> int:
        """See Registry.latest: the highest id, whatever the subject."""
        if not self.schemas:
            raise UnknownSchema(f"the registry does not know subject {subject}")
        return max(self.schemas)


def fingerprint(schema: JsonSchema) -> str:
    """SHA-256 of the schema's canonical JSON, as hex."""
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
