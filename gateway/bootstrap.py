"""Builds the gateway from its settings: the one place that knows the concrete classes."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable

import structlog
from apiflask import APIFlask

from catalog.errors import CatalogError, CatalogUnavailable
from catalog.store import Catalog
from gateway.app import create_app
from gateway.client import SyncServiceClient
from gateway.config import Settings, kept_secret
from gateway.context import Parts
from gateway.keys import KeyRing
from gateway.metrics import restarted
from gateway.service_state import ServiceState
from gateway.supervisor import Plan, Supervisor

_log = structlog.get_logger("gateway")
RETRY_S = 1.0
RESTART_REMEDY = "Nothing, if it stays the only one; else read logs/syncservice.log in the state folder."


def prepare(settings: Settings) -> None:
    """Before the server starts: secrets exist, the catalog is migrated, the first key is made and shown once. Raises
    CatalogUnavailable, ValueError and OSError."""
    kept_secret(settings.token_path)
    pepper = kept_secret(settings.pepper_path)
    with Catalog(settings.catalog_dsn) as catalog:
        catalog.migrate()
        file = settings.bootstrap_key_file
        given = file.read_text(encoding="utf-8").strip() if file and file.exists() else None
        shown = KeyRing(catalog, pepper).bootstrap(given)
    if shown is not None:
        sys.stderr.write(
            f"\nThis gateway's first admin key, shown only now:\n\n    {shown}\n\n"
            "Keep it, and make keys of less scope with `terrafusion keys create`.\n\n"
        )
        sys.stderr.flush()


def build(settings: Settings) -> tuple[APIFlask, Parts]:
    """The app and its parts; the supervisor is not started yet."""
    token, pepper = kept_secret(settings.token_path), kept_secret(settings.pepper_path)
    catalog = Catalog(settings.catalog_dsn, pool_size=settings.gateway_threads // 2)
    state = ServiceState()
    supervisor = _supervisor(settings, state, catalog) if settings.gateway_supervise else None
    client = SyncServiceClient(settings.syncservice_url, token, state.snapshot)
    parts = Parts(settings, catalog, KeyRing(catalog, pepper), client, state, supervisor)
    return create_app(parts, pepper), parts


def _supervisor(settings: Settings, state: ServiceState, catalog: Catalog) -> Supervisor:
    plan = Plan(
        command=(sys.executable, "-m", "syncservice"),
        environment=settings.child_environment(),
        address=settings.syncservice_url,
        state_dir=settings.state_dir.absolute(),
    )
    return Supervisor(plan, state, _noting(catalog))


def _noting(catalog: Catalog) -> Callable[[str], None]:
    def note(reason: str) -> None:
        restarted()
        try:
            catalog.record_error(None, None, "syncservice_restarted", reason, RESTART_REMEDY, "timed")
        except CatalogError as error:
            _log.warning("restart not noted in the catalog", reason=str(error))

    return note


def prepared(settings: Settings, seconds: float) -> bool:
    """Prepare, for as long as `seconds` if the catalog is down. False when it still is: then the gateway serves all
    the same, says so, and goes on trying. Raises ValueError and OSError as `prepare` does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            prepare(settings)
        except CatalogUnavailable as error:
            _log.warning("waiting for the catalog", error=str(error))
            if time.monotonic() > deadline:
                return False
            time.sleep(RETRY_S)
        else:
            return True


def prepare_later(settings: Settings) -> threading.Thread:
    """Go on trying to prepare, in a thread of its own."""
    thread = threading.Thread(target=prepared, args=(settings, math.inf), name="prepare", daemon=True)
    thread.start()
    return thread
