"""Every way a sync pair can fail: a code, whether to retry, and the remedy in words.

SyncError
├── Transient        retry, timed: the world is expected to mend itself
│   ├── TargetUnavailable, SourceUnavailable, KafkaDown, RegistryDown
│   └── Contention   deadlock, serialization failure, lock or statement timeout
├── Fenced           another owner holds the partition: claim again
└── Halt             retry, manual: the pair stops and says why
"""

from __future__ import annotations

from typing import Literal

Retry = Literal["timed", "manual", "never"]


class SyncError(Exception):
    """Base: `code` for programs, the message and `remedy` for people."""

    code = "internal"
    retry: Retry = "timed"
    remedy = "Look at SyncService's log; this error has no remedy of its own yet."

    def __init__(self, message: str, *, code: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.remedy = remedy or self.remedy


class Transient(SyncError):
    """Goes away by itself, or when a server comes back."""

    code = "transient"


class TargetUnavailable(Transient):
    """No connection to the target's database."""

    code = "target_unavailable"
    remedy = "Start the target's database server or mend the network; the pair goes on by itself."


class SourceUnavailable(Transient):
    """No connection to the source's database."""

    code = "source_unavailable"
    remedy = "Start the source's database server or mend the network; the pair goes on by itself."


class KafkaDown(Transient):
    """No broker answers."""

    code = "kafka_unavailable"
    remedy = "Start the Kafka broker (`terrafusion stack up broker`); the pair goes on by itself."


class RegistryDown(Transient):
    """The schema registry does not answer."""

    code = "registry_unavailable"
    remedy = "Start the schema registry (`terrafusion stack up registry`); events wait in Kafka meanwhile."


class Contention(Transient):
    """The target's database gave this transaction up in favour of another."""

    code = "contention"
    remedy = "None needed unless it goes on: then look for long transactions on the target."


class Fenced(SyncError):
    """The offset row does not show this owner's epoch and offset.

    `taken`: another owner has claimed since; else nobody has (a full sync was put in place), and claiming again is right.
    """

    code = "fenced"
    remedy = "None needed: another replica applies these tables now."

    def __init__(self, message: str, *, taken: bool = False) -> None:
        super().__init__(message)
        self.taken = taken


class Halt(SyncError):
    """The pair cannot go on without a person."""

    code = "halted"
    retry: Retry = "manual"


class ResyncRequired(Halt):
    """The log no longer continues what the target holds."""

    code = "resync_required"
    remedy = "Run a full sync: `terrafusion sync full PAIR --wait`."


class Cancelled(SyncError):
    """Someone asked the operation to stop."""

    code = "cancelled"
    retry: Retry = "never"
    remedy = "Start the operation again when wanted."


class Refused(SyncError):
    """The operation's preconditions do not hold."""

    code = "refused"
    retry: Retry = "manual"
