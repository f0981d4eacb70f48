"""`python -m gateway`: gunicorn with one worker of many threads; the supervisor lives in the worker."""

from __future__ import annotations

import sys
from typing import Any

import structlog
from apiflask import APIFlask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from pydantic import ValidationError

from gateway import bootstrap, logs
from gateway.config import Settings
from gateway.context import Parts

PATIENCE_S = 10.0  # for the catalog, before the gateway serves without it
GRACE_S = 35  # more than the supervisor's grace for SyncService, less than the stack's patience


class Gateway(BaseApplication):  # type: ignore[misc]
    """Gunicorn, configured by code alone."""

    def __init__(self, settings: Settings, *, is_prepared: bool) -> None:
        self._settings = settings
        self._is_prepared = is_prepared
        self._parts: Parts | None = None
        super().__init__()

    def load_config(self) -> None:
        """One worker, since it holds the supervisor and the key cache; threads for the rest."""
        for name, value in {
            "bind": f"{self._settings.gateway_host}:{self._settings.gateway_port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.gateway_threads,
            "graceful_timeout": GRACE_S,
            "timeout": 120,
            "keepalive": 15,
            "loglevel": "warning",
            "control_socket_disable": True,
            "proc_name": "terrafusion-gateway",
            "worker_exit": self._stop,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> APIFlask:
        """In the worker: build the app and start to supervise."""
        app, self._parts = bootstrap.build(self._settings)
        if not self._is_prepared:
            bootstrap.prepare_later(self._settings)
        if self._parts.supervisor is not None:
            self._parts.supervisor.start()
        return app

    def _stop(self, _server: Any, _worker: Any) -> None:
        if self._parts is None:
            return
        if self._parts.supervisor is not None:
            self._parts.supervisor.stop()
        self._parts.service.close()
        self._parts.catalog.close()


def main() -> int:
    """Exit code: 1 when the gateway cannot start, with the reason on standard error."""
    logs.configure()
    log = structlog.get_logger("gateway")
    try:
        settings = Settings()
        is_prepared = bootstrap.prepared(settings, PATIENCE_S)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        sys.stderr.write(f"The gateway's environment is not right: {wrong}\n")
        return 1
    except (ValueError, OSError) as error:
        sys.stderr.write(f"The gateway cannot start: {error}\n")
        return 1
    log.info("gateway starts", address=f"http://{settings.gateway_host}:{settings.gateway_port}")
    Gateway(settings, is_prepared=is_prepared).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
