"""Writer's schemas, prepared once and kept: what the decoders ask for."""

from __future__ import annotations

from consumers.schema import WriterSchema, prepare
from schemas.registry import Registry


class Schemas:
    """A cache of prepared schemas over a registry; shared by threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._prepared: dict[int, WriterSchema] = {}

    def __call__(self, schema_id: int) -> WriterSchema:
        """The prepared schema. Raises UnsupportedSchema, UnknownSchema, RegistryUnavailable."""
        if schema_id not in self._prepared:
            self._prepared[schema_id] = prepare(schema_id, self._registry.schema(schema_id))
        return self._prepared[schema_id]

    def latest(self, topic: str) -> WriterSchema:
        """The newest schema of a topic's values: reads the keys of tombstones that come alone."""
        return self(self._registry.latest(f"{topic}-value"))
