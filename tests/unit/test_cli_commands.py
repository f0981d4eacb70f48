"""The CLI against a gateway that answers from a script."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import yaml
from typer.main import get_command
from typer.testing import CliRunner, Result

from terrafusion.cli import app
from terrafusion.cli.config import address
from terrafusion.client import ApiError, Client, Unreachable

Json = dict[str, Any]
URL = "http://gateway.test"
ID = "00000000-0000-0000-0000-000000000001"
PAIR = {
    "apiVersion": "terrafusion/v1",
    "kind": "SyncPair",
    "metadata": {"name": "pacs-to-cama"},
    "spec": {"source": "pacs", "target": "cama", "tables": [{"from": "public.parcel", "to": "cama.parcels"}]},
}
SYSTEM = {
    "apiVersion": "terrafusion/v1",
    "kind": "System",
    "metadata": {"name": "pacs"},
    "spec": {"kind": "postgresql", "host": "h", "database": "d", "user": "u", "password": {"env": "PW"}},
}
FOUND_PAIR = PAIR | {"version": 1, "desired": "running", "state": "running", "reason": None}
OPERATION: Json = {
    "id": ID,
    "pair": "pacs-to-cama",
    "kind": "verify",
    "tables": [],
    "state": "succeeded",
    "requested_by": "key:ops",
    "requested_at": "2026-01-31T12:00:00.000Z",
    "phase": "",
    "progress": {},
    "result": {},
    "error": None,
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("TERRAFUSION_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERRAFUSION_URL", URL)
    monkeypatch.setenv("TERRAFUSION_API_KEY", "tf_test")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def gateway() -> Any:
    with respx.mock(base_url=f"{URL}/api/v1", assert_all_called=False) as router:
        yield router


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def problem(status: int, code: str, detail: str, errors: list[Json] | None = None) -> httpx.Response:
    body = {"status": status, "code": code, "detail": detail, "errors": errors or [], "trace_id": "trace-1"}
    return httpx.Response(status, json=body)


def page(*items: Json, cursor: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"items": list(items), "next_cursor": cursor, "stale": False, "age_s": 0})


def manifest(tmp_path: Path, *documents: Json) -> str:
    file = tmp_path / "county.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


def test_apply_sends_systems_first_and_says_what_happened(gateway: respx.Router, tmp_path: Path) -> None:
    sent: list[str] = []

    def answer(outcome: str) -> Callable[[httpx.Request], httpx.Response]:
        def respond(request: httpx.Request) -> httpx.Response:
            sent.append(request.url.path)
            assert request.headers["X-API-Key"] == "tf_test"
            return httpx.Response(200, json={"outcome": outcome})

        return respond

    gateway.put("/systems/pacs").mock(side_effect=answer("unchanged"))
    pair = gateway.put("/sync-pairs/pacs-to-cama").mock(side_effect=answer("created"))
    result = run("apply", "-f", manifest(tmp_path, PAIR, SYSTEM))
    assert result.exit_code == 0, result.output
    assert sent == ["/api/v1/systems/pacs", "/api/v1/sync-pairs/pacs-to-cama"]
    assert json.loads(pair.calls[0].request.content) == PAIR
    assert re.search(r"SyncPair\s+pacs-to-cama\s+created", result.stdout)
    assert re.search(r"System\s+pacs\s+unchanged", result.stdout)


def test_apply_reads_standard_input_and_folders(gateway: respx.Router, tmp_path: Path) -> None:
    gateway.put("/systems/pacs").respond(json={"outcome": "created"})
    result = run("apply", "-f", "-", "-o", "json", stdin=yaml.safe_dump(SYSTEM))
    assert json.loads(result.stdout) == {"items": [{"kind": "System", "name": "pacs", "outcome": "created"}]}
    folder = tmp_path / "manifests"
    folder.mkdir()
    assert run("apply", "-f", str(folder)).exit_code == 2
    (folder / "a.yaml").write_text(yaml.safe_dump(SYSTEM))
    (folder / "notes.txt").write_text("not a manifest: [")
    assert run("apply", "-f", str(folder)).exit_code == 0


def test_apply_refuses_whole_with_every_error_of_every_file(gateway: respx.Router, tmp_path: Path) -> None:
    route = gateway.put("/systems/pacs").respond(json={"outcome": "created"})
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(PAIR | {"spec": {"source": "X", "target": "cama", "tables": []}}))
    result = run("apply", "-f", manifest(tmp_path, SYSTEM), "-f", str(wrong), "-f", "missing.yaml")
    assert result.exit_code == 1
    assert "3 errors" in result.stderr
    for shown in ("spec.source: is not a name", "spec.tables: is empty", "missing.yaml"):
        assert shown in result.stderr
    assert not route.called


def test_apply_prints_every_error_that_the_server_found(gateway: respx.Router, tmp_path: Path) -> None:
    errors = [
        {"path": "spec.tables[0].from", "message": "has no primary key", "allowed": "a table with a key"},
        {"path": "spec.target", "message": "makes a cycle", "allowed": ""},
    ]
    gateway.put("/sync-pairs/pacs-to-cama").mock(return_value=problem(422, "manifest_invalid", "…", errors))
    result = run("apply", "-f", manifest(tmp_path, PAIR))
    assert result.exit_code == 1
    assert "spec.tables[0].from: has no primary key (allowed: a table with a key)" in result.stderr
    assert "spec.target: makes a cycle" in result.stderr


def test_a_syncservice_that_is_starting_is_waited_for(gateway: respx.Router, tmp_path: Path) -> None:
    down = problem(503, "syncservice_unavailable", "not running")
    gateway.put("/systems/pacs").mock(
        side_effect=[down, down, httpx.Response(201, json={"outcome": "created"})]
    )
    result = run("apply", "-f", manifest(tmp_path, SYSTEM))
    assert result.exit_code == 0
    assert result.stderr.count("waiting for it") == 1


@pytest.mark.parametrize("kind", ["pairs", "pair", "sync-pairs", "SyncPair"])
def test_get_lists_and_shows(gateway: respx.Router, kind: str) -> None:
    gateway.get("/sync-pairs", params={"cursor": "next"}).mock(return_value=page(FOUND_PAIR))
    gateway.get("/sync-pairs").mock(return_value=page(FOUND_PAIR, cursor="next"))
    gateway.get("/sync-pairs/pacs-to-cama").respond(json=FOUND_PAIR)
    assert run("get", kind).stdout.count("pacs-to-cama") == 2
    shown = yaml.safe_load(run("get", kind, "pacs-to-cama", "-o", "yaml").stdout)
    assert shown["metadata"]["name"] == "pacs-to-cama"
    assert len(json.loads(run("get", kind, "-o", "json").stdout)["items"]) == 2


def test_empty_lists_teach_the_next_step(gateway: respx.Router) -> None:
    gateway.get(path__regex=r".*/(systems|sync-pairs|operations|connectors|errors)$").mock(
        return_value=page()
    )
    for command in (("get", "systems"), ("get", "pairs"), ("status",)):
        result = run(*command)
        assert result.exit_code == 0
        assert "terrafusion apply -f" in result.output
    assert "terrafusion sync full PAIR" in run("operations", "list").stderr


def test_an_unknown_kind_is_a_usage_error(gateway: respx.Router) -> None:
    result = run("get", "pods")
    assert result.exit_code == 2
    assert "systems, pairs, operations, connectors, errors, keys" in result.stderr
    assert run("delete", "operation", "x").exit_code == 2
    assert run("nonsense").exit_code == 2


def test_delete_waits_until_the_pair_is_gone(gateway: respx.Router) -> None:
    gateway.delete("/sync-pairs/pacs-to-cama").respond(202, json=FOUND_PAIR)
    gone = problem(404, "not_found", "There is no sync pair")
    gateway.get("/sync-pairs/pacs-to-cama").mock(side_effect=[httpx.Response(200, json=FOUND_PAIR), gone])
    result = run("delete", "pair", "pacs-to-cama", "--wait")
    assert (result.exit_code, "is deleted" in result.stderr) == (0, True)
    gateway.delete("/systems/pacs").respond(204)
    assert run("delete", "system", "pacs").exit_code == 0


def test_a_full_sync_is_waited_for_and_its_counts_shown(gateway: respx.Router) -> None:
    queued = OPERATION | {"kind": "full", "state": "queued"}
    running = queued | {
        "state": "running",
        "phase": "replay",
        "progress": {"rows_done": 500, "rows_total": 1000},
    }
    counts = {
        "table": "cama.parcels",
        "read": 1000,
        "inserted": 990,
        "updated": 10,
        "deleted": 0,
        "unchanged": 0,
    }
    result_of = {
        "way": "replay",
        "why": "the topic is complete",
        "tables": [counts | {"seconds": 1.5, "rows_per_s": 666.0}],
    }
    done = queued | {"state": "succeeded", "result": result_of}
    started = gateway.post("/sync-pairs/pacs-to-cama/operations").respond(202, json=queued)
    gateway.get(f"/operations/{ID}").mock(
        side_effect=[
            httpx.Response(200, json=running),
            problem(503, "catalog_unavailable", "down"),
            httpx.Response(200, json=done),
        ]
    )
    result = run("sync", "full", "pacs-to-cama", "--table", "cama.parcels", "--wait")
    assert result.exit_code == 0, result.output
    assert json.loads(started.calls[0].request.content) == {"kind": "full", "tables": ["cama.parcels"]}
    assert "500 of 1,000 rows" in result.stderr
    assert "By replay (the topic is complete)" in result.stdout
    assert re.search(r"cama.parcels\s+1,000\s+990\s+10\s+0\s+0\s+1.5 s\s+666", result.stdout)


def test_a_failed_operation_says_why_and_exits_with_1(gateway: respx.Router) -> None:
    error = {"code": "refused", "message": "The pair is paused.", "remedy": "Resume it."}
    failed = OPERATION | {"kind": "incremental", "state": "failed", "error": error}
    gateway.post("/sync-pairs/pacs-to-cama/operations").respond(202, json=failed)
    gateway.get(f"/operations/{ID}").respond(json=failed)
    result = run("sync", "incremental", "pacs-to-cama", "--wait")
    assert result.exit_code == 1
    assert "The pair is paused. Resume it." in result.stderr
    shown = run("sync", "incremental", "pacs-to-cama", "--wait", "-o", "json")
    assert (shown.exit_code, json.loads(shown.stdout)["error"]) == (1, error)


def test_without_wait_the_operation_is_named(gateway: respx.Router) -> None:
    gateway.post("/sync-pairs/pacs-to-cama/operations").respond(202, json=OPERATION | {"state": "queued"})
    result = run("sync", "full", "pacs-to-cama")
    assert (result.exit_code, ID in result.stderr) == (0, True)


def verified(differences: list[Json]) -> Json:
    table = {
        "table": "cama.parcels",
        "rows_source": 10,
        "rows_target": 10,
        "missing": 0,
        "extra": 0,
        "different": len(differences),
        "differences": differences,
    }
    return OPERATION | {"result": {"equal": not differences, "tables": [table]}}


def test_verify_of_equal_sides_exits_with_0(gateway: respx.Router) -> None:
    gateway.post("/sync-pairs/pacs-to-cama/operations").respond(202, json=OPERATION | {"state": "queued"})
    gateway.get(f"/operations/{ID}").respond(json=verified([]))
    result = run("verify", "pacs-to-cama")
    assert (result.exit_code, "equal" in result.stdout) == (0, True)


def test_verify_names_the_row_and_both_values_and_exits_with_1(gateway: respx.Router) -> None:
    differences = [
        {
            "key": {"parcel_number": "A-17"},
            "kind": "different",
            "columns": {"owner": ["Ödön", "x"], "note": [None, "y"]},
        },
        {"key": {"parcel_number": "A-18"}, "kind": "missing", "columns": {}},
    ]
    gateway.post("/sync-pairs/pacs-to-cama/operations").respond(202, json=OPERATION | {"state": "queued"})
    gateway.get(f"/operations/{ID}").respond(json=verified(differences))
    result = run("verify", "pacs-to-cama")
    assert result.exit_code == 1
    assert re.search(r"cama.parcels\s+parcel_number=A-17\s+different\s+owner\s+Ödön\s+x", result.stdout)
    assert re.search(r"note\s+NULL\s+y", result.stdout)
    assert re.search(r"cama.parcels\s+parcel_number=A-18\s+missing\s+present\s+absent", result.stdout)
    shown = run("verify", "pacs-to-cama", "-o", "json")
    assert (shown.exit_code, json.loads(shown.stdout)["result"]["equal"]) == (1, False)


def test_status_shows_pairs_and_tables(gateway: respx.Router) -> None:
    table = {
        "table": "cama.parcels",
        "state": "running",
        "records": 1234,
        "lag_records": 0,
        "lag_seconds": 0.04,
    }
    status = {
        "pair": "pacs-to-cama",
        "source": "pacs",
        "target": "cama",
        "desired": "running",
        "state": "halted",
        "reason": "a key is gone: add it",
        "freshness": {"met": False, "objective_s": 60, "lag_seconds": 0.04},
        "tables": [table],
        "lag_records": 0,
        "lag_seconds": 0.04,
        "latency_p50_ms": 38,
        "latency_p99_ms": None,
        "last_operation": OPERATION,
        "stale": True,
        "age_s": 61.0,
    }
    gateway.get("/sync-pairs").mock(return_value=page(FOUND_PAIR))
    gateway.get("/sync-pairs/pacs-to-cama/status").respond(json=status)
    listed = run("status").stdout
    for shown in (
        "pacs-to-cama",
        "halted",
        "late",
        "40 ms",
        "38 ms",
        "verify succeeded",
        "a key is gone",
        "Stale",
    ):
        assert shown in listed
    one = run("status", "pacs-to-cama").stdout
    assert "cama.parcels" in one
    assert "1,234" in one
    assert json.loads(run("status", "pacs-to-cama", "-o", "json").stdout) == status


def test_operations_connectors_pause_and_resume(gateway: respx.Router) -> None:
    gateway.get("/operations").mock(return_value=page(OPERATION))
    gateway.get(f"/operations/{ID}").respond(json=OPERATION)
    gateway.post(f"/operations/{ID}/cancel").respond(202, json=OPERATION | {"state": "running"})
    connector = {"name": "tf-pacs-1", "system": "pacs", "state": "running", "tables": ["a.b"], "slot": "s",
                 "conditions": [{"name": "slot", "message": "the slot is lost"}]}  # fmt: skip
    gateway.get("/connectors").mock(return_value=page(connector))
    gateway.post("/connectors/tf-pacs-1/restart").respond(202, json={})
    gateway.post("/sync-pairs/pacs-to-cama/pause").respond(202, json=FOUND_PAIR)
    gateway.post("/sync-pairs/pacs-to-cama/resume").respond(202, json=FOUND_PAIR)
    assert ID in run("operations", "list", "--limit", "1").stdout
    assert yaml.safe_load(run("operations", "show", ID).stdout)["id"] == ID
    assert "being cancelled" in run("operations", "cancel", ID).stderr
    assert "the slot is lost" in run("connectors", "list").stdout
    assert run("connectors", "restart", "tf-pacs-1").exit_code == 0
    assert run("pause", "pacs-to-cama").exit_code == 0
    assert run("resume", "pacs-to-cama").exit_code == 0


def test_keys_are_shown_once_and_expire_when_asked(gateway: respx.Router) -> None:
    made = {"id": "k1", "key": "tf_k1_secret", "scopes": ["operate"]}
    route = gateway.post("/keys").respond(201, json=made)
    result = run("keys", "create", "ops", "--scope", "operate", "--pair", "a", "--expires", "90d")
    assert result.stdout == "tf_k1_secret\n"
    body = json.loads(route.calls[0].request.content)
    assert (body["scopes"], body["pairs"]) == (["operate"], ["a"])
    assert re.match(r"\d{4}-\d\d-\d\dT.*\+00:00$", body["expires_at"])
    assert run("keys", "create", "ops", "--expires", "soon").exit_code == 2
    listed = {"id": "k1", "name": "ops", "scopes": ["operate"], "pairs": None, "expires_at": None,
              "revoked_at": "2026-01-31T00:00:00Z", "last_used_at": None}  # fmt: skip
    gateway.get("/keys").mock(return_value=page(listed))
    assert "revoked" in run("keys", "list").stdout
    gateway.delete("/keys/k1").respond(json=listed)
    assert run("keys", "revoke", "k1").exit_code == 0


def test_errors_name_the_fix(gateway: respx.Router, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.get("/systems").mock(side_effect=httpx.ConnectError("refused"))
    result = run("get", "systems")
    assert result.exit_code == 1
    assert f"Nobody answers at {URL}. Run `terrafusion stack up`" in result.stderr
    gateway.get("/systems").mock(
        side_effect=None, return_value=httpx.Response(502, text="<html>proxy</html>")
    )
    assert "not like a TerraFusion gateway" in run("get", "systems").stderr
    gateway.get("/systems").mock(return_value=problem(500, "internal", "It failed."))
    assert "trace id trace-1" in run("get", "systems").stderr
    monkeypatch.delenv("TERRAFUSION_API_KEY")
    gateway.get("/systems").mock(return_value=problem(401, "key_missing", "Send an API key."))
    assert "TERRAFUSION_API_KEY" in run("get", "systems").stderr


def test_every_command_shows_an_example() -> None:
    def walk(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        inner = getattr(command, "commands", None)
        if not inner:
            return [path]
        return [found for name, sub in inner.items() for found in walk(sub, (*path, name))]

    paths = [path for path in walk(get_command(app), ()) if path[0] not in ("stack", "demo")]
    assert len(paths) >= 18
    for path in paths:
        text = run(*path, "--help").stdout
        assert "Example: terrafusion " + " ".join(path) in " ".join(text.split()), path


def test_server_and_key_come_from_the_nearest_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TERRAFUSION_URL")
    monkeypatch.delenv("TERRAFUSION_API_KEY")
    assert (address(None, None).url, address(None, None).key) == ("http://127.0.0.1:5000", "")
    folder = tmp_path / ".terrafusion"
    folder.mkdir()
    (folder / "env.json").write_text(
        json.dumps({"TERRAFUSION_URL": "http://stack:1", "TERRAFUSION_API_KEY": "tf_stack"})
    )
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert (address(None, None).url, address(None, None).key) == ("http://stack:1", "tf_stack")
    assert address("http://other:2/", None).key == ""
    assert address("http://other:2/", "tf_mine").key == "tf_mine"
    monkeypatch.setenv("TERRAFUSION_URL", "http://env:3")
    assert (address(None, None).url, address(None, None).key) == ("http://env:3", "")
    monkeypatch.delenv("TERRAFUSION_URL")
    monkeypatch.setenv("TERRAFUSION_HOME", str(tmp_path / "elsewhere"))
    assert address(None, None).key == ""


def test_the_client_pages_waits_and_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(str(request.url))
        if request.url.path.endswith("/errors"):
            last = "cursor=" in str(request.url)
            return page({"id": 1}, {"id": 2}, cursor=None if last else "more")
        if request.url.path.endswith("/systems"):
            raise httpx.ReadTimeout("slow")
        return problem(503, "syncservice_unavailable", "down")

    with Client("http://x/", "k", patience=0.0, transport=httpx.MockTransport(answer)) as client:
        assert [item["id"] for item in client.errors(limit=3)] == [1, 2, 1]
        assert "limit=1" in calls[1]
        with pytest.raises(Unreachable, match="broke off"):
            client.systems()
        with pytest.raises(ApiError, match="down"):
            client.pause("a/b")
        assert calls[-1].endswith("/sync-pairs/a%2Fb/pause")
        with pytest.raises(ApiError, match="down"):
            client.wait(ID)
