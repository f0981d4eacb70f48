"""Secrets are referenced, never stored: how a reference is turned into the secret, and what it may not name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

SECRET_MAX_BYTES = 65_536


class SecretError(Exception):
    """A secret reference that may not be used or leads nowhere; the message never holds the secret."""

    code = "secret_unavailable"
    retry = "manual"


def is_reserved(env: str) -> bool:
    name = env.upper()
    return name.startswith("TERRAFUSION_") or name.endswith(("_DSN", "_TOKEN_FILE"))


def secret_from_env(env: str) -> str:
    if is_reserved(env):
        raise SecretError(f"The variable {env} belongs to TerraFusion itself; use one of your own.")
    secret = os.environ.get(env, "")
    if not secret:
        raise SecretError(f"The variable {env} is not set; set it for the gateway, or use {{file: …}}.")
    return secret


def secret_from_file(file: str, secrets_dirs: Sequence[Path]) -> str:
    folders = [Path(folder).resolve() for folder in secrets_dirs]
    candidates = [(folder / file).resolve() for folder in folders]  # an absolute path replaces the folder
    allowed = [path for path in candidates if any(path.is_relative_to(folder) for folder in folders)]
    where = ", ".join(map(str, folders)) or "no folder: set TERRAFUSION_SECRETS_DIR"
    if not allowed:
        raise SecretError(f"The secret file {file} is outside the secrets folders ({where}); move it there.")
    for path in allowed:
        if path.is_file():
            return _read_secret(path)
    raise SecretError(f"The secret file {file} does not exist in the secrets folders ({where}).")


def _read_secret(path: Path) -> str:
    try:
        if path.stat().st_size > SECRET_MAX_BYTES:
            raise SecretError(f"The secret file {path} is larger than {SECRET_MAX_BYTES} bytes.")
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretError(f"The secret file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SecretError(f"The secret file {path} is not UTF-8 text.") from None
    if not secret:
        raise SecretError(f"The secret file {path} is empty.")
    return secret
