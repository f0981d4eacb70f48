"""The kinds of things that `get` and `describe` know: how each is asked for and how it looks in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from terrafusion.cli.output import fail, moment
from terrafusion.client import ApiError, Client

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind. `columns` and `row`: its table; `empty`: what to say when there is none, with the next step."""

    name: str
    aliases: tuple[str, ...]
    list: Callable[[Client], list[Json]]
    one: Callable[[Client, str], Json]
    columns: Sequence[str]
    row: Callable[[Json], Sequence[Any]]
    empty: str


def _system_row(item: Json) -> Sequence[Any]:
    spec = item["spec"]
    where = f"{spec['host']}:{spec.get('port', 5432)}/{spec['database']}"
    return (item["metadata"]["name"], spec["kind"], where, spec["user"], item["version"])


def _pair_row(item: Json) -> Sequence[Any]:
    spec = item["spec"]
    name, way = item["metadata"]["name"], f"{spec['source']} → {spec['target']}"
    return (name, way, len(spec["tables"]), item["desired"], item["state"], item["reason"])


def operation_row(item: Json) -> Sequence[Any]:
    """id, pair, kind, state, who, when, what."""
    what = item["phase"] if item["state"] == "running" else (item["error"] or {}).get("message")
    when = moment(item["requested_at"])
    return (item["id"], item["pair"], item["kind"], item["state"], item["requested_by"], when, what)


def _connector_row(item: Json) -> Sequence[Any]:
    conditions = "; ".join(str(c.get("message") or c.get("name") or c) for c in item["conditions"])
    return (item["name"], item["system"], item["state"], len(item["tables"]), item["slot"], conditions)


def _error_row(item: Json) -> Sequence[Any]:
    return (
        item["id"],
        moment(item["last_at"]),
        item["count"],
        item["pair"],
        item["code"],
        item["message"],
        item["remedy"],
    )


def key_row(item: Json) -> Sequence[Any]:
    """id, name, scopes, pairs, state, last used."""
    state = (
        "revoked"
        if item["revoked_at"]
        else (f"until {moment(item['expires_at'])}" if item["expires_at"] else "valid")
    )
    pairs = ", ".join(item["pairs"]) if item["pairs"] else "all"
    return (item["id"], item["name"], ", ".join(item["scopes"]), pairs, state, moment(item["last_used_at"]))


def _among(list_all: Callable[[Client], list[Json]], what: str) -> Callable[[Client, str], Json]:
    def one(client: Client, name: str) -> Json:
        for item in list_all(client):
            if str(item["id"]) == name:
                return item
        raise ApiError({"status": 404, "detail": f"There is no {what} {name}."})

    return one


OPERATION_COLUMNS = ("id", "pair", "kind", "state", "requested by", "requested at (UTC)", "phase or error")
KEY_COLUMNS = ("id", "name", "scopes", "pairs", "state", "last used (UTC)")

_ALL = (
    Kind(
        "systems",
        ("system",),
        Client.systems,
        Client.system,
        ("name", "kind", "address", "user", "version >"),
        _system_row,
        "No system yet. Describe one in a manifest, then: terrafusion apply -f FILE",
    ),
    Kind(
        "pairs",
        ("pair", "sync-pairs", "sync-pair", "syncpairs", "syncpair"),
        Client.pairs,
        Client.pair,
        ("name", "way", "tables >", "desired", "state", "reason"),
        _pair_row,
        "No sync pair yet. Describe one in a manifest, then: terrafusion apply -f FILE",
    ),
    Kind(
        "operations",
        ("operation", "op", "ops"),
        Client.operations,
        Client.operation,
        OPERATION_COLUMNS,
        operation_row,
        "No operation yet. Start one: terrafusion sync full PAIR",
    ),
    Kind(
        "connectors",
        ("connector",),
        Client.connectors,
        Client.connector,
        ("name", "system", "state", "tables >", "slot", "conditions"),
        _connector_row,
        "No connector: they come and go with sync pairs.",
    ),
    Kind(
        "errors",
        ("error",),
        Client.errors,
        _among(Client.errors, "error"),
        ("id >", "last at (UTC)", "count >", "pair", "code", "message", "remedy"),
        _error_row,
        "No error.",
    ),
    Kind(
        "keys",
        ("key",),
        Client.keys,
        _among(Client.keys, "key"),
        KEY_COLUMNS,
        key_row,
        "No key.",
    ),
)
KINDS = tuple(kind.name for kind in _ALL)


def kind_named(name: str) -> Kind:
    """The kind of that name, singular or plural; exits with 2 for another."""
    wanted = name.lower()
    for kind in _ALL:
        if wanted == kind.name or wanted in kind.aliases:
            return kind
    raise fail(f"there is no kind {name!r}; the kinds are {', '.join(KINDS)}.", code=2)
