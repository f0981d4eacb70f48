"""The one place where every error becomes a code, whether to retry, and a remedy."""

from __future__ import annotations

import psycopg

from catalog.errors import CatalogError
from catalog.secrets import SecretError
from consumers.admin import TopicError
from consumers.errors import ConsumerError, KafkaUnavailable, OffsetOutOfRange, UnsupportedSchema
from schemas.registry import RegistryUnavailable, UnknownSchema
from syncservice.connect.errors import ConnectFailure
from syncservice.errors import Halt, KafkaDown, RegistryDown, ResyncRequired, SyncError, Transient
from syncservice.sources.errors import SourceFailure
from syncservice.targets.faults import translate


def as_sync_error(error: BaseException) -> SyncError:
    """The SyncError that any error of ours or of a driver means."""
    if isinstance(error, SyncError):
        return error
    if isinstance(error, ConnectFailure | SourceFailure | TopicError):
        kind = Transient if error.retry == "timed" else Halt
        return kind(str(error), code=error.code, remedy=error.remedy)
    if isinstance(error, KafkaUnavailable):
        return KafkaDown(str(error))
    if isinstance(error, RegistryUnavailable):
        return RegistryDown(str(error))
    if isinstance(error, OffsetOutOfRange):
        return ResyncRequired(f"the position is not in the log any more: {error}")
    if isinstance(error, UnknownSchema):
        remedy = "Check that the registry keeps its storage; run a full sync once it is whole again."
        return Halt(str(error), code="unknown_schema", remedy=remedy)
    if isinstance(error, UnsupportedSchema):
        remedy = "Change the sync pair's columns to what the source has now, then run a full sync."
        return Halt(str(error), code="schema_change", remedy=remedy)
    if isinstance(error, psycopg.Error):
        return translate(error)
    return _other(error)


def _other(error: BaseException) -> SyncError:
    if isinstance(error, SecretError):
        remedy = "Put the password where the system's manifest says it is; the work goes on by itself."
        return Transient(str(error), code=error.code, remedy=remedy)
    if isinstance(error, CatalogError):
        remedy = "Start the catalog's database; running pairs go on meanwhile."
        kind = Transient if error.retry == "timed" else Halt
        return kind(str(error), code=error.code, remedy=remedy)
    if isinstance(error, ConsumerError):
        return Transient(str(error))
    return SyncError(f"{type(error).__name__}: {error}")
