"""What a connector's state means in words: the common causes of a failed task, each with its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from syncservice.connect.client import ConnectorStatus, TaskStatus

_NEW_LIFE = (
    "Changes may be lost. Delete the system's pairs and apply them again: that starts a new generation with a full "
    "sync. Nothing is re-created silently."
)


@dataclass(frozen=True)
class Cause:
    """A known cause: `code`, what was found in the trace (`pattern`), and what a person does."""

    code: str
    pattern: re.Pattern[str]
    remedy: str


@dataclass(frozen=True)
class ConnectorHealth:
    """State of a connector: RUNNING, FAILED, PAUSED, STOPPED, UNASSIGNED, RESTARTING or MISSING (there is none).

    `tasks` are (id, state); `trace` is the first telling line of the failure, `code` and `remedy` name it in words;
    all three are empty while nothing is wrong. A FAILED connector may be worth `restart` unless `code` says otherwise.
    RUNNING does not prove that events flow: watch the age of the committed offset as well.
    """

    name: str
    state: str
    tasks: tuple[tuple[int, str], ...] = ()
    trace: str = ""
    code: str = ""
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Running, with at least one running task and none failed."""
        return self.state == "RUNNING" and bool(self.tasks) and not self.code


def _cause(code: str, pattern: str, remedy: str) -> Cause:
    return Cause(code, re.compile(pattern, re.IGNORECASE), remedy)


SLOT_LOST = _cause(
    "slot_lost",
    r"replication slot \S+ does not exist|no longer available on the server|can no longer (?:get|access)"
    r"|slot .{0,80}invalidated|requested WAL segment \S+ has already been removed|offset.{0,60}slot|slot.{0,60}offset",
    _NEW_LIFE,
)

CAUSES = (
    _cause(
        "password_wrong",
        r"password authentication failed|no password was provided|SASL.{0,40}authentication",
        "The database refuses the user or password: mend the secret that the system's manifest refers to, then apply.",
    ),
    _cause(
        "publication_missing",
        r"publication \S+ does not exist|publication autocreation is disabled",
        "Let the database's administrator run the CREATE PUBLICATION that the system's check prints.",
    ),
    _cause(
        "record_too_large",
        r"RecordTooLarge|message is .{0,20}bytes when serialized|larger than the max",
        "A row is larger than 32 MiB with its old and new image. Make the value smaller, or raise max.message.bytes "
        "of the topic and producer.override.max.request.size together, then restart the connector.",
    ),
    _cause(
        "slot_active",
        r"replication slot \S+ is active for PID",
        "Another client reads this slot. Stop it; the connector goes on by itself.",
    ),
    _cause(
        "slots_exhausted",
        r"all replication slots are in use|number of requested standby connections exceeds",
        "Raise max_replication_slots and max_wal_senders on the source and restart it, or drop unused slots.",
    ),
    SLOT_LOST,
    _cause(
        "rights_missing",
        r"permission denied|must be (?:a )?superuser or replication role|not permitted to|insufficient privilege",
        "The database refuses the user something: run the system's check, which prints the GRANT that is missing.",
    ),
    _cause(
        "key_missing",
        r"Compacted topic cannot accept message without key|records have been rejected",
        "A captured table has lost its primary key: add one again, then restart the connector.",
    ),
    _cause(
        "value_unreadable",
        r"Failed to properly convert data value",
        "The connector cannot convert a value of this column (NaN in a numeric[], or an array left out of an event "
        "because the table lacks REPLICA IDENTITY FULL): run the system's check, mend the rows, restart the connector.",
    ),
    _cause(
        "topic_missing",
        r"not present in metadata|UnknownTopicOrPartition",
        "A topic of this source was deleted. Its history is gone: delete the pairs and apply them again.",
    ),
    _cause(
        "registry_unavailable",
        r"(?:apicurio|registry).{0,200}(?:refused|timed out|unreachable|exception)",
        "The schema registry does not answer: start it, then restart the connector.",
    ),
    _cause(
        "database_unreachable",
        r"connection refused|connection attempt failed|UnknownHost|no route to host|terminating connection"
        r"|connection to \S+ refused|database system is (?:starting up|shutting down)|I/O error occurred",
        "The source database does not answer at this address: check host, port and network; it reconnects by itself.",
    ),
)
_UNKNOWN = "See Kafka Connect's log for the whole trace; after mending the cause, restart the connector."
_PASSWORD = re.compile(r"(password\s*[=:]\s*)\S+", re.IGNORECASE)


def assess(name: str, status: ConnectorStatus | None, secret: str = "") -> ConnectorHealth:
    """Judge Connect's answer; `secret` is blanked wherever it turns up."""
    if status is None:
        return ConnectorHealth(
            name, "MISSING", code="connector_missing", remedy="The next reconcile creates it."
        )
    tasks = tuple((task.id, task.state) for task in status.tasks)
    trace = _trace(status.trace, status.tasks)
    state = "FAILED" if "FAILED" in {status.state, *(state for _, state in tasks)} else status.state
    if state == "RUNNING" and not tasks:
        state = "UNASSIGNED"
    if state != "FAILED":
        return ConnectorHealth(name, state, tasks)
    code, remedy = explain(trace)
    return ConnectorHealth(name, state, tasks, redacted(telling_line(trace), secret), code, remedy)


def explain(trace: str) -> tuple[str, str]:
    """Code and remedy of a trace; ("connector_failed", …) where the cause is not known."""
    for cause in CAUSES:
        if cause.pattern.search(trace):
            return cause.code, cause.remedy
    return "connector_failed", _UNKNOWN


def telling_line(trace: str) -> str:
    """The innermost "Caused by", else the first line: the outer ones say only that something failed."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or [""])[-1 if causes else 0][:500]


def redacted(text: str, secret: str = "") -> str:
    """`text` without passwords."""
    blanked = text.replace(secret, "***") if len(secret) > 2 else text
    return _PASSWORD.sub(r"\1***", blanked)


def _trace(connector_trace: str, tasks: tuple[TaskStatus, ...]) -> str:
    return connector_trace or next((task.trace for task in tasks if task.trace), "")
