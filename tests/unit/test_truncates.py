"""A TRUNCATE at the source halts the pair; everything else in that topic is passed over."""

from __future__ import annotations

import pytest

from consumers.records import RawBatch, RawRecord, TopicPartition
from syncservice.errors import Halt
from syncservice.truncates import TruncateGuard, truncated
from tests.histories import PARCEL, SCHEMAS
from tests.records import batch_of

GUARD = TruncateGuard("pacs-1.truncates", {"public.parcel": "cama.parcel"})


def batch(*values: bytes | None, topic: str = GUARD.topic) -> RawBatch:
    return batch_of({TopicPartition(topic, 0): [RawRecord(n, None, v) for n, v in enumerate(values)]})


def test_case_17_a_truncate_of_a_synced_table_halts_with_the_remedy() -> None:
    with pytest.raises(Halt) as halted:
        GUARD.check(batch(PARCEL.value("t", lsn=77)), SCHEMAS)
    assert halted.value.code == "truncated"
    assert halted.value.retry == "manual"
    assert "cama.parcel still holds the rows" in halted.value.message
    assert "LSN 77" in halted.value.message
    assert "sync full" in halted.value.remedy


def test_case_17_truncates_of_other_tables_pass() -> None:
    TruncateGuard(GUARD.topic, {"public.other": "cama.other"}).check(batch(PARCEL.value("t")), SCHEMAS)


def test_other_topics_and_other_events_pass() -> None:
    GUARD.check(batch(PARCEL.value("t"), topic=PARCEL.topic), SCHEMAS)
    row = {"id": 1, "name": None, "note": None, "tags": None, "area": 1}
    GUARD.check(batch(None, b"nonsense", b"\x00\x00\x00\x00\x0b", PARCEL.value("c", row)), SCHEMAS)


def test_a_truncate_names_its_table_and_position() -> None:
    assert truncated(RawRecord(0, None, PARCEL.value("t", lsn=5)), SCHEMAS) == ("public.parcel", 5)
    assert truncated(RawRecord(0, None, PARCEL.value("t", lsn=None)), SCHEMAS) == ("public.parcel", 0)
