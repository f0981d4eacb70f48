"""What can go wrong between the topic and a typed frame.

ConsumerError
├── KafkaUnavailable       retry, timed
├── OffsetOutOfRange       never by itself: a full sync is needed
├── UnsupportedSchema      a field's type that no decoder reads
└── BadRecord              one record that cannot be decoded: a dead letter
"""

from __future__ import annotations


class ConsumerError(Exception):
    """Base of the consumer library's errors."""


class KafkaUnavailable(ConsumerError):
    """No broker answered in time."""


class OffsetOutOfRange(ConsumerError):
    """The position is no longer in the log: records between it and the log's start are gone."""


class UnsupportedSchema(ConsumerError):
    """The writer's schema holds a type that cannot be read."""


class BadRecord(ConsumerError):
    """A record that cannot be decoded: its code (`bad_magic`, `bad_avro`, …) and the reason in words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
