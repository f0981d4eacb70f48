"""TopicAdmin without a broker."""

from __future__ import annotations

import pytest

from consumers.admin import TopicAdmin, TopicSpec
from consumers.errors import KafkaUnavailable


@pytest.fixture
def admin() -> TopicAdmin:
    return TopicAdmin("127.0.0.1:1", {"socket.timeout.ms": "500"}, timeout=0.5)


def test_a_missing_broker_is_named(admin: TopicAdmin) -> None:
    with pytest.raises(KafkaUnavailable, match="does not answer"):
        admin.list_topics()
    with pytest.raises(KafkaUnavailable):
        admin.ensure_topics([TopicSpec("a")])
    with pytest.raises(KafkaUnavailable):
        admin.end_offsets(["a"])
    with pytest.raises(KafkaUnavailable):
        admin.topic_ids(["a"])


def test_nothing_asked_nothing_done(admin: TopicAdmin) -> None:
    assert admin.end_offsets([]) == {}
    assert admin.topic_ids([]) == {}
