"""The demo's view of the REST API, against answers that the gateway can give."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx
from rich.console import Console

from terrafusion.demo import pair
from terrafusion.demo.errors import DemoError
from terrafusion.demo.manifests import PAIR
from terrafusion.demo.product import Operation, Product, problem_text
from terrafusion.demo.screen import Screen, show_operation

API = "http://gateway.test/api/v1"
QUEUED = {
    "id": "7",
    "kind": "verify",
    "state": "queued",
    "phase": None,
    "progress": None,
    "result": None,
    "error": None,
}
DONE = {**QUEUED, "state": "succeeded", "result": {"equal": True}}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=API) as router:
        yield router


@pytest.fixture
def demo_product() -> Product:
    return Product("http://gateway.test", "tf_a_b")


def test_a_manifest_is_put_at_its_kinds_address_with_the_key(
    api: respx.MockRouter, demo_product: Product
) -> None:
    route = api.put("/systems/pacs").respond(201, json={})
    demo_product.apply({"kind": "System", "metadata": {"name": "pacs"}})
    assert route.calls.last.request.headers["X-API-Key"] == "tf_a_b"


def test_503_and_lost_connections_are_tried_again(api: respx.MockRouter, demo_product: Product) -> None:
    api.get("/sync-pairs/pacs-to-cama").mock(
        side_effect=[
            httpx.Response(503),
            httpx.ConnectError("refused"),
            httpx.Response(200, json={"state": "running"}),
        ]
    )
    assert demo_product.pair("pacs-to-cama") == {"state": "running"}


def test_a_request_that_may_have_been_done_is_not_sent_twice(
    api: respx.MockRouter, demo_product: Product
) -> None:
    route = api.post("/sync-pairs/p/operations").mock(side_effect=httpx.ReadTimeout("lost"))
    with pytest.raises(DemoError, match="does not answer"):
        demo_product.start("p", "verify")
    assert route.call_count == 1


def test_an_operation_is_followed_until_it_succeeds(api: respx.MockRouter, demo_product: Product) -> None:
    api.post("/sync-pairs/p/operations").respond(202, headers={"Location": "/api/v1/operations/7"})
    api.get("/operations/7").mock(
        side_effect=[httpx.Response(200, json=QUEUED), httpx.Response(200, json=DONE)]
    )
    seen: list[str] = []
    operation = demo_product.follow(
        demo_product.start("p", "verify"), 5, lambda found: seen.append(found.state)
    )
    assert operation.result == {"equal": True}
    assert seen == ["queued", "succeeded"]


def test_a_failed_operation_ends_the_demo_with_its_remedy(demo_product: Product) -> None:
    failed = {
        **QUEUED,
        "state": "failed",
        "error": {"code": "x", "message": "slot lost", "remedy": "full sync"},
    }
    with pytest.raises(DemoError, match=r"slot lost\nWhat to do: full sync"):
        demo_product.follow(Operation.of(failed), 5)


def test_an_operation_that_never_ends_is_given_up(api: respx.MockRouter, demo_product: Product) -> None:
    with pytest.raises(DemoError, match="has not finished"):
        demo_product.follow(Operation.of(QUEUED), -1)


def test_a_refused_manifest_shows_every_error() -> None:
    answer = httpx.Response(
        422,
        json={
            "title": "Bad",
            "detail": "two",
            "errors": [{"path": "a", "message": "b", "allowed": "c"}, {"path": "d"}],
        },
    )
    assert problem_text(answer) == "422 Bad; two; a b c; d"
    assert problem_text(httpx.Response(502, text="<html>")) == "502 <html>"


def test_pairs_of_others_on_the_demo_databases_are_refused(
    api: respx.MockRouter, demo_product: Product
) -> None:
    mine = {"metadata": {"name": "mine"}, "spec": {"source": "pacs", "target": "gis"}}
    far = {"metadata": {"name": "far"}, "spec": {"source": "erp", "target": "gis"}}
    api.get("/sync-pairs").respond(json={"items": [mine, far]})
    with pytest.raises(DemoError, match="mine"):
        pair.refuse_other_pairs(demo_product)
    api.get("/sync-pairs").respond(
        json={"items": [far, {"metadata": {"name": PAIR}, "spec": {"source": "pacs"}}]}
    )
    pair.refuse_other_pairs(demo_product)


def test_the_first_full_sync_is_not_one_of_an_earlier_run(
    api: respx.MockRouter, demo_product: Product
) -> None:
    old, new = {**DONE, "id": "1", "kind": "full"}, {**QUEUED, "id": "2", "kind": "full"}
    api.get("/operations").mock(
        side_effect=[httpx.Response(200, json={"items": items}) for items in ([old], [old, new])]
    )
    api.get("/sync-pairs/pacs-to-cama").respond(json={"state": "preparing", "reason": None})
    with Screen(Console(quiet=True)).step("x") as step:
        found = pair.first_full_operation(demo_product, {"1"}, 5, step)
        assert found.id == "2"
        assert step.outcome == "pair is preparing"
        show_operation(step, found)


def test_a_halted_pair_ends_the_wait(api: respx.MockRouter, demo_product: Product) -> None:
    api.get("/sync-pairs/pacs-to-cama").respond(json={"state": "halted", "reason": "no publication"})
    with Screen(Console(quiet=True)).step("x") as step, pytest.raises(DemoError, match="no publication"):
        pair.wait_until_running(demo_product, step)


def test_removing_waits_until_the_pair_is_gone(api: respx.MockRouter, demo_product: Product) -> None:
    api.delete("/sync-pairs/pacs-to-cama").respond(202)
    look = api.get("/sync-pairs/pacs-to-cama").mock(
        side_effect=[httpx.Response(200, json={"state": "deleting"}), httpx.Response(404, json={})]
    )
    with Screen(Console(quiet=True)).step("x") as step:
        pair.remove_pair(demo_product, step)
    assert look.call_count == 2
