"""Scratch databases on a real PostgreSQL: the running stack's target server, else a server of our own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from catalog.specs import SecretRef, SystemSpec
from syncservice.targets.connection import Connect, connector
from terrafusion.stack import Stack, StackError
from terrafusion.stack.config import Home


@contextmanager
def scratch_database() -> Iterator[Connect]:
    """A new database, dropped at the end; opens connections as the product does."""
    with scratch_dsn() as dsn:
        yield _connector(dsn, str(conninfo_to_dict(dsn)["dbname"]))


@contextmanager
def scratch_dsn() -> Iterator[str]:
    """A superuser's address of a new database, dropped at the end."""
    with _server() as dsn:
        name = f"contract_{secrets.token_hex(6)}"
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(name)))
            try:
                yield f"{dsn.rsplit('/', 1)[0]}/{name}"
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _connector(dsn: str, database: str) -> Connect:
    parts = conninfo_to_dict(dsn)
    spec = SystemSpec(
        kind="postgresql",
        host=str(parts["host"]),
        port=int(parts["port"] or 5432),
        database=database,
        user=str(parts["user"]),
        password=SecretRef(env="UNUSED"),
        tls="disable",
    )
    return connector(spec, str(parts.get("password") or ""))


@contextmanager
def _server() -> Iterator[str]:
    """A superuser's DSN."""
    stack = Stack.here()
    if any(part.name == "target-db" and part.state == "running" for part in stack.status()):
        yield stack.env()["TARGET_DSN"]
        return
    with TemporaryDirectory(prefix="tf-target-") as folder:
        own = Stack(Home(Path(folder) / "state"))
        own.home.root.mkdir(mode=0o700)
        try:
            own.up(["target-db"], ports={"target-db": _free_port()})
        except StackError as error:
            pytest.skip(f"no PostgreSQL: {error}")
        try:
            yield own.env()["TARGET_DSN"]
        finally:
            own.down(["target-db"])


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
