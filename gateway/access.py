"""Who may do what: every route and its scope in one table. A route that is missing here stops the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flask import Flask

from catalog.records import Scope

Limit = Literal["pair", "filtered", "whole"]
Way = Literal["open", "key", "session", "metrics"]


@dataclass(frozen=True)
class Access:
    """What a route asks for.

    `way`: open to all, by API key, by the dashboard's session, or as the setting for metrics says. `limit` for keys
    limited to some pairs: "pair" – the pair in the address must be among them; "filtered" – the route shows only
    what belongs to them; "whole" – refused, since it concerns more than their pairs.
    """

    way: Way = "key"
    scope: Scope = "read"
    limit: Limit = "whole"


OPEN = Access(way="open")
PAGE = Access(way="session", limit="filtered")
READ = Access(limit="filtered")
READ_PAIR = Access(limit="pair")
OPERATE = Access(scope="operate")
OPERATE_PAIR = Access(scope="operate", limit="pair")
OPERATE_OWN = Access(scope="operate", limit="filtered")
ADMIN = Access(scope="admin")

API = "/api/v1"
PAIR = f"{API}/sync-pairs/<name>"

ROUTES: Mapping[tuple[str, str], Access] = {
    ("GET", "/livez"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/healthz"): OPEN,
    ("GET", "/metrics"): Access(way="metrics"),
    ("GET", "/docs"): OPEN,
    ("GET", f"{API}/openapi.json"): OPEN,
    ("GET", f"{API}/service"): READ,
    ("POST", f"{API}/service/restart"): ADMIN,
    ("GET", f"{API}/systems"): READ,
    ("GET", f"{API}/systems/<name>"): READ,
    ("PUT", f"{API}/systems/<name>"): OPERATE,
    ("DELETE", f"{API}/systems/<name>"): OPERATE,
    ("POST", f"{API}/systems/<name>/check"): OPERATE,
    ("GET", f"{API}/sync-pairs"): READ,
    ("GET", PAIR): READ_PAIR,
    ("PUT", PAIR): OPERATE_PAIR,
    ("DELETE", PAIR): OPERATE_PAIR,
    ("POST", f"{PAIR}/validate"): OPERATE_PAIR,
    ("POST", f"{PAIR}/pause"): OPERATE_PAIR,
    ("POST", f"{PAIR}/resume"): OPERATE_PAIR,
    ("GET", f"{PAIR}/status"): READ_PAIR,
    ("POST", f"{PAIR}/operations"): OPERATE_PAIR,
    ("GET", f"{API}/operations"): READ,
    ("GET", f"{API}/operations/<id>"): READ,
    ("POST", f"{API}/operations/<id>/cancel"): OPERATE_OWN,
    ("GET", f"{API}/connectors"): READ,
    ("GET", f"{API}/connectors/<name>"): READ,
    ("POST", f"{API}/connectors/<name>/restart"): OPERATE,
    ("GET", f"{API}/errors"): READ,
    ("GET", f"{API}/keys"): ADMIN,
    ("POST", f"{API}/keys"): ADMIN,
    ("DELETE", f"{API}/keys/<id>"): ADMIN,
    ("GET", "/"): PAGE,
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): OPEN,
    ("POST", "/sign-out"): OPEN,
    ("GET", "/static/<path:filename>"): OPEN,
}


def access_of(method: str, rule: str) -> Access:
    """What a request to an existing route asks for (HEAD as GET)."""
    return ROUTES["GET" if method == "HEAD" else method, rule]


def check_routes(app: Flask, routes: Mapping[tuple[str, str], Access] = ROUTES) -> None:
    """Raise RuntimeError unless the app's routes and the table are the same."""
    served = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    unscoped, unserved = sorted(served - set(routes)), sorted(set(routes) - served)
    if unscoped or unserved:
        raise RuntimeError(
            f"gateway/access.py and the routes differ: without a scope {unscoped}, without a route {unserved}"
        )
