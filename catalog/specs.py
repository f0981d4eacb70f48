"""The manifest's models: what a user writes for an external system and for a sync pair.

The models hold only what is supported today. `catalog.manifest` turns everything else into problems
with a path, and says "not supported yet" for what is promised for later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from catalog import names
from catalog.secrets import is_reserved, secret_from_env, secret_from_file

API_VERSION = "terrafusion/v1"
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _expect(check: bool, message: str, allowed: str) -> None:
    if not check:
        raise PydanticCustomError("manifest", "{message}", {"message": message, "allowed": allowed})


def _name(value: Any) -> Any:
    _expect(
        isinstance(value, str) and bool(re.fullmatch(names.NAME, value)), "is not a name", names.NAME_ALLOWED
    )
    return value


def _table(value: Any) -> Any:
    _expect(isinstance(value, str) and names.is_table(value), "is not a table name", names.TABLE_ALLOWED)
    return value


def _column(value: Any) -> Any:
    _expect(
        isinstance(value, str) and names.is_identifier(value), "is not a column name", names.COLUMN_ALLOWED
    )
    return value


def _source_column(value: Any) -> Any:
    _expect(
        isinstance(value, str) and names.is_identifier(value),
        "is not supported yet" if isinstance(value, dict | str) else "is not a column name",
        f"{names.COLUMN_ALLOWED}, of the source table",
    )
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    duration = names.parse_duration(value) if isinstance(value, str) else None
    _expect(duration is not None, "is not a duration", names.DURATION_ALLOWED)
    return duration


def _text(value: Any) -> Any:
    _expect(
        isinstance(value, str) and bool(value) and len(value) <= 255 and value.isprintable(),
        "is not a plain text",
        "1 to 255 printable characters",
    )
    return value


Name = Annotated[str, BeforeValidator(_name), Field(json_schema_extra={"pattern": names.NAME})]
TableName = Annotated[str, BeforeValidator(_table), Field(json_schema_extra={"examples": ["public.parcel"]})]
ColumnName = Annotated[str, BeforeValidator(_column)]
SourceColumn = Annotated[str, BeforeValidator(_source_column)]
Text = Annotated[str, BeforeValidator(_text)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(names.format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,5}(ms|s|m|h|d)$"}),
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


class SecretRef(_Model):
    """Where a password is found: an environment variable of the services, or a file in a secrets folder."""

    env: str | None = None
    file: Text | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretRef:
        _expect(
            (self.env is None) != (self.file is None),
            "needs exactly one of the two",
            "{env: NAME} or {file: PATH}",
        )
        if self.env is not None:
            _expect(
                bool(_ENV_NAME.fullmatch(self.env)) and not is_reserved(self.env),
                "names a variable that secrets may not use",
                "a variable name other than TERRAFUSION_…, …_DSN and …_TOKEN_FILE",
            )
        return self

    def resolve(self, secrets_dirs: Sequence[Path]) -> str:
        """The secret itself. `secrets_dirs`: the folders below which files may lie (relative paths are tried in
        each). Raises SecretError for a reserved or unset variable, and for a file that is missing, empty, or
        outside (symbolic links are followed first)."""
        return (
            secret_from_env(self.env)
            if self.env is not None
            else secret_from_file(self.file or "", secrets_dirs)
        )


class Metadata(_Model):
    """The name by which everything else refers to the document."""

    name: Name


class SystemSpec(_Model):
    """An external database: address and how to sign in."""

    kind: Literal["postgresql"]
    host: Text
    port: int = Field(default=5432, ge=1, le=65535, strict=True)
    database: Text
    user: Text
    password: SecretRef
    tls: Literal["disable", "prefer", "require", "verify-full"] = "prefer"
    ca: Text | None = None


class System(_Model):
    """A document of kind System."""

    apiVersion: Literal["terrafusion/v1"]
    kind: Literal["System"]
    metadata: Metadata
    spec: SystemSpec


class FullSyncSpec(_Model):
    """How a full sync gets at the rows."""

    strategy: Literal["auto", "replay"] = "auto"


class TableSpec(_Model):
    """One source table and the target table it fills."""

    from_: TableName = Field(alias="from")
    to: TableName
    key: tuple[ColumnName, ...] | None = Field(default=None, min_length=1)
    columns: dict[ColumnName, SourceColumn] | None = Field(default=None, min_length=1)
    on_delete: Literal["delete"] = "delete"
    on_truncate: Literal["halt"] = "halt"

    @property
    def source_schema(self) -> str:
        """The schema of `from`."""
        return self.from_.split(".")[0]

    @property
    def source_table(self) -> str:
        """The table of `from`, without its schema."""
        return self.from_.split(".")[1]

    @property
    def target_schema(self) -> str:
        """The schema of `to`."""
        return self.to.split(".")[0]

    @property
    def target_table(self) -> str:
        """The table of `to`, without its schema."""
        return self.to.split(".")[1]


class SyncPairSpec(_Model):
    """Which tables flow from which system to which, and how."""

    source: Name
    target: Name
    mode: Literal["continuous"] = "continuous"
    adopt: bool = Field(default=False, strict=True)
    transactions: Literal["per_batch"] = "per_batch"
    full_sync: FullSyncSpec = FullSyncSpec()
    tables: tuple[TableSpec, ...] = Field(min_length=1)
    freshness: Duration = timedelta(seconds=60)


class SyncPair(_Model):
    """A document of kind SyncPair."""

    apiVersion: Literal["terrafusion/v1"]
    kind: Literal["SyncPair"]
    metadata: Metadata
    spec: SyncPairSpec


Document = System | SyncPair
