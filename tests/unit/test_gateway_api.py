"""The gateway's API over the catalog's twin, forwarding to SyncService's real API with a fake engine behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
from fastapi.testclient import TestClient
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from catalog.manifest import ManifestProblem, SyncPairSpec, SystemSpec
from catalog.memory import MemoryCatalog
from catalog.records import Scope, SourceRecord
from gateway.access import OPEN, READ, ROUTES, Access, check_routes
from gateway.app import create_app
from gateway.client import SyncServiceClient
from gateway.config import Settings
from gateway.context import Parts
from gateway.keys import KeyRing
from gateway.service_state import ServiceState
from syncservice.api.app import create_app as create_service

Json = dict[str, Any]
TOKEN, PEPPER = "a-service-token-of-some-length", "a-pepper-of-some-length"
API = "/api/v1"


@dataclass
class QuietEngine:
    """An engine to which every pair is fine."""

    problems: list[ManifestProblem] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)

    def check_system(self, name: str, spec: SystemSpec, pairs: Sequence[SyncPairSpec]) -> Sequence[Any]:
        return []

    def validate_pair(self, spec: SyncPairSpec) -> Sequence[ManifestProblem]:
        return self.problems

    def connectors(self) -> Sequence[Json]:
        return [{"name": "tf-pacs-1", "state": "RUNNING"}]

    def restart_connector(self, name: str) -> None:
        self.restarted.append(name)

    def wake(self) -> None:
        return

    def report(self) -> Json:
        return {"replica": "r1"}


class Clock:
    """A clock that goes when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Door:
    """The gateway under test; `syncservice_down` makes its connections fail."""

    catalog: MemoryCatalog
    engine: QuietEngine
    keys: KeyRing
    state: ServiceState
    clock: Clock
    app: Flask
    client: FlaskClient
    syncservice_down: bool = False
    sent: list[httpx.Request] = field(default_factory=list)

    def headers(self, scope: Scope = "admin", pairs: Sequence[str] | None = None) -> dict[str, str]:
        return {"X-API-Key": self.keys.create("tester", [scope], pairs)[1]}

    def call(
        self, method: str, path: str, body: Any = None, scope: Scope = "admin", **headers: str
    ) -> TestResponse:
        return self.client.open(
            API + path,
            method=method,
            json=body,
            headers={**self.headers(scope), **{k.replace("_", "-"): v for k, v in headers.items()}},
        )


@pytest.fixture
def door() -> Iterator[Door]:
    catalog, engine, clock = MemoryCatalog(), QuietEngine(), Clock()
    service = TestClient(create_service(catalog, engine, TOKEN), raise_server_exceptions=False)
    state, keys = ServiceState(clock), KeyRing(catalog, PEPPER, clock)
    found: list[Door] = []

    def transport(request: httpx.Request) -> httpx.Response:
        found[0].sent.append(request)
        if found[0].syncservice_down:
            raise httpx.ConnectError("refused")
        answer = service.request(
            request.method, request.url.path, content=request.content, headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    client = SyncServiceClient("http://syncservice", TOKEN, state.snapshot, httpx.MockTransport(transport))
    settings = Settings(catalog_dsn="postgresql://unused")
    app = create_app(Parts(settings, catalog, keys, client, state, None), PEPPER)
    found.append(Door(catalog, engine, keys, state, clock, app, app.test_client()))
    state.started(1, supervised_here=True)
    state.answered()
    yield found[0]
    structlog.contextvars.clear_contextvars()


def system(name: str) -> Json:
    spec = {"kind": "postgresql", "host": "h", "database": name, "user": "u", "password": {"env": "PW"}}
    return {"apiVersion": "terrafusion/v1", "kind": "System", "metadata": {"name": name}, "spec": spec}


def pair(name: str = "pacs-to-cama", to: str = "cama.parcels") -> Json:
    spec = {"source": "pacs", "target": "cama", "tables": [{"from": "public.parcel", "to": to}]}
    return {"apiVersion": "terrafusion/v1", "kind": "SyncPair", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def full(door: Door) -> Door:
    """With two systems, two pairs, an operation, an error and a connector."""
    for name in ("pacs", "cama"):
        assert door.call("PUT", f"/systems/{name}", system(name)).status_code == 201
    assert door.call("PUT", "/sync-pairs/pacs-to-cama", pair()).status_code == 201
    assert door.call("PUT", "/sync-pairs/other", pair("other", "cama.others")).status_code == 201
    assert door.call("POST", "/sync-pairs/pacs-to-cama/operations", {"kind": "verify"}).status_code == 202
    door.catalog.record_error("other", None, "code", "message", "remedy", "manual")
    door.catalog.put_source(
        SourceRecord("pacs", 1, "tf-pacs-1", "slot", "pub", "ph", {"public.parcel": {}}, "running")
    )
    return door


def problem(response: TestResponse, status: int) -> Json:
    """The problem document of an answer, its form checked."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    body: Json = json.loads(response.data)
    assert {"type", "title", "status", "detail", "code", "errors", "trace_id"} == set(body)
    assert (body["status"], body["trace_id"]) == (status, response.headers["X-Trace-Id"])
    return body


def concrete(rule: str) -> str:
    """An address of a route."""
    filled = rule.replace("<path:filename>", "gateway.css").replace("<name>", "pacs-to-cama")
    return filled.replace("<id>", "00000000-0000-0000-0000-000000000000")


KEYED = [(method, rule, access) for (method, rule), access in ROUTES.items() if access.way == "key"]


@pytest.mark.parametrize(("method", "rule", "access"), KEYED)
def test_every_route_asks_for_a_key_of_its_scope(full: Door, method: str, rule: str, access: Access) -> None:
    path = concrete(rule)
    for headers in ({}, {"X-API-Key": "tf_abcdefghijkl_" + "x" * 43}, {"X-API-Key": "nonsense"}):
        answer = full.client.open(path, method=method, headers=headers)
        assert problem(answer, 401)["code"] in ("key_missing", "key_refused")
    ranks: tuple[Scope, ...] = ("read", "operate", "admin")
    for scope in ranks:
        answer = full.client.open(path, method=method, headers=full.headers(scope))
        if ranks.index(scope) < ranks.index(access.scope):
            assert problem(answer, 403)["code"] == "scope_missing"
        else:
            assert answer.status_code not in (401, 403, 500)


@pytest.mark.parametrize(("method", "rule", "access"), KEYED)
def test_a_limited_key_reaches_only_its_pairs(full: Door, method: str, rule: str, access: Access) -> None:
    answer = full.client.open(concrete(rule), method=method, headers=full.headers("admin", ["other"]))
    if access.limit in ("whole", "pair"):
        assert problem(answer, 403)["code"] == "key_limited"
    else:
        assert answer.status_code not in (401, 403, 500)
        assert b"pacs-to-cama" not in answer.data


def test_a_route_without_a_scope_stops_the_start(door: Door) -> None:
    door.app.add_url_rule(
        "/forgotten", view_func=lambda: "open to all", methods=["GET"], endpoint="forgotten"
    )
    with pytest.raises(RuntimeError, match="/forgotten"):
        check_routes(door.app)
    with pytest.raises(RuntimeError, match="without a route"):
        check_routes(door.app, {**ROUTES, ("GET", "/forgotten"): OPEN, ("GET", "/nowhere"): READ})


def test_writes_go_through_syncservice_and_reads_come_from_the_catalog(full: Door) -> None:
    sent = len(full.sent)
    shown = full.call("GET", "/sync-pairs/pacs-to-cama", scope="read")
    assert shown.status_code == 200
    assert (shown.json or {})["spec"]["tables"][0]["to"] == "cama.parcels"
    for path in (
        "/systems",
        "/sync-pairs",
        "/operations",
        "/connectors",
        "/errors",
        "/sync-pairs/other/status",
    ):
        answer = full.call("GET", path, scope="read")
        assert answer.status_code == 200
        assert (answer.json or {})["stale"] is False, path
    assert len(full.sent) == sent
    forwarded = full.sent[0]
    assert forwarded.headers["X-Service-Token"] == TOKEN
    assert forwarded.headers["X-Requested-By"] == "key:tester"
    assert "X-API-Key" not in forwarded.headers


def test_the_trace_id_goes_all_the_way(full: Door) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        answer = full.call("POST", "/sync-pairs/other/pause", X_Trace_Id="trace-0123456789")
    assert answer.status_code == 202
    assert answer.headers["X-Trace-Id"] == "trace-0123456789"
    assert full.sent[-1].headers["X-Trace-Id"] == "trace-0123456789"
    requests = [entry for entry in logs if entry["event"] == "request"]
    assert [(entry["path"], entry["trace_id"]) for entry in requests] == [
        ("/api/v1/sync-pairs/other/pause", "trace-0123456789"),
        ("/api/v1/sync-pairs/other/pause", "trace-0123456789"),
    ]


def test_etags_pass_through(full: Door) -> None:
    tag = full.call("GET", "/sync-pairs/pacs-to-cama").headers["ETag"]
    changed = pair()
    changed["spec"]["adopt"] = True
    answer = full.call("PUT", "/sync-pairs/pacs-to-cama", changed, If_Match=tag)
    assert (answer.status_code, (answer.json or {})["outcome"]) == (200, "configured")
    assert answer.headers["ETag"] != tag
    problem(full.call("PUT", "/sync-pairs/pacs-to-cama", pair(), If_Match=tag), 412)
    problem(full.call("PUT", "/systems/pacs", system("pacs"), If_None_Match="*"), 412)


def test_what_the_databases_say_reaches_the_caller(full: Door) -> None:
    full.engine.problems = [ManifestProblem("spec.tables[0].from", "has no primary key", "a key")]
    changed = pair()
    changed["spec"]["adopt"] = True
    errors = problem(full.call("PUT", "/sync-pairs/pacs-to-cama", changed), 422)["errors"]
    assert errors == [{"path": "spec.tables[0].from", "message": "has no primary key", "allowed": "a key"}]
    assert (full.call("POST", "/sync-pairs/pacs-to-cama/validate").json or {})["valid"] is False


def test_syncservice_down_leaves_reads_and_says_so(full: Door) -> None:
    full.syncservice_down = True
    full.clock.now += 60
    full.state.restarted("SyncService was killed by SIGKILL")
    listed = full.call("GET", "/sync-pairs").json or {}
    assert (listed["stale"], listed["age_s"], len(listed["items"])) == (True, 60.0, 2)
    status = full.call("GET", "/sync-pairs/pacs-to-cama/status").json or {}
    assert (status["stale"], status["state"]) == (True, "new")
    for method, path, body in [
        ("PUT", "/systems/pacs", system("pacs")),
        ("DELETE", "/sync-pairs/other", None),
        ("POST", "/sync-pairs/other/operations", {"kind": "full"}),
        ("POST", "/connectors/tf-pacs-1/restart", None),
    ]:
        answer = full.call(method, path, body)
        refused = problem(answer, 503)
        assert refused["code"] == "syncservice_unavailable"
        assert "SIGKILL" in refused["detail"]
        assert answer.headers["Retry-After"]
    service = full.call("GET", "/service").json or {}
    assert (service["available"], service["restarts_total"]) == (False, 1)
    assert service["restarts"][0]["reason"] == "SyncService was killed by SIGKILL"
    assert full.client.get("/readyz").status_code == 200
    assert (full.client.get("/healthz?verbose").json or {})["status"] == "degraded"


def test_a_write_that_may_have_been_done_is_not_called_undone(door: Door) -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silence")

    client = SyncServiceClient("http://s", TOKEN, door.state.snapshot, httpx.MockTransport(break_off))
    door.app.extensions["terrafusion"] = Parts(
        Settings(catalog_dsn="x"), door.catalog, door.keys, client, door.state, None
    )
    assert problem(door.call("PUT", "/systems/pacs", system("pacs")), 504)["code"] == "syncservice_timeout"


def test_the_catalog_down_is_said_and_known_keys_stay_valid_for_a_minute(full: Door) -> None:
    headers = full.headers("read")
    assert full.client.get(f"{API}/systems", headers=headers).status_code == 200
    full.catalog.unavailable = True
    full.clock.now += 59
    answer = full.client.get(f"{API}/systems", headers=headers)
    assert problem(answer, 503)["code"] == "catalog_unavailable"
    assert answer.headers["Retry-After"]
    assert full.client.get(f"{API}/service", headers=headers).status_code == 200
    full.clock.now += 2
    assert problem(full.client.get(f"{API}/service", headers=headers), 503)["code"] == "catalog_unavailable"
    assert full.client.get("/livez").status_code == 200
    problem(full.client.get("/readyz"), 503)
    assert full.client.get("/healthz?verbose").status_code == 503


def test_a_revoked_or_expired_key_ends_at_once(door: Door) -> None:
    record, key = door.keys.create("a", ["read"])
    headers = {"X-API-Key": key}
    assert door.client.get(f"{API}/systems", headers=headers).status_code == 200
    assert door.call("DELETE", f"/keys/{record.id}").status_code == 200
    assert problem(door.client.get(f"{API}/systems", headers=headers), 401)["code"] == "key_refused"
    soon = datetime.now(UTC) + timedelta(seconds=0.05)
    _, short = door.keys.create("b", ["read"], None, soon)
    while datetime.now(UTC) < soon:
        pass
    problem(door.client.get(f"{API}/systems", headers={"X-API-Key": short}), 401)


def test_keys_are_made_and_listed_without_their_secret(door: Door) -> None:
    body = {
        "name": "dash",
        "scopes": ["read"],
        "pairs": ["pacs-to-cama"],
        "expires_at": "2099-01-01T00:00:00Z",
    }
    made = door.call("POST", "/keys", body)
    assert made.status_code == 201
    key = (made.json or {})["key"]
    assert re.fullmatch(r"tf_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", key)
    listed = door.call("GET", "/keys")
    assert key.split("_", 2)[2] not in listed.text
    assert "hash" not in listed.text
    assert key not in str(door.catalog.keys())
    last_used = [item["last_used_at"] for item in (listed.json or {})["items"] if item["name"] == "tester"]
    assert last_used[0] is not None
    wrongs: tuple[Any, ...] = (
        {},
        {**body, "scopes": ["root"]},
        {**body, "scopes": []},
        {**body, "name": "a\nb"},
        {**body, "expires_at": "2020-01-01T00:00:00Z"},
        {**body, "expires_at": "2099-01-01T00:00:00"},
        [],
        7,
    )
    for wrong in wrongs:
        assert problem(door.call("POST", "/keys", wrong), 422)["errors"], wrong
    problem(door.call("DELETE", "/keys/unknown"), 404)


def test_no_secret_is_logged_or_echoed(door: Door) -> None:
    key = door.headers("admin")["X-API-Key"]
    document = system("pacs")
    document["spec"]["password"] = "hunter2"
    with capture_logs() as logs:
        answer = door.client.put(f"{API}/systems/pacs", json=document, headers={"X-API-Key": key})
        door.client.post("/sign-in", data={"key": key, "csrf": "x"})
        door.client.get("/api/v1/systems", headers={"X-API-Key": key + "x"})
    problem(answer, 422)
    everything = f"{answer.text} {answer.headers} {logs}"
    assert "hunter2" not in everything
    assert key.split("_", 2)[2] not in everything


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", f"{API}/nowhere", 404),
        ("PATCH", f"{API}/systems/pacs", 405),
        ("OPTIONS", f"{API}/systems", 405),
        ("GET", f"{API}/systems/%00", 404),
        ("GET", f"{API}/systems/..%2f..%2fkeys", 404),
        ("GET", f"{API}/sync-pairs/UPPER/status", 404),
        ("GET", f"{API}/operations/not-a-uuid", 404),
        ("DELETE", f"{API}/keys/%F0%9F%97%9D", 404),
        ("GET", f"{API}/systems?limit=0", 422),
        ("GET", f"{API}/systems?limit=201", 422),
        ("GET", f"{API}/systems?limit=many", 422),
        ("GET", f"{API}/systems?page=2", 422),
        ("GET", f"{API}/systems?cursor=nonsense", 422),
        ("GET", f"{API}/systems?cursor=WzFd", 422),
        ("GET", f"{API}/errors?cursor=WyJ4Il0", 422),
        ("GET", f"{API}/operations?state=lost", 422),
        ("GET", f"{API}/operations?pair=%00", 422),
    ],
)
def test_odd_requests_are_answered_in_the_same_form(full: Door, method: str, path: str, status: int) -> None:
    problem(full.client.open(path, method=method, headers=full.headers()), status)


def test_bodies_are_json_and_of_bounded_size(door: Door) -> None:
    headers = door.headers()
    put = f"{API}/systems/pacs"
    problem(door.client.put(put, data="{}", headers=headers), 415)
    problem(
        door.client.put(put, data=b"x" * 1_100_000, content_type="application/json", headers=headers), 413
    )
    for broken in (b"{", b"\xff", b"[" * 100_000, b""):
        problem(door.client.put(put, data=broken, content_type="application/json", headers=headers), 422)
    problem(door.client.put(put, json=pair("pacs"), headers=headers), 422)
    assert door.sent == []


def test_a_bug_is_a_problem_without_details(door: Door) -> None:
    def broken() -> None:
        raise RuntimeError("hunter2")

    door.catalog.systems = broken  # type: ignore[method-assign, assignment]
    answer = door.call("GET", "/systems")
    assert problem(answer, 500)["code"] == "internal"
    assert "hunter2" not in answer.text


def test_lists_come_in_pages(door: Door) -> None:
    for number in range(7):
        assert door.call("PUT", f"/systems/s{number}", system(f"s{number}")).status_code == 201
        door.catalog.record_error(None, None, f"code{number}", "m", "r", "manual")
    names: list[str] = []
    query = "?limit=3"
    while query:
        page = door.call("GET", f"/systems{query}").json or {}
        names += [item["metadata"]["name"] for item in page["items"]]
        query = f"?limit=3&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert names == [f"s{number}" for number in range(7)]
    first = door.call("GET", "/errors?limit=4").json or {}
    second = door.call("GET", f"/errors?limit=4&cursor={first['next_cursor']}").json or {}
    assert [item["code"] for item in [*first["items"], *second["items"]]] == [
        f"code{n}" for n in range(6, -1, -1)
    ]
    assert second["next_cursor"] is None


def test_operations_are_started_listed_shown_and_cancelled(full: Door) -> None:
    started = full.call("POST", "/sync-pairs/other/operations", {"kind": "full", "tables": ["cama.others"]})
    assert started.status_code == 202
    id = (started.json or {})["id"]
    assert started.headers["Location"] == f"/api/v1/operations/{id}"
    assert (started.json or {})["requested_by"] == "key:tester"
    assert (full.call("GET", f"/operations/{id}").json or {})["metrics"] == []
    assert [op["id"] for op in (full.call("GET", "/operations?pair=other").json or {})["items"]] == [id]
    page = full.call("GET", "/operations?limit=1").json or {}
    assert page["items"][0]["id"] == id
    rest = full.call("GET", f"/operations?limit=1&cursor={page['next_cursor']}").json or {}
    assert (rest["items"][0]["pair"], rest["next_cursor"]) == ("pacs-to-cama", None)
    limited = full.client.get(f"{API}/operations", headers=full.headers("read", ["pacs-to-cama"])).json or {}
    assert [op["pair"] for op in limited["items"]] == ["pacs-to-cama"]
    problem(
        full.call("POST", "/sync-pairs/other/operations", {"kind": "full", "tables": ["cama.parcels"]}), 422
    )
    problem(full.call("POST", "/sync-pairs/other/operations", {"kind": "repair"}), 422)
    assert full.call("POST", f"/operations/{id}/cancel").status_code == 202
    problem(full.call("POST", f"/operations/{id}/cancel"), 409)


def test_connectors_are_shown_without_secrets_and_restarted(full: Door) -> None:
    shown = full.call("GET", "/connectors/tf-pacs-1").json or {}
    assert (shown["system"], shown["tables"]) == ("pacs", ["public.parcel"])
    assert full.call("POST", "/connectors/tf-pacs-1/restart").status_code == 202
    assert full.engine.restarted == ["tf-pacs-1"]
    problem(full.call("POST", "/connectors/unknown/restart"), 404)


def test_metrics_count_requests_by_route(door: Door) -> None:
    door.call("GET", "/systems")
    text = door.client.get("/metrics").text
    assert (
        'http_request_duration_seconds_count{app="gateway",method="GET",route="/api/v1/systems",status="200"}'
        in text
    )
    assert "terrafusion_service_up 1.0" in text


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_openapi_document_is_whole(door: Door) -> None:
    spec: Json = door.client.get(f"{API}/openapi.json").json or {}
    assert spec["openapi"] == "3.1.0"
    documented = {
        (method.upper(), path.replace("{", "<").replace("}", ">"))
        for path, ops in spec["paths"].items()
        for method in ops
    }
    assert documented == {
        (method, rule) for (method, rule) in ROUTES if rule.startswith(API) and "openapi" not in rule
    } | {("GET", path) for path in ("/livez", "/readyz", "/healthz", "/metrics")}
    schemas = spec["components"]["schemas"]
    for reference in references(spec):
        assert reference.removeprefix("#/components/schemas/") in schemas, reference
    restart = spec["paths"][f"{API}/service/restart"]["post"]
    assert (restart["x-scope"], restart["security"]) == ("admin", [{"ApiKey": []}])


def csrf(page: TestResponse) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def test_the_overview_needs_a_session_and_shows_every_pair(full: Door) -> None:
    full.catalog.set_pair_state("other", "halted", "the key of <b>cama.others</b> is gone: add it")
    full.catalog.set_pair_status(
        "pacs-to-cama", {"lag_records": 1234, "lag_seconds": 2.5, "latency_p50_ms": 38}
    )
    refused = full.client.get("/")
    assert (refused.status_code, refused.headers["Location"]) == (303, "/sign-in")
    form = full.client.get("/sign-in")
    key = full.headers("read")["X-API-Key"]
    assert full.client.post("/sign-in", data={"key": key, "csrf": "wrong"}).status_code == 400
    wrong = {"key": "tf_wrong", "csrf": csrf(form)}
    assert full.client.post("/sign-in", data=wrong).status_code == 403
    signed = full.client.post("/sign-in", data={"key": key, "csrf": csrf(form)})
    assert (signed.status_code, signed.headers["Location"]) == (303, "/")
    cookie = signed.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    page = full.client.get("/")
    assert page.status_code == 200
    for shown in (
        "pacs-to-cama",
        "1,234",
        "2.5 s",
        "38 ms",
        "halted",
        "verify",
        "SyncService runs",
        "&lt;b&gt;",
    ):
        assert shown in page.text, shown
    assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert "style=" not in page.text
    full.state.gone()
    assert "SyncService is down" in full.client.get("/").text
    full.catalog.revoke_key(key.split("_")[1])
    assert full.client.get("/").status_code == 303


def test_a_session_opens_no_api_and_signing_out_ends_it(full: Door) -> None:
    key = full.headers("admin")["X-API-Key"]
    full.client.post("/sign-in", data={"key": key, "csrf": csrf(full.client.get("/sign-in"))})
    problem(full.client.get(f"{API}/systems"), 401)
    full.client.post("/sign-out", data={"csrf": "wrong"})
    page = full.client.get("/")
    assert page.status_code == 200
    full.client.post("/sign-out", data={"csrf": csrf(page)})
    assert full.client.get("/").status_code == 303


def test_a_limited_key_sees_its_pairs_on_the_page(full: Door) -> None:
    key = full.headers("read", ["other"])["X-API-Key"]
    full.client.post("/sign-in", data={"key": key, "csrf": csrf(full.client.get("/sign-in"))})
    page = full.client.get("/").text
    assert "other" in page
    assert "pacs-to-cama" not in page


def test_the_page_says_that_the_catalog_is_down_and_what_to_do_first(door: Door) -> None:
    key = door.headers("read")["X-API-Key"]
    door.client.post("/sign-in", data={"key": key, "csrf": csrf(door.client.get("/sign-in"))})
    assert "terrafusion apply -f" in door.client.get("/").text
    door.catalog.unavailable = True
    answer = door.client.get("/")
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "The catalog does not answer" in answer.text


def test_the_docs_page_loads_nothing_from_other_hosts(door: Door) -> None:
    page = door.client.get("/docs").text
    assert "/api/v1/sync-pairs/{name}/operations" in page
    assert "//" not in re.sub(r"<!doctype html>", "", page).replace("/api/v1//", "")
