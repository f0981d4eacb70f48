"""What the catalog can answer with instead of a record.

CatalogError
├── CatalogUnavailable   the database cannot be reached or does not answer; retry later
├── NotFound             no record of that name
└── Conflict             the record's state forbids it
    └── VersionMismatch  somebody else changed the record since it was read
"""

from __future__ import annotations

from typing import ClassVar, Literal

Retry = Literal["timed", "manual", "never"]


class CatalogError(Exception):
    """Base of all catalog errors; `str(error)` says what is wrong and what to do."""

    code: ClassVar[str] = "catalog_error"
    retry: ClassVar[Retry] = "manual"


class CatalogUnavailable(CatalogError):
    """The catalog's PostgreSQL cannot be reached; what is already running goes on."""

    code = "catalog_unavailable"
    retry = "timed"


class NotFound(CatalogError):
    """There is no such record."""

    code = "not_found"
    retry = "never"


class Conflict(CatalogError):
    """The record exists in a state that forbids the request."""

    code = "conflict"


class VersionMismatch(Conflict):
    """The record's version is not the one the caller read (HTTP 412)."""

    code = "version_mismatch"
