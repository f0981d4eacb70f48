"""One bad row must not stop a batch: its events are applied again in ranges, halved until the one at fault stands alone.

A range is compacted only within itself, so what the whole batch's compaction had hidden comes to light: a good
change before a bad one of the same key is applied, and unique values that are swapped go their way one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from syncservice.compact import MASK, OFFSET, last_per_key
from syncservice.errors import Halt
from syncservice.targets.base import DeadLetter, TableBatch
from syncservice.targets.keys import key_texts
from syncservice.targets.staging import stage

MAX_LETTERS = 1000
WAITS = "an earlier event of this key is a dead letter; this one waits behind it"


class RowFault(Exception):
    """A part could not be applied because of a row in it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


Attempt = Callable[[TableBatch], list[DeadLetter]]  # applies a part wholly or not at all; raises RowFault


def isolate(table: TableBatch, attempt: Attempt) -> list[DeadLetter]:
    """Apply a table's events; dead letters for those at fault, and for later events of their keys.

    Raises Halt when there are more than MAX_LETTERS: then it is hardly the rows that are wrong.
    """
    isolation = _Isolation(table, attempt)
    isolation.apply(list(range(table.history.height)))
    return isolation.letters


class _Isolation:
    def __init__(self, table: TableBatch, attempt: Attempt) -> None:
        self._table, self._attempt = table, attempt
        self._keys = key_texts(table.plan, table.history)
        self._held: set[str] = set()
        self.letters: list[DeadLetter] = []

    def apply(self, events: list[int]) -> None:
        """Apply these events (places in the history, in order), or halves of them."""
        free = [i for i in events if self._keys[i] not in self._held]
        for i in events:
            if self._keys[i] in self._held:
                self._dead(i, "parked", WAITS)
        if not free:
            return
        try:
            letters = self._attempt(self._part(free))
        except RowFault as fault:
            if len(free) == 1:
                self._dead(free[0], fault.code, fault.reason)
                return
            middle = len(free) // 2
            self.apply(free[:middle])
            self.apply(free[middle:])
            return
        for letter in letters:
            self._add(letter)

    def _part(self, events: list[int]) -> TableBatch:
        """These events as a batch of their own."""
        changes = last_per_key(self._table.history[events], self._table.plan.source_key)
        masks = tuple(mask for mask in changes[MASK].unique() if mask)
        return replace(
            self._table, changes=changes, staged=stage(self._table.plan, changes), masks=masks, direct=None
        )

    def _dead(self, event: int, code: str, reason: str) -> None:
        record = self._table.record(self._table.history[OFFSET][event])
        self._add(
            DeadLetter(self._table.partition, record, self._table.plan.name, self._keys[event], code, reason)
        )

    def _add(self, letter: DeadLetter) -> None:
        if letter.key is not None:
            self._held.add(letter.key)
        self.letters.append(letter)
        if len(self.letters) > MAX_LETTERS:
            first = self.letters[0]
            raise Halt(
                f"{first.table}: more than {MAX_LETTERS} events of one batch cannot be applied, "
                f"the first because {first.reason}",
                code="too_many_dead_letters",
                remedy="Nothing of the batch was applied. Mend the cause (the target's constraints, triggers or types, "
                "or the source's rows), then resume the pair.",
            )
