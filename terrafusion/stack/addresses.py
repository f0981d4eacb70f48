"""Addresses and variables: what `stack env` prints, and what the gateway is given."""

from __future__ import annotations

from dataclasses import dataclass

from terrafusion.stack.config import HOME_VARIABLE, NOT_INHERITED, Home
from terrafusion.stack.credentials import (
    CATALOG_DATABASE,
    CATALOG_ROLE,
    MAIN_DATABASE,
    SUPERUSER,
    Credentials,
)
from terrafusion.stack.ports import LOOPBACK, Ports


@dataclass(frozen=True)
class Addresses:
    """The addresses of this stack's parts."""

    home: Home
    ports: Ports

    def http(self, name: str, path: str = "") -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}{path}"

    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.ports['broker']}"

    def dsn(self, server: str, database: str, user: str, password: str) -> str:
        """A libpq URI; the passwords that the stack makes need no quoting."""
        return f"postgresql://{user}:{password}@{LOOPBACK}:{self.ports[server]}/{database}"

    def superuser_dsn(self, server: str, database: str | None = None) -> str:
        password = Credentials(self.home).password(server)
        return self.dsn(server, database or MAIN_DATABASE[server], SUPERUSER, password)

    def of_part(self, part: str) -> str:
        """The address that `stack status` shows."""
        if part in MAIN_DATABASE or part == "broker":
            return f"{LOOPBACK}:{self.ports[part]}"
        return self.http(part)

    def environment(self) -> dict[str, str]:
        """The variables of `stack env`."""
        return {
            "TERRAFUSION_URL": self.http("gateway"),
            "TERRAFUSION_API_KEY": Credentials(self.home).api_key(),
            "SYNCSERVICE_URL": self.http("syncservice"),
            "CONTROL_DSN": self.superuser_dsn("control-db"),
            "SOURCE_DSN": self.superuser_dsn("source-db"),
            "TARGET_DSN": self.superuser_dsn("target-db"),
            "KAFKA_BOOTSTRAP": self.bootstrap(),
            "CONNECT_URL": self.http("connect"),
            "SCHEMA_REGISTRY_URL": self.http("registry", "/apis/ccompat/v7"),
            HOME_VARIABLE: str(self.home.root),
        }

    def gateway_environment(self) -> dict[str, str]:
        """The gateway's variables: no superuser addresses, but the catalog's, and the files with its secrets."""
        credentials = Credentials(self.home)
        shared = {name: value for name, value in self.environment().items() if name not in NOT_INHERITED}
        catalog = self.dsn("control-db", CATALOG_DATABASE, CATALOG_ROLE, credentials.password(CATALOG_ROLE))
        return {
            **shared,
            "CATALOG_DSN": catalog,
            "REGISTRY_INTERNAL_URL": self.http("registry", "/apis/registry/v2"),
            "TERRAFUSION_SERVICE_TOKEN_FILE": str(credentials.service_token_file),
            "TERRAFUSION_PEPPER_FILE": str(credentials.pepper_file),
            "TERRAFUSION_BOOTSTRAP_KEY_FILE": str(credentials.api_key_file),
            "TERRAFUSION_SECRETS_DIR": str(self.home.secrets),
            "CONNECT_SECRETS_DIR": str(self.home.connect_secrets),
            "GATEWAY_PORT": str(self.ports["gateway"]),
            "SYNCSERVICE_PORT": str(self.ports["syncservice"]),
            "TERRAFUSION_STATE_DIR": str(self.home.root),
        }
