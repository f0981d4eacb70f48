"""Passwords, tokens and keys of the stack: random, made once, kept in files only their owner may read."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from pathlib import Path

from terrafusion.stack.config import Home
from terrafusion.stack.files import kept_secret

SUPERUSER = "postgres"
CATALOG_ROLE = "terrafusion_catalog"
REGISTRY_ROLE = "registry"
CATALOG_DATABASE = "terrafusion"
REGISTRY_DATABASE = "registry"
# Server → the database that its address in `stack env` names.
MAIN_DATABASE = {"control-db": CATALOG_DATABASE, "source-db": "pacs", "target-db": "cama"}


@dataclass(frozen=True)
class Credentials:
    """Where each secret of this stack is kept; reading one makes it the first time."""

    home: Home

    @property
    def api_key_file(self) -> Path:
        return self.home.root / "api-key"

    @property
    def service_token_file(self) -> Path:
        return self.home.root / "service-token"

    @property
    def pepper_file(self) -> Path:
        return self.home.root / "pepper"

    def make_all(self) -> None:
        """Make whatever is missing."""
        self.api_key()
        for file in (self.service_token_file, self.pepper_file):
            kept_secret(file, secrets.token_urlsafe(32))
        for role in (*MAIN_DATABASE, CATALOG_ROLE, REGISTRY_ROLE):
            self.password(role)

    def api_key(self) -> str:
        """The development admin key, `tf_<12 characters>_<43 characters>`."""
        return kept_secret(self.api_key_file, new_api_key())

    def password(self, name: str) -> str:
        """The password of a role, or of a server's superuser when `name` is a server."""
        return kept_secret(self.home.config / f"{name}.password", secrets.token_hex(24))

    def password_file(self, name: str) -> Path:
        """The file with that password."""
        self.password(name)
        return self.home.config / f"{name}.password"


def new_api_key() -> str:
    """A fresh key: an id of 12 letters and digits, a secret of 256 bits."""
    alphabet = string.ascii_lowercase + string.digits
    identity = "".join(secrets.choice(alphabet) for _ in range(12))
    return f"tf_{identity}_{secrets.token_urlsafe(32)}"
