"""When two errors are the same error."""

from __future__ import annotations

import hashlib
import re

_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+", re.IGNORECASE)


def fingerprint_of(pair: str | None, code: str, message: str) -> str:
    """Equal for the same pair, code and message but for numbers and ids in it; 16 hexadecimal digits."""
    wording = _VARYING.sub("#", message)
    return hashlib.sha256(f"{pair or ''}\0{code}\0{wording}".encode("utf-8", "replace")).hexdigest()[:16]
