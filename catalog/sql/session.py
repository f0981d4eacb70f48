"""One connection pool, short transactions, and one place that turns database failures into catalog errors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import InvalidSchemaName, UndefinedTable
from psycopg.types.json import set_json_dumps
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.orm import Session

from catalog.errors import CatalogUnavailable

CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_MS = 15_000
_REMEDY = "check that the control database runs (`terrafusion stack status`) and that CATALOG_DSN is right"


class Database:
    """The pool and its transactions. `dsn`: any libpq connection string or URI."""

    def __init__(self, dsn: str, *, pool_size: int = 5) -> None:
        self._dsn = dsn.replace("postgresql+psycopg://", "postgresql://", 1)
        self.engine: Engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=pool_size,
            max_overflow=5,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            pool_recycle=1800,
        )

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(
            self._dsn,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="terrafusion-catalog",
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c idle_in_transaction_session_timeout=60000",
        )
        set_json_dumps(to_json, connection)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session in one transaction, committed at the end. Raises CatalogUnavailable when the database cannot be
        reached, gives no connection in time, or breaks off."""
        with answered(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()


@contextmanager
def answered() -> Iterator[None]:
    """Raise CatalogUnavailable for whatever means that the database did not answer."""
    try:
        yield
    except TimeoutError:
        raise CatalogUnavailable(
            f"The catalog gave no connection within {CONNECT_TIMEOUT_S} s: all are in use; try again."
        ) from None
    except (OperationalError, InterfaceError) as error:
        raise CatalogUnavailable(f"The catalog does not answer ({_first_line(error)}); {_REMEDY}.") from error
    except DBAPIError as error:
        if isinstance(error.orig, UndefinedTable | InvalidSchemaName):
            raise CatalogUnavailable(
                "The catalog has no tables yet: it is being migrated; try again."
            ) from None
        if not error.connection_invalidated:
            raise
        raise CatalogUnavailable(f"The catalog broke off ({_first_line(error)}); {_REMEDY}.") from error


def to_json(value: Any) -> str:
    """JSON that jsonb takes: numbers that are not finite become null, NUL is dropped, and what JSON does not know
    (Decimal, datetime, UUID) is written as text."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False, allow_nan=False)
        if "\\u0000" not in text:
            return text
    except ValueError:
        pass
    return json.dumps(_storable(value), ensure_ascii=False, allow_nan=False)


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(_storable(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return str(value).replace("\0", "")


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0][:200] if lines else type(error.orig).__name__
