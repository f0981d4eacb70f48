"""Connections to a target database, set up so that text casts mean the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg

from syncservice.errors import TargetUnavailable
from syncservice.targets.faults import first_line

if TYPE_CHECKING:
    from catalog.specs import SystemSpec

Connection = psycopg.Connection[tuple[Any, ...]]
Connect = Callable[[], Connection]

# Values cross as text where no exact columnar type exists; these settings fix what that text means.
_SESSION = "-c TimeZone=UTC -c DateStyle=ISO,MDY -c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex"


def connector(spec: SystemSpec, password: str, *, name: str = "terrafusion", options: str = "") -> Connect:
    """A function that opens connections (autocommit; transactions are explicit)."""
    settings: dict[str, Any] = {
        "host": spec.host,
        "port": spec.port,
        "dbname": spec.database,
        "user": spec.user,
        "password": password,
        "sslmode": spec.tls,
        "connect_timeout": 10,
        "application_name": name,
        "options": f"{_SESSION} {options}".strip(),
        "keepalives_idle": 30,
    }
    if spec.ca is not None:
        settings["sslrootcert"] = spec.ca

    def connect() -> Connection:
        try:
            return psycopg.connect(**settings, autocommit=True)
        except psycopg.OperationalError as error:
            raise TargetUnavailable(
                f"{spec.host}:{spec.port}/{spec.database}: {first_line(error)}"
            ) from error

    return connect
