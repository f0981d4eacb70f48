"""The last change per key, and values that TOAST left out."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from syncservice.compact import MASK, OFFSET, OP, last_per_key, unavailable_columns, with_masks

Change = tuple[str, int, str | None, str | None, bool, bool]  # op, id, a, b, a and b unavailable


def compact(changes: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Both steps, as prepare takes them."""
    return last_per_key(with_masks(changes, key), key)


def frame(*changes: Change, flags: bool = True) -> pl.DataFrame:
    names = [OP, "id", "a", "b", "@unavailable:a", "@unavailable:b"]
    schema = {OP: pl.String, "id": pl.Int64, "a": pl.String, "b": pl.String}
    types = {**schema, names[4]: pl.Boolean, names[5]: pl.Boolean}
    rows = pl.DataFrame(list(changes), schema=types, orient="row").with_row_index(OFFSET)
    return rows if flags else rows.drop(names[4:])


def whole(op: str, key: int, a: str | None, b: str | None = None) -> Change:
    return (op, key, a, b, False, False)


def result(changes: pl.DataFrame) -> list[tuple[Any, ...]]:
    return compact(changes, ["id"]).select(OFFSET, OP, "id", "a", "b", MASK).rows()


def test_the_last_change_of_each_key_stays_in_offset_order() -> None:
    changes = frame(
        whole("u", 1, "x"),
        whole("u", 2, "y"),
        whole("u", 1, "z"),
        whole("d", 3, None),
        whole("u", 2, "w"),
        flags=False,
    )
    assert result(changes) == [
        (2, "u", 1, "z", None, ""),
        (3, "d", 3, None, None, ""),
        (4, "u", 2, "w", None, ""),
    ]


def test_case_15_a_delete_in_the_middle_does_not_outlive_the_create() -> None:
    changes = frame(whole("u", 1, "x"), whole("d", 1, None), whole("u", 1, "new"), flags=False)
    assert result(changes) == [(2, "u", 1, "new", None, "")]
    assert result(frame(whole("u", 1, "x"), whole("d", 1, None), flags=False)) == [
        (1, "d", 1, None, None, "")
    ]


def test_case_8_an_unavailable_value_is_that_of_the_change_before() -> None:
    changes = frame(
        whole("u", 1, "x", "y"), ("u", 1, None, "y2", True, False), ("u", 1, None, None, True, True)
    )
    assert result(changes) == [(2, "u", 1, "x", "y2", "")]


def test_a_known_null_is_a_value() -> None:
    changes = frame(whole("u", 1, None, "y"), ("u", 1, None, None, True, True))
    assert result(changes) == [(1, "u", 1, None, "y", "")]


def test_what_no_change_of_the_batch_knows_is_named_in_the_mask() -> None:
    changes = frame(
        ("u", 1, None, "y", True, False), ("u", 2, None, None, True, True), ("u", 1, None, None, True, True)
    )
    assert result(changes) == [(1, "u", 2, None, None, "a\x1fb"), (2, "u", 1, None, "y", "a")]
    assert unavailable_columns("a\x1fb") == ("a", "b")
    assert unavailable_columns("") == ()


def test_a_value_does_not_cross_keys() -> None:
    changes = frame(whole("u", 1, "x", "y"), ("u", 2, None, "z", True, False))
    assert result(changes) == [(0, "u", 1, "x", "y", ""), (1, "u", 2, None, "z", "a")]


def test_case_8_a_delete_ends_the_life_whose_values_are_known() -> None:
    changes = frame(whole("u", 1, "x", "y"), whole("d", 1, None), ("u", 1, None, "z", True, False))
    assert result(changes) == [(2, "u", 1, None, "z", "a")]


def test_arrays_and_bytes_are_carried_forward_too() -> None:
    changes = pl.DataFrame(
        {
            OFFSET: [0, 1],
            OP: ["u", "u"],
            "id": [1, 1],
            "tags": [["x", None], None],
            "raw": [b"\x00", None],
            "@unavailable:tags": [False, True],
            "@unavailable:raw": [False, True],
        }
    )
    assert compact(changes, ["id"]).rows() == [(1, "u", 1, ["x", None], b"\x00", "")]


def test_keys_of_several_columns() -> None:
    changes = pl.DataFrame(
        {OFFSET: [0, 1, 2], OP: ["u"] * 3, "t": ["a", "a", "b"], "n": [1, 2, 1], "v": [1, 2, 3]}
    )
    assert compact(changes, ["t", "n"]).height == 3
    assert compact(changes, ["t"])[OFFSET].to_list() == [1, 2]


@pytest.mark.parametrize("mask", ["a", "a\x1fb"])
def test_a_mask_reads_back_as_it_was_written(mask: str) -> None:
    assert "\x1f".join(unavailable_columns(mask)) == mask
