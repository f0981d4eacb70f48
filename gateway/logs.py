"""The gateway's log: structlog on standard error, JSON unless a person watches, and never a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_FIELDS = frozenset(
    {"password", "secret", "token", "api_key", "authorization", "cookie", "pepper", "dsn"}
)
_KEY = re.compile(r"tf_([A-Za-z0-9]{1,64})_[A-Za-z0-9_-]{8,}")
_URI_PASSWORD = re.compile(r"(://[^:/@\s]+:)[^@\s]+@")


def configure() -> None:
    """Set structlog up for this process."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def without_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank what is or looks like a secret: fields by their name, API keys and URI passwords by their form."""
    for name, value in event.items():
        if name.lower() in _SECRET_FIELDS:
            event[name] = "…"
        elif isinstance(value, str):
            event[name] = _URI_PASSWORD.sub(r"\1…@", _KEY.sub(r"tf_\1_…", value))
    return event
