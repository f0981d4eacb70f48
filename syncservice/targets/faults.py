"""PostgreSQL's errors, sorted: a bad row, contention, no connection, or something a person must look at."""

from __future__ import annotations

import psycopg
from psycopg import errors as pg

from syncservice.errors import Contention, Halt, SyncError, TargetUnavailable

# What one row's values can be guilty of: the batch is taken apart until the row is found.
ROW_FAULTS = (
    pg.IntegrityError,
    pg.DataError,
    pg.RaiseException,
    pg.ProgramLimitExceeded,
    pg.ProtocolViolation,
)

_CONTENTION = (
    pg.DeadlockDetected,
    pg.SerializationFailure,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.TransactionRollback,
)
# Errors without an SQLSTATE are the driver's own: the connection is gone.
_UNREACHABLE = (
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.DatabaseDropped,
    pg.IdleInTransactionSessionTimeout,
    pg.TooManyConnections,
    pg.DiskFull,
    pg.OutOfMemory,
)


def translate(error: psycopg.Error) -> SyncError:
    """The SyncError that a driver's error means."""
    if isinstance(error, _CONTENTION):
        return Contention(f"the target gave the transaction up: {first_line(error)}")
    if isinstance(error, pg.InsufficientPrivilege):
        return Halt(
            f"the target refuses: {first_line(error)}",
            code="target_permission",
            remedy="Grant what is missing: `POST /api/v1/systems/NAME/check` prints the statements; then resume the pair.",
        )
    if isinstance(
        error, pg.UndefinedTable | pg.UndefinedColumn | pg.UndefinedObject | pg.InvalidColumnReference
    ):
        return Halt(
            f"the target's table is not what it was: {first_line(error)}",
            code="target_schema",
            remedy="Bring the target's table back in line with the sync pair (or change the pair), then resume it.",
        )
    if isinstance(error, pg.DatatypeMismatch | pg.CannotCoerce):
        return Halt(
            f"a column's type does not fit: {first_line(error)}",
            code="target_type",
            remedy="Change the target column's type, then resume the pair.",
        )
    lost = error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if lost or isinstance(error, _UNREACHABLE) or (error.sqlstate or "").startswith("08"):
        return TargetUnavailable(f"the target's connection failed: {first_line(error)}")
    return Halt(
        f"the target refuses ({error.sqlstate or type(error).__name__}): {first_line(error)}",
        code="target_refuses",
        remedy="Mend what the message names on the target, then resume the pair.",
    )


def first_line(error: BaseException) -> str:
    """The server's message without its context lines."""
    return (str(error).strip() or type(error).__name__).split("\n")[0]
