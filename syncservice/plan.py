"""What is done with the change events of one table: compiled from the sync pair and the target's table."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.changes import Wanted


@dataclass(frozen=True)
class ColumnPlan:
    """A target column: its name, the source column it takes, its type without length or scale, and with them.

    Casting to a type with a length would cut values silently (`'abcd'::varchar(3)`); without it, the
    assignment checks the length.
    """

    target: str
    source: str
    type: str
    full_type: str = ""


@dataclass(frozen=True)
class TablePlan:
    """A table of a sync pair: topic → target table."""

    topic: str
    schema: str
    table: str
    columns: tuple[ColumnPlan, ...]
    key: tuple[str, ...]  # target columns
    placeholder: str

    @property
    def name(self) -> str:
        """The target table as users write it."""
        return f"{self.schema}.{self.table}"

    @property
    def source_key(self) -> tuple[str, ...]:
        """The key's source columns, in the key's order."""
        sources = {c.target: c.source for c in self.columns}
        return tuple(sources[name] for name in self.key)

    @property
    def wanted(self) -> Wanted:
        """What to read of the topic."""
        return Wanted(tuple(dict.fromkeys(c.source for c in self.columns)), self.source_key, self.placeholder)
