"""SyncService's settings, all from the environment. Only this module reads it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """See docs/install.md. URLs and DSNs have no default: a service must not guess where its data goes."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    catalog_dsn: str
    kafka_bootstrap: str
    connect_url: str
    schema_registry_url: str
    registry_internal_url: str
    connect_secrets_dir: Path
    service_token_file: Path = Field(validation_alias="TERRAFUSION_SERVICE_TOKEN_FILE")
    secrets_dir: Path | None = Field(default=None, validation_alias="TERRAFUSION_SECRETS_DIR")
    port: int = Field(default=8080, validation_alias="SYNCSERVICE_PORT")
    host: str = Field(default="127.0.0.1", validation_alias="SYNCSERVICE_HOST")
    connector_template: Path = ROOT / "connect-configs" / "postgresql.json"
    log_format: str = Field(default="json", validation_alias="TERRAFUSION_LOG_FORMAT")

    @property
    def service_token(self) -> str:
        """The token that the gateway sends with each request."""
        return self.service_token_file.read_text().strip()

    @property
    def secrets_dirs(self) -> list[Path]:
        """Folders that manifests may reference password files of."""
        return [self.secrets_dir] if self.secrets_dir else []


def replica_id() -> str:
    """A name for this process that no other has: host, pid and a random part."""
    return f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(3)}"
