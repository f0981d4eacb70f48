"""TopicAdmin on the real broker."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from consumers.admin import TopicAdmin, TopicError, TopicSpec
from terrafusion.stack import Stack

pytestmark = pytest.mark.stack


@pytest.fixture
def admin(stack: Stack) -> TopicAdmin:
    return TopicAdmin(stack.env()["KAFKA_BOOTSTRAP"])


@pytest.fixture
def prefix(admin: TopicAdmin) -> Iterator[str]:
    name = f"chelper-topics-{secrets.token_hex(3)}."
    yield name
    admin.delete_topics(admin.list_topics(name))


def test_topics_are_made_once_and_their_settings_kept(admin: TopicAdmin, prefix: str) -> None:
    spec = TopicSpec(prefix + "a", configs={"cleanup.policy": "compact"})
    assert admin.ensure_topics([spec]) == [spec.name]
    first = admin.topic_ids([spec.name, prefix + "missing"])
    assert set(first) == {spec.name}
    changed = TopicSpec(spec.name, configs={"cleanup.policy": "delete", "retention.ms": "1000"})
    assert admin.ensure_topics([changed, TopicSpec(prefix + "b")]) == [prefix + "b"]
    assert admin.list_topics(prefix) == [prefix + "a", prefix + "b"]
    assert admin.topic_ids([spec.name]) == first


def test_a_topic_made_again_has_another_identity(admin: TopicAdmin, prefix: str) -> None:
    spec = TopicSpec(prefix + "a")
    admin.ensure_topics([spec])
    first = admin.topic_ids([spec.name])
    admin.delete_topics([spec.name, prefix + "missing"])
    assert admin.list_topics(prefix) == []
    admin.ensure_topics([spec])
    assert admin.topic_ids([spec.name]) != first


def test_offsets(admin: TopicAdmin, prefix: str, stack: Stack) -> None:
    name = prefix + "a"
    admin.ensure_topics([TopicSpec(name)])
    assert admin.end_offsets([name]) == {name: 0}
    producer = Producer({"bootstrap.servers": stack.env()["KAFKA_BOOTSTRAP"]})
    for _ in range(3):
        producer.produce(name, b"x")
    producer.flush(30)
    assert (admin.beginning_offsets([name]), admin.end_offsets([name])) == ({name: 0}, {name: 3})
    with pytest.raises(TopicError) as caught:
        admin.end_offsets([prefix + "missing"])
    assert caught.value.code == "topic_missing"


def test_settings_that_kafka_refuses(admin: TopicAdmin, prefix: str) -> None:
    with pytest.raises(TopicError) as caught:
        admin.ensure_topics([TopicSpec(prefix + "a", configs={"cleanup.policy": "nonsense"})])
    assert (caught.value.code, caught.value.kafka_code) == ("topic_refused", "INVALID_CONFIG")
