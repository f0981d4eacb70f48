"""Causes and remedies of a failed connector."""

from __future__ import annotations

import pytest

from syncservice.connect.client import ConnectorStatus, TaskStatus
from syncservice.connect.health import assess, explain, redacted, telling_line

WRAPPED = """org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: could not
Caused by: org.postgresql.util.PSQLException: FATAL: password authentication failed for user "cdc"
\tat org.postgresql.core.v3.ConnectionFactoryImpl
"""


def status(state: str, *tasks: TaskStatus) -> ConnectorStatus:
    return ConnectorStatus("pacs-1", state, "", tasks)


def test_running() -> None:
    health = assess("pacs-1", status("RUNNING", TaskStatus(0, "RUNNING", "w")))
    assert (health.state, health.ok, health.code, health.tasks) == ("RUNNING", True, "", ((0, "RUNNING"),))


def test_running_without_a_task_is_not_ok() -> None:
    health = assess("pacs-1", status("RUNNING"))
    assert (health.state, health.ok) == ("UNASSIGNED", False)


def test_missing() -> None:
    health = assess("pacs-1", None)
    assert (health.state, health.code, health.ok) == ("MISSING", "connector_missing", False)


def test_a_failed_task_under_a_running_connector() -> None:
    health = assess("pacs-1", status("RUNNING", TaskStatus(0, "FAILED", "w", WRAPPED)))
    assert (health.state, health.code) == ("FAILED", "password_wrong")
    assert health.trace.endswith('password authentication failed for user "cdc"')
    assert "secret" in health.remedy


@pytest.mark.parametrize(
    ("trace", "code"),
    [
        ('ERROR: replication slot "tf_1" does not exist', "slot_lost"),
        ("starting at LSN{0/15} but this is no longer available on the server", "slot_lost"),
        ('can no longer get changes from replication slot "x"', "slot_lost"),
        ('ERROR: publication "p" does not exist', "publication_missing"),
        ("Publication autocreation is disabled, please create one", "publication_missing"),
        ("RecordTooLargeException: The message is 40000000 bytes when serialized", "record_too_large"),
        ("Connection to localhost:5442 refused. Check that the hostname", "database_unreachable"),
        ("FATAL: the database system is shutting down", "database_unreachable"),
        ('replication slot "x" is active for PID 12', "slot_active"),
        ("ERROR: permission denied for table parcel", "rights_missing"),
        ("InvalidRecordException: Compacted topic cannot accept message without key", "key_missing"),
        ("Topic pacs-1.public.a not present in metadata after 60000 ms", "topic_missing"),
        ("io.apicurio.registry.rest.client: Connection refused", "registry_unavailable"),
        ("Failed to properly convert data value for 'public.a.b' of type _numeric", "value_unreadable"),
        ("java.lang.NullPointerException", "connector_failed"),
    ],
)
def test_causes(trace: str, code: str) -> None:
    assert explain(trace)[0] == code
    assert explain(trace)[1]


def test_no_secret_is_shown() -> None:
    assert redacted("url?user=a&password=hunter2 and hunter2", "hunter2") == "url?user=a&password=*** and ***"
    task = TaskStatus(0, "FAILED", "w", "Caused by: X: database.password=hunter2")
    assert "hunter2" not in str(assess("x", status("RUNNING", task), "hunter2"))


def test_the_telling_line_is_the_innermost_cause() -> None:
    assert telling_line("A: first\n\tat b") == "A: first"
    assert telling_line("") == ""
