"""Which keys a replay has met already: rows with new keys need no lookup in the shadow table."""

from __future__ import annotations

import threading

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from syncservice.compact import OP

NEW = "n"


class SeenKeys:
    """64-bit hashes of keys, in sorted runs that double in size. About 8 bytes a key.

    Equal keys have equal hashes, so a key that was seen is never taken for new. Two keys with one hash only
    cost speed: the second is merged instead of inserted.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []
        self._lock = threading.Lock()  # a batch may be prepared again by the thread that applies

    def mark(self, changes: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
        """Turn the `@op` of whole upserts with new keys from "u" into "n", and remember all keys."""
        keys = changes.select(list(key)).cast({cs.integer(): pl.Int64, cs.float(): pl.Float64})
        hashes = keys.hash_rows(seed=0).to_numpy()  # of one width: -1 as Int32 has another hash than as Int64
        with self._lock:
            fresh = ~self._seen(hashes)
            self._add(np.sort(hashes))
        new = pl.Series(fresh) & (changes[OP] == "u") & (changes["@mask"] == "")
        return changes.with_columns(pl.when(new).then(pl.lit(NEW)).otherwise(pl.col(OP)).alias(OP))

    def _seen(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        found = np.zeros(len(hashes), dtype=np.bool_)
        for run in self._runs:
            at = np.searchsorted(run, hashes)
            at[at == len(run)] = 0
            found |= run[at] == hashes
        return found

    def _add(self, run: NDArray[np.uint64]) -> None:
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.union1d(self._runs.pop(), run)
        self._runs.append(run)
