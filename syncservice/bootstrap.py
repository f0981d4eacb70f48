"""Builds SyncService: the one place that makes concrete classes."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import structlog
import uvicorn

from catalog.errors import CatalogUnavailable
from catalog.store import Catalog
from consumers.admin import TopicAdmin
from consumers.schemas import Schemas
from schemas.registry import SchemaRegistry
from syncservice.api.app import create_app
from syncservice.config import Settings, replica_id
from syncservice.connect.client import ConnectClient
from syncservice.engine import SyncEngine
from syncservice.kit import Kit
from syncservice.logs import configure_logs
from syncservice.reconcile import Reconciler

log = structlog.get_logger(__name__)
RETRY_SECONDS = 2.0


def serve() -> None:
    """Run SyncService until SIGTERM or SIGINT; what is in the database finishes first."""
    settings = Settings()
    configure_logs(settings.log_format)
    replica = replica_id()
    catalog = Catalog(settings.catalog_dsn, pool_size=10)
    admin = TopicAdmin(settings.kafka_bootstrap, timeout=10)
    schemas = Schemas(SchemaRegistry(settings.schema_registry_url))
    kit = Kit(settings, catalog, admin, schemas, ConnectClient(settings.connect_url, timeout=10, patience=20))
    reconciler = Reconciler(kit, replica)
    app = create_app(catalog, SyncEngine(kit, reconciler, replica), settings.service_token)
    config = uvicorn.Config(app, settings.host, settings.port, log_config=None, access_log=False)
    _Service(uvicorn.Server(config), reconciler, catalog).run()


class _Service:
    """The HTTP server in the main thread, the reconcile loop in a second one."""

    def __init__(self, server: uvicorn.Server, reconciler: Reconciler, catalog: Catalog) -> None:
        self._server, self._reconciler, self._catalog = server, reconciler, catalog
        self._stop = threading.Event()

    def run(self) -> None:
        loop = threading.Thread(target=self._reconcile, name="reconcile")
        loop.start()
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        try:
            self._server.run()
        finally:
            self._stop.set()
            self._reconciler.wake()
            loop.join()
            self._catalog.close()

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._server.handle_exit(number, frame)

    def _reconcile(self) -> None:
        while not self._stop.is_set():
            try:
                self._catalog.migrate()
                break
            except CatalogUnavailable as error:
                log.warning("waiting for the catalog", reason=str(error))
                self._stop.wait(RETRY_SECONDS)
        self._reconciler.run(self._stop)
