"""The Connect client against canned answers."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx
import stamina

from syncservice.connect.client import ConnectClient, ConnectorStatus, TaskStatus
from syncservice.connect.errors import ConnectError, ConnectorMissing, ConnectUnavailable

URL = "http://connect"


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=3)
    yield
    stamina.set_testing(False)


@pytest.fixture
def http() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.get("/health").respond(200, json={"status": "healthy"})
        yield router


@pytest.fixture
def client() -> Iterator[ConnectClient]:
    with ConnectClient(URL + "/") as made:
        yield made


def missing() -> httpx.Response:
    return httpx.Response(404, json={"error_code": 404, "message": "Connector x not found"})


def busy() -> httpx.Response:
    return httpx.Response(409, json={"error_code": 409, "message": "a rebalance is in process"})


def test_status_with_a_failed_task(http: respx.MockRouter, client: ConnectClient) -> None:
    task = {"id": 0, "state": "FAILED", "worker_id": "w", "trace": "boom"}
    body = {"name": "x", "connector": {"state": "RUNNING", "worker_id": "w"}, "tasks": [task]}
    http.get("/connectors/x/status").respond(json=body)
    assert client.status("x") == ConnectorStatus("x", "RUNNING", "", (TaskStatus(0, "FAILED", "w", "boom"),))


def test_what_is_not_there_is_none(http: respx.MockRouter, client: ConnectClient) -> None:
    for path in ("status", "config", "offsets"):
        http.get(f"/connectors/x/{path}").mock(return_value=missing())
    http.delete("/connectors/x").mock(return_value=missing())
    assert (client.status("x"), client.config("x"), client.offsets("x")) == (None, None, None)
    client.delete("x")


def test_offsets(http: respx.MockRouter, client: ConnectClient) -> None:
    route = http.get("/connectors/x/offsets")
    route.respond(json={"offsets": []})
    assert client.offsets("x") is None
    route.respond(json={"offsets": [{"partition": {"server": "x"}, "offset": {"lsn_commit": 5}}]})
    assert client.offsets("x") == {"lsn_commit": 5}


@pytest.mark.parametrize(
    "answer", [busy(), httpx.Response(500, json={"error_code": 500, "message": "Request timed out"})]
)
def test_a_busy_worker_is_asked_again(
    http: respx.MockRouter, client: ConnectClient, answer: httpx.Response
) -> None:
    route = http.put("/connectors/x/config")
    route.side_effect = [answer, answer, httpx.Response(200, json={})]
    client.put_config("x", {"a": "b"})
    assert route.call_count == 3


def test_patience_ends(http: respx.MockRouter, client: ConnectClient) -> None:
    http.put("/connectors/x/stop").mock(return_value=busy())
    with pytest.raises(ConnectUnavailable, match="stayed busy") as caught:
        client.stop("x")
    assert caught.value.retry == "timed"


@pytest.mark.parametrize(
    "failure",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(503, text="starting")],
)
def test_a_worker_that_does_not_answer(
    http: respx.MockRouter, client: ConnectClient, failure: httpx.Response | Exception
) -> None:
    http.get("/connectors").mock(side_effect=[failure])
    with pytest.raises(ConnectUnavailable):
        client.connectors()


def test_a_refusal_keeps_its_reason(http: respx.MockRouter, client: ConnectClient) -> None:
    http.put("/connectors/x/config").respond(400, json={"error_code": 400, "message": "bad setting"})
    with pytest.raises(ConnectError, match="bad setting") as caught:
        client.put_config("x", {})
    assert (caught.value.status, caught.value.code, caught.value.retry) == (400, "connect_refused", "manual")


def test_pausing_what_is_missing(http: respx.MockRouter, client: ConnectClient) -> None:
    http.put("/connectors/x/pause").mock(return_value=missing())
    with pytest.raises(ConnectorMissing):
        client.pause("x")


def test_validate_lists_objections(http: respx.MockRouter, client: ConnectClient) -> None:
    values = [{"value": {"name": "slot.name", "errors": ["taken"]}}, {"value": {"name": "b", "errors": []}}]
    http.put("/connector-plugins/a.B/config/validate").respond(json={"configs": values})
    assert client.validate("a.B", {}) == ["slot.name: taken"]


def test_the_other_verbs(http: respx.MockRouter, client: ConnectClient) -> None:
    http.get("/connectors").respond(json=["b", "a"])
    http.put("/connectors/x/pause").respond(202)
    http.put("/connectors/x/resume").respond(202)
    http.delete("/connectors/x/offsets").respond(200, json={"message": "ok"})
    created = http.post("/connectors").respond(201, json={})
    restarted = http.post("/connectors/x/restart").respond(202, json={})
    assert client.connectors() == ["a", "b"]
    client.pause("x")
    client.resume("x")
    client.delete_offsets("x")
    client.create_stopped("x", {"a": "b"})
    client.restart("x")
    assert b'"initial_state":"STOPPED"' in created.calls.last.request.content
    assert restarted.calls.last.request.url.params["onlyFailed"] == "true"


@pytest.mark.parametrize("health", [httpx.Response(503), httpx.ConnectError("refused")])
def test_what_a_starting_worker_calls_missing_may_exist(
    http: respx.MockRouter, client: ConnectClient, health: httpx.Response | Exception
) -> None:
    http.get("/connectors/x/config").mock(return_value=missing())
    http.get("/health").mock(side_effect=[health])
    with pytest.raises(ConnectUnavailable):
        client.config("x")


def test_a_worker_that_has_just_started_is_asked_again(http: respx.MockRouter, client: ConnectClient) -> None:
    http.get("/connectors/x/config").side_effect = [missing(), httpx.Response(200, json={"a": "b"})]
    assert client.config("x") == {"a": "b"}
