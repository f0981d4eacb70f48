"""If-Match and If-None-Match against a record, as RFC 9110 has them."""

from __future__ import annotations

from catalog.documents import etag
from catalog.errors import VersionMismatch
from catalog.records import PairRecord, SystemRecord


def expected_version(
    record: SystemRecord | PairRecord | None, if_match: str | None, if_none_match: str | None
) -> int | None:
    """The version that a write must find, or None when any will do (0: must not exist). Raises VersionMismatch
    (HTTP 412) when the record already differs."""
    if if_none_match is not None and if_none_match.strip() == "*":
        if record is not None:
            raise VersionMismatch("It exists already (If-None-Match: *); leave the header out to replace it.")
        return 0
    if if_match is None:
        return None
    if record is None:
        raise VersionMismatch("There is nothing to match (If-Match): it does not exist or has been deleted.")
    tags = [tag.strip() for tag in if_match.split(",")]
    if "*" not in tags and etag(record) not in tags:
        raise VersionMismatch("Somebody else has changed it since it was read; get it again, then repeat.")
    return record.version
