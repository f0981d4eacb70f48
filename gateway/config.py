"""The gateway's settings; the only module here that reads the environment."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_LENGTH = 16


class Settings(BaseSettings):
    """Every variable is named in capitals without prefix, but for those of TerraFusion itself."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)

    catalog_dsn: str = Field(min_length=1)
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=5000, ge=1, le=65535)
    gateway_threads: int = Field(default=16, ge=2, le=256)
    gateway_metrics_open: bool = True
    gateway_supervise: bool = True
    syncservice_port: int = Field(default=8080, ge=1, le=65535)
    syncservice_url_given: str | None = Field(default=None, validation_alias="SYNCSERVICE_URL")
    state_dir: Path = Field(
        default=Path(".terrafusion"),
        validation_alias=AliasChoices("TERRAFUSION_STATE_DIR", "TERRAFUSION_HOME"),
    )
    service_token_file: Path | None = Field(default=None, validation_alias="TERRAFUSION_SERVICE_TOKEN_FILE")
    pepper_file: Path | None = Field(default=None, validation_alias="TERRAFUSION_PEPPER_FILE")
    bootstrap_key_file: Path | None = Field(default=None, validation_alias="TERRAFUSION_BOOTSTRAP_KEY_FILE")

    @property
    def syncservice_url(self) -> str:
        """Where SyncService is reached, without a slash at the end."""
        return (self.syncservice_url_given or f"http://127.0.0.1:{self.syncservice_port}").rstrip("/")

    @property
    def token_path(self) -> Path:
        """The file with the token that gateway and SyncService share."""
        return (self.service_token_file or self.state_dir / "service-token").absolute()

    @property
    def pepper_path(self) -> Path:
        """The file with the pepper of the keys' hashes; losing it invalidates every key."""
        return (self.pepper_file or self.state_dir / "pepper").absolute()

    def child_environment(self) -> dict[str, str]:
        """What SyncService is started with: ours, and where the token lies."""
        return {
            **os.environ,
            "TERRAFUSION_SERVICE_TOKEN_FILE": str(self.token_path),
            "TERRAFUSION_STATE_DIR": str(self.state_dir.absolute()),
            "SYNCSERVICE_PORT": str(self.syncservice_port),
        }


def kept_secret(path: Path) -> str:
    """The secret in a file; made with 256 bits and mode 600 when there is none. Raises ValueError for a file whose
    content is too short to be one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    return _read(path)


def _read(path: Path) -> str:
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < MIN_SECRET_LENGTH:
        raise ValueError(
            f"{path} holds fewer than {MIN_SECRET_LENGTH} characters; delete it to have it made anew."
        )
    return secret
