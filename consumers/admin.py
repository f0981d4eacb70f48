"""Topics of the broker: make, delete, list, their ends and their identity.

A thin typed layer over ``confluent_kafka.admin``. Every call is bounded by ``timeout`` seconds and raises
:class:`KafkaUnavailable` where the broker does not answer, :class:`TopicError` where it answers no.
Offsets are those of partition 0: our topics have one partition.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
)

from consumers.errors import ConsumerError, KafkaUnavailable

T = TypeVar("T")


class TopicError(ConsumerError):
    """The broker refused; ``kafka_code`` is its own name of the error, ``topic`` the topic concerned."""

    retry = "manual"

    def __init__(self, topic: str, error: KafkaError) -> None:
        self.topic = topic
        self.kafka_code = error.name()
        self.code = "topic_missing" if error.code() in _MISSING else "topic_refused"
        self.remedy = _REMEDIES.get(error.code(), "See the broker's log for the reason.")
        super().__init__(f"topic {topic}: {error.str()} ({self.kafka_code})")


@dataclass(frozen=True)
class TopicSpec:
    """A topic that shall exist. ``configs`` are Kafka's topic settings, as strings."""

    name: str
    partitions: int = 1
    configs: Mapping[str, str] = field(default_factory=dict)


class TopicAdmin:
    """``bootstrap`` is host:port[,…]; ``config`` adds librdkafka settings (security, for instance)."""

    def __init__(
        self, bootstrap: str, config: Mapping[str, str] | None = None, timeout: float = 30.0
    ) -> None:
        settings: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, "log_level": 2}
        self._client = AdminClient({**settings, **(config or {})})
        self._timeout = timeout

    def ensure_topics(self, topics: Iterable[TopicSpec]) -> list[str]:
        """Make what is missing and set differing configs of what exists; the names of the new ones.

        The number of partitions of an existing topic is never changed: that would reorder keys.
        """
        wanted = {topic.name: topic for topic in topics}
        existing = set(self._names())
        missing = [t for name, t in wanted.items() if name not in existing]
        self._create(missing)
        self._configure([t for name, t in wanted.items() if name in existing and t.configs])
        return [topic.name for topic in missing]

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete those that exist and wait until the broker has forgotten them."""
        doomed = [name for name in names if name in set(self._names())]
        if not doomed:
            return
        self._settle(
            self._client.delete_topics(doomed, request_timeout=self._timeout),
            KafkaError.UNKNOWN_TOPIC_OR_PART,
        )
        deadline = time.monotonic() + self._timeout
        while left := set(doomed) & set(self._names()):
            if time.monotonic() > deadline:
                raise KafkaUnavailable(
                    f"topics still there after {self._timeout:.0f} s: {', '.join(sorted(left))}"
                )
            time.sleep(0.05)

    def list_topics(self, prefix: str = "") -> list[str]:
        """Names that start with ``prefix``, sorted."""
        return sorted(name for name in self._names() if name.startswith(prefix))

    def end_offsets(self, topics: Iterable[str]) -> dict[str, int]:
        """Topic → offset after the last record that a ``read_committed`` consumer may see."""
        return self._offsets(topics, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def beginning_offsets(self, topics: Iterable[str]) -> dict[str, int]:
        """Topic → offset of the oldest record still there."""
        return self._offsets(topics, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Topic → the UUID that Kafka gave it (base64); a re-created topic has another. Missing ones are left out."""
        names = list(topics)
        if not names:
            return {}
        futures = self._client.describe_topics(TopicCollection(names), request_timeout=self._timeout)
        found = self._settle(futures, KafkaError.UNKNOWN_TOPIC_OR_PART)
        return {name: str(description.topic_id) for name, description in found.items()}

    def _offsets(self, topics: Iterable[str], spec: OffsetSpec) -> dict[str, int]:
        request = {TopicPartition(name, 0): spec for name in topics}
        if not request:
            return {}
        futures = self._client.list_offsets(
            request, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=self._timeout
        )
        return {
            name: info.offset for name, info in self._settle({p.topic: f for p, f in futures.items()}).items()
        }

    def _names(self) -> list[str]:
        try:
            found = self._client.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise _unavailable(error) from error
        return [
            name for name, topic in found.items() if topic.error is None or topic.error.code() not in _MISSING
        ]

    def _create(self, topics: list[TopicSpec]) -> None:
        if topics:
            new = [NewTopic(t.name, num_partitions=t.partitions, config=dict(t.configs)) for t in topics]
            futures = self._client.create_topics(new, request_timeout=self._timeout)
            self._settle(futures, KafkaError.TOPIC_ALREADY_EXISTS)

    def _configure(self, topics: list[TopicSpec]) -> None:
        if not topics:
            return
        resources = {ConfigResource(ConfigResource.Type.TOPIC, t.name): t for t in topics}
        current = self._settle(
            {
                r.name: f
                for r, f in self._client.describe_configs(
                    list(resources), request_timeout=self._timeout
                ).items()
            }
        )
        changes = [_changes(t, current[t.name]) for t in topics]
        if pending := [change for change in changes if change is not None]:
            futures = self._client.incremental_alter_configs(pending, request_timeout=self._timeout)
            self._settle({resource.name: future for resource, future in futures.items()})

    def _settle(self, futures: Mapping[str, Future[T]], ignore: int | None = None) -> dict[str, T]:
        """Wait for every future; topics that failed with ``ignore`` are left out of the result."""
        results = {}
        for topic, future in futures.items():
            try:
                results[topic] = future.result(timeout=self._timeout + 5)
            except KafkaException as error:
                if _kafka_error(error).code() == ignore:
                    continue
                raise self._translated(topic, error) from error
            except TimeoutError as error:
                raise KafkaUnavailable(f"no answer about {topic} in {self._timeout:.0f} s") from error
        return results

    def _translated(self, topic: str, error: KafkaException) -> KafkaUnavailable | TopicError:
        cause = _kafka_error(error)
        leaderless = cause.code() == KafkaError._NOENT  # no such topic, or a broker that is only starting
        if cause.code() in _UNREACHABLE or cause.retriable() or (leaderless and topic in self._names()):
            return _unavailable(error)
        return TopicError(topic, cause)


def _changes(topic: TopicSpec, current: Mapping[str, ConfigEntry]) -> ConfigResource | None:
    wrong = {k: v for k, v in topic.configs.items() if k not in current or current[k].value != v}
    if not wrong:
        return None
    entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in wrong.items()]
    return ConfigResource(ConfigResource.Type.TOPIC, topic.name, incremental_configs=entries)


def _kafka_error(error: KafkaException) -> KafkaError:
    cause: KafkaError = error.args[0]
    return cause


def _unavailable(error: KafkaException) -> KafkaUnavailable:
    return KafkaUnavailable(f"Kafka does not answer: {_kafka_error(error).str()}")


_MISSING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._NOENT,  # list_offsets: no leader found
    }
)
_UNREACHABLE = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._RESOLVE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
    }
)
_REMEDIES = {
    **dict.fromkeys(
        _MISSING, "Its history is gone: delete the pair and apply it again, which starts with a full sync."
    ),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Grant the service the right to create and describe this topic.",
    KafkaError.INVALID_CONFIG: "The broker refuses a topic setting; compare its version with the documented one.",
    KafkaError.POLICY_VIOLATION: "The broker's topic policy refuses the settings; ask its administrator.",
}
