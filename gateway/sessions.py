"""The dashboard's session: a signed cookie with the id of the key that signed in, checked anew on every page."""

from __future__ import annotations

import hmac
import secrets
import time

from flask import session

from catalog.records import KeyRecord
from gateway.keys import KeyRefused, KeyRing

LIFETIME_S = 12 * 3600


def open_session(record: KeyRecord) -> None:
    """Sign in: the cookie names the key, never holds it."""
    session.clear()
    session["key"] = record.id
    session["since"] = int(time.time())
    session["csrf"] = secrets.token_urlsafe(24)


def session_key(keys: KeyRing) -> KeyRecord | None:
    """The key that is signed in, None when none is or it is no longer valid. Raises CatalogUnavailable."""
    id, since = session.get("key"), session.get("since")
    if not isinstance(id, str) or not isinstance(since, int) or time.time() - since > LIFETIME_S:
        return None
    try:
        return keys.active(id)
    except KeyRefused:
        session.clear()
        return None


def csrf_token() -> str:
    """The token that this session's forms carry."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def csrf_matches(given: str) -> bool:
    """Whether a form came from a page of this session."""
    expected = session.get("csrf")
    return isinstance(expected, str) and hmac.compare_digest(
        expected.encode(), given.encode("utf-8", "replace")
    )
