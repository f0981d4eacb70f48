"""Which keys a replay has met: against a plain set."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from syncservice.compact import MASK, OP
from syncservice.seen import NEW, SeenKeys

KEYS = st.tuples(st.integers(0, 60), st.sampled_from(["", "ä", "b"]))
BATCHES = st.lists(st.lists(KEYS, min_size=1, max_size=12, unique=True), max_size=15)


WIDE = pl.Int64()


def frame(
    keys: list[tuple[int, str]], op: str = "u", mask: str = "", dtype: pl.DataType = WIDE
) -> pl.DataFrame:
    return pl.DataFrame(
        {"n": pl.Series([k[0] for k in keys], dtype=dtype), "t": [k[1] for k in keys], OP: op, MASK: mask}
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(BATCHES)
def test_the_same_keys_are_new_as_a_set_would_say(batches: list[list[tuple[int, str]]]) -> None:
    keys, model = SeenKeys(), set[tuple[int, str]]()
    for batch in batches:
        marked = keys.mark(frame(batch), ("n", "t"))
        assert marked[OP].to_list() == ["u" if key in model else NEW for key in batch]
        model |= set(batch)


def test_deletes_and_partial_updates_are_never_new_but_remembered() -> None:
    keys = SeenKeys()
    assert keys.mark(frame([(1, "")], op="d"), ("n", "t"))[OP].to_list() == ["d"]
    assert keys.mark(frame([(2, "")], mask="v"), ("n", "t"))[OP].to_list() == ["u"]
    assert keys.mark(frame([(1, ""), (2, ""), (3, "")]), ("n", "t"))[OP].to_list() == ["u", "u", NEW]


def test_case_63_a_key_whose_type_grew_is_the_same_key() -> None:
    keys = SeenKeys()
    values = [(n, "") for n in (0, 1, -1, 2**31 - 1)]
    keys.mark(frame(values, dtype=pl.Int32()), ("n", "t"))
    assert keys.mark(frame(values, dtype=pl.Int64()), ("n", "t"))[OP].to_list() == ["u"] * 4


def test_runs_stay_few() -> None:
    keys = SeenKeys()
    for number in range(300):
        keys.mark(frame([(number * 7 + n, "") for n in range(7)]), ("n", "t"))
    assert len(keys._runs) <= 12
    assert sum(len(run) for run in keys._runs) == 2100
