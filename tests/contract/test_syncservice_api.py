"""SyncService's REST API over the catalog's twin and a fake engine."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from catalog.manifest import ManifestProblem, SyncPairSpec, SystemSpec
from catalog.memory import MemoryCatalog
from syncservice.api.app import create_app
from syncservice.connect.errors import ConnectUnavailable
from syncservice.errors import Refused, TargetUnavailable

TOKEN = "a-service-token-of-some-length"
Json = dict[str, Any]


@dataclass(frozen=True)
class Item:
    name: str
    ok: bool
    message: str
    statement: str | None = None


@dataclass
class FakeEngine:
    """An engine that remembers and does as it is told."""

    woken: int = 0
    restarted: list[str] = field(default_factory=list)
    problems: list[ManifestProblem] = field(default_factory=list)
    failure: Exception | None = None

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def check_system(self, name: str, spec: SystemSpec, pairs: Sequence[SyncPairSpec]) -> Sequence[Item]:
        self._fail()
        return [
            Item("wal_level", True, "logical"),
            Item("publication", False, f"missing for {len(pairs)}", "CREATE …"),
        ]

    def validate_pair(self, spec: SyncPairSpec) -> Sequence[ManifestProblem]:
        self._fail()
        return self.problems

    def connectors(self) -> Sequence[Json]:
        self._fail()
        return [{"name": "tf-pacs-1", "state": "RUNNING"}]

    def restart_connector(self, name: str) -> None:
        self.restarted.append(name)

    def wake(self) -> None:
        self.woken += 1

    def report(self) -> Json:
        return {"replica": "r1", "pid": 1}


@dataclass
class Service:
    catalog: MemoryCatalog
    engine: FakeEngine
    client: TestClient


@pytest.fixture
def service() -> Service:
    catalog, engine = MemoryCatalog(), FakeEngine()
    client = TestClient(create_app(catalog, engine, TOKEN), raise_server_exceptions=False)
    client.headers["X-Service-Token"] = TOKEN
    return Service(catalog, engine, client)


def system(name: str, database: str | None = None) -> Json:
    spec = {
        "kind": "postgresql",
        "host": "localhost",
        "database": database or name,
        "user": "u",
        "password": {"env": "PW"},
    }
    return {"apiVersion": "terrafusion/v1", "kind": "System", "metadata": {"name": name}, "spec": spec}


def pair(
    name: str = "pacs-to-cama", source: str = "pacs", target: str = "cama", to: str = "cama.parcels"
) -> Json:
    spec = {"source": source, "target": target, "tables": [{"from": "public.parcel", "to": to}]}
    return {"apiVersion": "terrafusion/v1", "kind": "SyncPair", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def with_pair(service: Service) -> Service:
    for name in ("pacs", "cama"):
        assert service.client.put(f"/api/v1/systems/{name}", json=system(name)).status_code == 201
    assert service.client.put("/api/v1/sync-pairs/pacs-to-cama", json=pair()).status_code == 201
    return service


def problem(response: Any, status: int) -> Json:
    """The problem document of an answer, its form checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: Json = response.json()
    assert {"type", "title", "status", "detail", "code", "errors", "trace_id"} == set(body)
    assert body["status"] == status
    return body


@pytest.mark.parametrize("token", ["", "short", " padded-token-of-some-length "])
def test_no_app_without_a_token(token: str) -> None:
    with pytest.raises(ValueError, match="TERRAFUSION_SERVICE_TOKEN_FILE"):
        create_app(MemoryCatalog(), FakeEngine(), token)


@pytest.mark.parametrize("given", [None, "", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_every_route_but_liveness_needs_the_token(service: Service, given: str | None) -> None:
    del service.client.headers["X-Service-Token"]
    headers = {} if given is None else {"X-Service-Token": given}
    assert service.client.get("/livez", headers=headers).status_code == 200
    paths = [
        ("GET", path)
        for path in ("/readyz", "/metrics", "/api/v1/service", "/api/v1/openapi.json", "/nowhere")
    ]
    for method, path in [*paths, ("PUT", "/api/v1/systems/pacs"), ("DELETE", "/api/v1/sync-pairs/p")]:
        problem(service.client.request(method, path, headers=headers), 401)
    assert service.catalog.systems() == []


def test_probes_metrics_and_report(service: Service) -> None:
    assert service.client.get("/readyz").json() == {"status": "ok"}
    assert "# HELP" in service.client.get("/metrics").text
    assert service.client.get("/api/v1/service").json()["replica"] == "r1"
    assert service.client.get("/api/v1/openapi.json").json()["openapi"].startswith("3.1")
    service.catalog.unavailable = True
    answer = service.client.get("/readyz")
    assert problem(answer, 503)["code"] == "catalog_unavailable"
    assert answer.headers["retry-after"]
    assert service.client.get("/livez").status_code == 200


def test_put_is_idempotent_and_says_what_it_did(with_pair: Service) -> None:
    same = with_pair.client.put("/api/v1/sync-pairs/pacs-to-cama", json=pair())
    assert (same.status_code, same.json()["outcome"], same.json()["version"]) == (200, "unchanged", 1)
    changed = pair()
    changed["spec"]["adopt"] = True
    answer = with_pair.client.put("/api/v1/sync-pairs/pacs-to-cama", json=changed)
    assert (answer.status_code, answer.json()["outcome"], answer.json()["version"]) == (200, "configured", 2)
    assert answer.headers["etag"] != same.headers["etag"]
    assert with_pair.engine.woken == 4


def test_preconditions_guard_against_lost_updates(with_pair: Service) -> None:
    path = "/api/v1/sync-pairs/pacs-to-cama"
    tag = with_pair.client.put(path, json=pair()).headers["etag"]
    changed = pair()
    changed["spec"]["adopt"] = True
    assert with_pair.client.put(path, json=changed, headers={"If-Match": tag}).status_code == 200
    problem(with_pair.client.put(path, json=pair(), headers={"If-Match": tag}), 412)
    problem(with_pair.client.put(path, json=pair(), headers={"If-None-Match": "*"}), 412)
    problem(with_pair.client.put("/api/v1/systems/gis", json=system("gis"), headers={"If-Match": tag}), 412)
    new = with_pair.client.put("/api/v1/systems/gis", json=system("gis"), headers={"If-None-Match": "*"})
    assert new.status_code == 201


def test_a_bad_manifest_is_refused_with_every_error(service: Service) -> None:
    document = pair()
    document["spec"]["tables"][0] |= {"where": "x > 1", "to": "parcels"}
    document["spec"]["mode"] = "on_demand"
    body = problem(service.client.put("/api/v1/sync-pairs/pacs-to-cama", json=document), 422)
    assert {e["path"] for e in body["errors"]} == {"spec.tables[0].where", "spec.tables[0].to", "spec.mode"}
    wrongs: tuple[Any, ...] = (system("pacs-to-cama"), pair("other"), {}, [], None, 7, "text")
    for wrong in wrongs:
        answer = service.client.put("/api/v1/sync-pairs/pacs-to-cama", json=wrong)
        assert problem(answer, 422)["errors"], wrong


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b'{"kind": "\\ud800"}', b""])
def test_a_broken_body_is_refused(service: Service, content: bytes) -> None:
    answer = service.client.put(
        "/api/v1/systems/pacs", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code)


def test_a_password_in_the_wrong_place_is_not_echoed(service: Service) -> None:
    document = system("pacs")
    for wrong in ("hunter2-secret", {"env": "hunter2-secret"}, {"env": "PW", "value": "hunter2-secret"}):
        document["spec"]["password"] = wrong
        answer = service.client.put("/api/v1/systems/pacs", json=document)
        problem(answer, 422)
        assert "hunter2" not in answer.text


def test_systems_of_a_pair_must_exist(service: Service) -> None:
    body = problem(service.client.put("/api/v1/sync-pairs/pacs-to-cama", json=pair()), 422)
    assert [e["path"] for e in body["errors"]] == ["spec.source", "spec.target"]
    assert all("unknown system" in e["message"] for e in body["errors"])


def test_cycles_are_refused(with_pair: Service) -> None:
    client = with_pair.client
    back = pair("cama-to-pacs", "cama", "pacs", "public.x")
    body = problem(client.put("/api/v1/sync-pairs/cama-to-pacs", json=back), 422)
    assert body["errors"][0]["path"] == "spec.target"
    assert "pacs-to-cama" in body["errors"][0]["message"]
    client.put("/api/v1/systems/gis", json=system("gis"))
    onward = pair("cama-to-gis", "cama", "gis", "gis.parcels")
    assert client.put("/api/v1/sync-pairs/cama-to-gis", json=onward).status_code == 201
    round_trip = pair("gis-to-pacs", "gis", "pacs", "public.y")
    problem(client.put("/api/v1/sync-pairs/gis-to-pacs", json=round_trip), 422)
    client.put("/api/v1/systems/pacs-too", json=system("pacs-too", database="pacs"))
    alias = pair("cama-to-alias", "cama", "pacs-too", "public.z")
    problem(client.put("/api/v1/sync-pairs/cama-to-alias", json=alias), 422)
    itself = pair("pacs-alias", "pacs", "pacs-too", "public.z")
    problem(client.put("/api/v1/sync-pairs/pacs-alias", json=itself), 422)


def test_a_target_table_has_one_writer(with_pair: Service) -> None:
    with_pair.client.put("/api/v1/systems/erp", json=system("erp"))
    second = pair("erp-to-cama", "erp", "cama")
    body = problem(with_pair.client.put("/api/v1/sync-pairs/erp-to-cama", json=second), 422)
    assert body["errors"][0]["path"] == "spec.tables[0].to"
    second["spec"]["tables"][0]["to"] = "cama.vendors"
    assert with_pair.client.put("/api/v1/sync-pairs/erp-to-cama", json=second).status_code == 201


def test_source_and_target_of_a_pair_stay(with_pair: Service) -> None:
    with_pair.client.put("/api/v1/systems/erp", json=system("erp"))
    moved = pair(source="erp")
    body = problem(with_pair.client.put("/api/v1/sync-pairs/pacs-to-cama", json=moved), 422)
    assert body["errors"][0]["path"] == "spec.source"


def test_what_the_databases_say_refuses_a_pair(with_pair: Service) -> None:
    with_pair.engine.problems = [
        ManifestProblem("spec.tables[0].from", "has no primary key", "a table with a key")
    ]
    changed = pair()
    changed["spec"]["adopt"] = True
    body = problem(with_pair.client.put("/api/v1/sync-pairs/pacs-to-cama", json=changed), 422)
    assert body["errors"] == [
        {"path": "spec.tables[0].from", "message": "has no primary key", "allowed": "a table with a key"}
    ]
    answer = with_pair.client.post("/api/v1/sync-pairs/pacs-to-cama/validate").json()
    assert (answer["valid"], answer["errors"]) == (False, body["errors"])
    with_pair.engine.problems = []
    answer = with_pair.client.post("/api/v1/sync-pairs/pacs-to-cama/validate", json=changed).json()
    assert (answer["valid"], answer["errors"]) == (True, [])
    assert with_pair.catalog.pair("pacs-to-cama").version == 1


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (TargetUnavailable("cama does not answer"), 503, "target_unavailable"),
        (ConnectUnavailable("no answer"), 503, "connect_unavailable"),
        (Refused("not now", remedy="Do it later."), 409, "refused"),
        (RuntimeError("a bug with hunter2 in it"), 500, "internal"),
    ],
)
def test_failures_of_the_engine_become_problems(
    with_pair: Service, failure: Exception, status: int, code: str
) -> None:
    with_pair.engine.failure = failure
    with capture_logs():
        answer = with_pair.client.post(
            "/api/v1/sync-pairs/pacs-to-cama/validate", headers={"X-Trace-Id": "trace-0001"}
        )
    body = problem(answer, status)
    assert (body["code"], body["trace_id"]) == (code, "trace-0001")
    assert "hunter2" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


def test_pause_resume_and_delete_write_what_is_wanted(with_pair: Service) -> None:
    client, path = with_pair.client, "/api/v1/sync-pairs/pacs-to-cama"
    assert client.post(f"{path}/pause").json()["desired"] == "paused"
    assert client.post(f"{path}/resume").json()["desired"] == "running"
    woken = with_pair.engine.woken
    answer = client.delete(path)
    assert (answer.status_code, answer.json()["desired"]) == (202, "deleted")
    assert with_pair.engine.woken == woken + 1
    problem(client.post(f"{path}/resume"), 409)
    problem(client.put(path, json=pair()), 409)
    problem(client.delete("/api/v1/systems/cama"), 409)
    with_pair.catalog.forget_pair("pacs-to-cama")
    problem(client.delete(path), 404)
    assert client.delete("/api/v1/systems/cama").status_code == 204
    problem(client.delete("/api/v1/systems/cama"), 404)


def test_operations_are_queued_and_cancelled(with_pair: Service) -> None:
    client, path = with_pair.client, "/api/v1/sync-pairs/pacs-to-cama/operations"
    answer = client.post(path, json={"kind": "full"}, headers={"X-Requested-By": "key:ops"})
    assert answer.status_code == 202
    operation = answer.json()
    assert answer.headers["location"] == f"/api/v1/operations/{operation['id']}"
    assert (operation["state"], operation["requested_by"]) == ("queued", "key:ops")
    problem(client.post(path, json={"kind": "full"}), 409)
    cancelled = client.post(f"/api/v1/operations/{operation['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    problem(client.post(f"/api/v1/operations/{operation['id']}/cancel"), 409)
    problem(client.post("/api/v1/operations/00000000-0000-0000-0000-000000000000/cancel"), 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "repair"},
        {"kind": "full", "tables": ["cama.owners"]},
        {"kind": "full", "tables": ["\ud800"]},
        {"kind": "full", "tables": "cama.parcels"},
        {"kind": "full", "more": 1},
        [],
    ],
)
def test_a_wrong_operation_is_refused(with_pair: Service, body: Any) -> None:
    import json

    content = json.dumps(body)
    answer = with_pair.client.post(
        "/api/v1/sync-pairs/pacs-to-cama/operations",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert problem(answer, 422)["errors"]
    assert with_pair.catalog.operations() == []


def test_connectors_are_listed_and_restarted(service: Service) -> None:
    assert service.client.get("/api/v1/connectors").json()["items"][0]["name"] == "tf-pacs-1"
    assert service.client.get("/api/v1/connectors/tf-pacs-1").json()["state"] == "RUNNING"
    assert service.client.post("/api/v1/connectors/tf-pacs-1/restart").status_code == 202
    assert service.engine.restarted == ["tf-pacs-1"]
    problem(service.client.post("/api/v1/connectors/other/restart"), 404)


def test_a_check_lists_what_is_missing_with_its_statement(with_pair: Service) -> None:
    body = with_pair.client.post("/api/v1/systems/pacs/check").json()
    assert (body["ok"], [item["statement"] for item in body["items"]]) == (False, [None, "CREATE …"])
    assert "missing for 1" in body["items"][1]["message"]
    problem(with_pair.client.post("/api/v1/systems/none/check"), 404)


def test_the_catalog_down_is_said(with_pair: Service) -> None:
    with_pair.catalog.unavailable = True
    answer = with_pair.client.post("/api/v1/sync-pairs/pacs-to-cama/pause")
    assert problem(answer, 503)["code"] == "catalog_unavailable"
    assert answer.headers["retry-after"]


def test_odd_addresses_and_methods_are_answered_in_the_same_form(service: Service) -> None:
    for path in ("/", "/api/v1/nothing", "/api/v1/sync-pairs/%00/pause", "/api/v1/systems/%ED%A0%80/check"):
        problem(service.client.post(path), 404)
    problem(service.client.delete("/api/v1/service"), 405)
    problem(service.client.post("/api/v1/operations/not-a-uuid/cancel"), 422)


def test_a_body_that_is_too_large_is_refused(service: Service) -> None:
    large = b'"' + b"x" * 1_100_000 + b'"'
    problem(service.client.put("/api/v1/systems/pacs", content=large), 413)
    chunks: Callable[[], Any] = lambda: itertools.repeat(b"x" * 100_000, 12)  # noqa: E731
    answer = service.client.put("/api/v1/systems/pacs", content=chunks())
    assert 400 <= answer.status_code < 500


def test_the_trace_id_is_repeated_or_made(service: Service) -> None:
    given = service.client.get("/livez", headers={"X-Trace-Id": "0123456789abcdef"})
    assert given.headers["x-trace-id"] == "0123456789abcdef"
    made = service.client.get("/livez", headers={"X-Trace-Id": "bad id\twith odd things"})
    assert len(made.headers["x-trace-id"]) == 32
    assert copy.copy(problem(service.client.get("/nowhere"), 404))["trace_id"]
