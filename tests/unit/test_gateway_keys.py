"""Keys, the first key, and what the log may hold."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.errors import CatalogUnavailable
from catalog.memory import MemoryCatalog
from gateway.config import Settings, kept_secret
from gateway.keys import KeyRefused, KeyRing, allows, new_key, sees
from gateway.logs import without_secrets
from gateway.words import ago, amount, duration

PEPPER = "a-pepper-of-some-length"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_verified_by_its_whole_text() -> None:
    catalog = MemoryCatalog()
    ring = KeyRing(catalog, PEPPER)
    record, key = ring.create("ops", ["operate"], ["pacs-to-cama"])
    assert ring.verify(key).id == record.id
    assert allows(record, "read")
    assert allows(record, "operate")
    assert not allows(record, "admin")
    assert sees(record, "pacs-to-cama")
    assert not sees(record, "other")
    for wrong in (
        "",
        key[:-1],
        key + "x",
        key.upper(),
        "tf_" + "a" * 12 + key[15:],
        f" {key}",
        key + "\n",
        "tf_é",
    ):
        with pytest.raises(KeyRefused):
            ring.verify(wrong)
    with pytest.raises(KeyRefused):
        KeyRing(catalog, "another-pepper-altogether").verify(key)


def test_a_key_seen_a_moment_ago_is_not_looked_up_again() -> None:
    catalog, clock = MemoryCatalog(), Clock()
    ring = KeyRing(catalog, PEPPER, clock)
    record, key = ring.create("ops", ["read"])
    ring.verify(key)
    catalog.revoke_key(record.id)
    clock.now += 0.4
    assert ring.verify(key).id == record.id
    clock.now += 0.2
    with pytest.raises(KeyRefused):
        ring.verify(key)


def test_an_unknown_key_is_not_let_in_while_the_catalog_is_down() -> None:
    catalog, clock = MemoryCatalog(), Clock()
    ring = KeyRing(catalog, PEPPER, clock)
    _, known = ring.create("ops", ["read"])
    _, unseen = ring.create("ops", ["read"])
    ring.verify(known)
    catalog.unavailable = True
    clock.now += 59
    assert ring.verify(known).name == "ops"
    with pytest.raises(CatalogUnavailable):
        ring.verify(unseen)
    clock.now += 2
    with pytest.raises(CatalogUnavailable):
        ring.verify(known)


def test_an_expiry_counts_even_from_memory() -> None:
    catalog, clock = MemoryCatalog(), Clock()
    ring = KeyRing(catalog, PEPPER, clock)
    _, key = ring.create("ops", ["read"], None, datetime.now(UTC) + timedelta(milliseconds=50))
    ring.verify(key)
    catalog.unavailable = True
    clock.now += 1
    end = datetime.now(UTC) + timedelta(milliseconds=60)
    while datetime.now(UTC) < end:
        pass
    with pytest.raises(KeyRefused):
        ring.verify(key)


def test_the_first_start_makes_one_admin_key_and_shows_it_once() -> None:
    catalog = MemoryCatalog()
    ring = KeyRing(catalog, PEPPER)
    shown = ring.bootstrap(None)
    assert shown is not None
    assert ring.verify(shown).scopes == ("admin",)
    assert ring.bootstrap(None) is None
    assert len(catalog.keys()) == 1


def test_the_first_start_takes_the_stacks_key() -> None:
    catalog = MemoryCatalog()
    ring = KeyRing(catalog, PEPPER)
    _, key = new_key()
    assert ring.bootstrap(key) is None
    assert ring.verify(key).scopes == ("admin",)
    with pytest.raises(ValueError, match="tf_"):
        KeyRing(MemoryCatalog(), PEPPER).bootstrap("password")


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "pepper"
    first = kept_secret(file)
    assert len(first) >= 40
    assert kept_secret(file) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("short")
    with pytest.raises(ValueError, match="fewer than"):
        kept_secret(file)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("TERRAFUSION_", "SYNCSERVICE_", "GATEWAY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CATALOG_DSN", "postgresql://x")
    monkeypatch.setenv("SYNCSERVICE_PORT", "8981")
    monkeypatch.setenv("TERRAFUSION_STATE_DIR", str(tmp_path))
    settings = Settings()
    assert settings.syncservice_url == "http://127.0.0.1:8981"
    assert settings.token_path == tmp_path / "service-token"
    assert settings.child_environment()["TERRAFUSION_SERVICE_TOKEN_FILE"] == str(tmp_path / "service-token")
    monkeypatch.setenv("SYNCSERVICE_URL", "http://elsewhere:1/")
    monkeypatch.setenv("TERRAFUSION_PEPPER_FILE", str(tmp_path / "p"))
    assert Settings().syncservice_url == "http://elsewhere:1"
    assert Settings().pepper_path == tmp_path / "p"


def test_the_log_holds_no_secret() -> None:
    _, key = new_key()
    event = without_secrets(
        None,
        "info",
        {
            "event": f"refused {key} of postgresql://u:hunter2@host/db",
            "password": "hunter2",
            "Token": "hunter2",
            "status": 200,
        },
    )
    assert "hunter2" not in str(event)
    assert key.split("_", 2)[2] not in str(event)
    assert key.split("_")[1] in str(event["event"])
    assert event["status"] == 200


def test_numbers_for_people() -> None:
    assert [duration(s) for s in (None, 0.038, 4.24, 90, 600, 7300, 200_000)] == [
        "–", "38 ms", "4.2 s", "90 s", "10 min", "2 h", "2 days"
    ]  # fmt: skip
    now = datetime.now(UTC)
    assert (ago(None, now), ago(now - timedelta(seconds=5), now)) == ("never", "5.0 s ago")
    assert (amount(None), amount(1234)) == ("–", "1,234")
