"""API keys: `tf_<id>_<secret>` in the header X-API-Key; the catalog holds an HMAC of each, with a pepper that the
catalog does not hold."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from catalog.errors import CatalogUnavailable, Conflict, NotFound
from catalog.protocol import CatalogStore
from catalog.records import SCOPES, KeyRecord, Scope

FRESH_S = 0.5
OUTAGE_GRACE_S = 60.0
TOUCH_EVERY_S = 60.0
BOOTSTRAP_NAME = "bootstrap"
_KEY = re.compile(r"tf_([A-Za-z0-9]{6,32})_([A-Za-z0-9_-]{32,128})")
_CACHE_LIMIT = 10_000


class KeyRefused(Exception):
    """The key is malformed, unknown, wrong, revoked or expired; callers are not told which."""


@dataclass(frozen=True)
class _Verified:
    record: KeyRecord
    at: float


def new_key() -> tuple[str, str]:
    """A fresh (id, whole key): 256 bits of secret."""
    alphabet = string.ascii_lowercase + string.digits
    id = "".join(secrets.choice(alphabet) for _ in range(12))
    return id, f"tf_{id}_{secrets.token_urlsafe(32)}"


def allows(record: KeyRecord, scope: Scope) -> bool:
    """Whether the key's scopes reach `scope` (read < operate < admin)."""
    return any(SCOPES.index(has) >= SCOPES.index(scope) for has in record.scopes)


def sees(record: KeyRecord, pair: str) -> bool:
    """Whether the key may touch the pair."""
    return record.pairs is None or pair in record.pairs


class KeyRing:
    """Checks keys against the catalog. A key verified less than half a second ago is not looked up again; while the
    catalog is down, one verified in the last 60 seconds stays valid."""

    def __init__(
        self, catalog: CatalogStore, pepper: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog = catalog
        self._pepper = pepper.encode()
        self._clock = clock
        self._lock = threading.Lock()
        self._verified: dict[str, _Verified] = {}
        self._touched: dict[str, float] = {}

    def verify(self, key: str) -> KeyRecord:
        """The record of a key that is valid now. Raises KeyRefused, or CatalogUnavailable when it cannot be known."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise KeyRefused
        record = self._lookup(match[1], self.hash(key))
        self._touch(record)
        return record

    def active(self, id: str) -> KeyRecord:
        """The record of a key known by its id (a signed session). Raises KeyRefused and CatalogUnavailable."""
        try:
            record = self._catalog.key(id)
        except NotFound:
            raise KeyRefused from None
        return _if_active(record)

    def hash(self, key: str) -> str:
        """HMAC-SHA256 of the whole key, hexadecimal."""
        return hmac.new(self._pepper, key.encode(), hashlib.sha256).hexdigest()

    def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        pairs: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[KeyRecord, str]:
        """A new key and its record; the key itself is known only now."""
        id, key = new_key()
        return self._catalog.add_key(id, name, self.hash(key), scopes, pairs, expires_at), key

    def revoke(self, id: str) -> KeyRecord:
        """End a key at once. Raises NotFound."""
        record = self._catalog.revoke_key(id)
        with self._lock:
            self._verified = {digest: seen for digest, seen in self._verified.items() if seen.record.id != id}
        return record

    def bootstrap(self, given: str | None) -> str | None:
        """On the very first start, with no key at all: register `given` as admin, or make an admin key and return
        it, to be shown once. None when there is nothing to show. Raises ValueError for a malformed `given`."""
        if self._catalog.keys():
            return None
        if given is not None:
            match = _KEY.fullmatch(given)
            if match is None:
                raise ValueError(
                    "the bootstrap key is not of the form tf_<id>_<secret of at least 32 characters>"
                )
            self._add_first(match[1], given)
            return None
        id, key = new_key()
        return key if self._add_first(id, key) else None

    def _add_first(self, id: str, key: str) -> bool:
        try:
            self._catalog.add_key(id, BOOTSTRAP_NAME, self.hash(key), ["admin"])
        except Conflict:  # another gateway was faster
            return False
        return True

    def _lookup(self, id: str, digest: str) -> KeyRecord:
        now = self._clock()
        with self._lock:
            seen = self._verified.get(digest)
        if seen is not None and now - seen.at < FRESH_S:
            return _if_active(seen.record)
        try:
            record = self._catalog.key(id)
        except NotFound:
            hmac.compare_digest(digest, "0" * len(digest))
            raise KeyRefused from None
        except CatalogUnavailable:
            if seen is not None and now - seen.at < OUTAGE_GRACE_S:
                return _if_active(seen.record)
            raise
        if not hmac.compare_digest(digest, record.hash):
            raise KeyRefused
        self._remember(digest, _Verified(_if_active(record), now))
        return record

    def _remember(self, digest: str, verified: _Verified) -> None:
        with self._lock:
            if len(self._verified) >= _CACHE_LIMIT:
                self._verified.clear()
            self._verified[digest] = verified

    def _touch(self, record: KeyRecord) -> None:
        now = self._clock()
        with self._lock:
            if now - self._touched.get(record.id, -TOUCH_EVERY_S) < TOUCH_EVERY_S:
                return
            self._touched[record.id] = now
        try:
            self._catalog.touch_key(record.id)
        except CatalogUnavailable:
            return  # "last used" is worth no failed request


def _if_active(record: KeyRecord) -> KeyRecord:
    expired = record.expires_at is not None and record.expires_at <= datetime.now(UTC)
    if record.revoked_at is not None or expired:
        raise KeyRefused
    return record
