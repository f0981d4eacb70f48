"""What the OpenAPI document says beyond the routes: keys, scopes, and the one form of errors."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask

from catalog.problems import PROBLEM_TYPE
from gateway import shapes
from gateway.access import Access, access_of

Json = dict[str, Any]
_ERRORS = {
    "401": "The key is missing or not valid",
    "403": "The key's scope or pairs do not reach",
    "404": "There is no such thing",
    "409": "Its state forbids it",
    "412": "Somebody else has changed it (If-Match)",
    "413": "The body is larger than 1 MiB",
    "415": "The body is not declared as JSON",
    "422": "Not valid; `errors` holds every error with its path",
    "503": "The catalog or SyncService is down; see Retry-After",
    "504": "SyncService did not answer in time",
}
_READS = ("401", "403", "404", "422", "503")


def install(app: APIFlask) -> None:
    """Complete the document when it is made."""
    app.config["SECURITY_SCHEMES"] = {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False
    app.config["AUTO_404_RESPONSE"] = False
    app.config["AUTO_SERVERS"] = False
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.spec_callback = _complete


def _complete(document: Json | str) -> Json | str:
    if isinstance(document, str):
        raise TypeError("the document is asked for as JSON only")
    spec = document
    problem = shapes.Problem.model_json_schema()
    spec.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problem
    for path, operations in spec["paths"].items():
        rule = path.replace("{", "<").replace("}", ">")
        for method, operation in operations.items():
            _complete_operation(method, operation, access_of(method.upper(), rule))
    return spec


def _complete_operation(method: str, operation: Json, access: Access) -> None:
    operation["x-scope"] = access.scope if access.way == "key" else "none"
    if access.way == "key":
        operation["security"] = [{"ApiKey": []}]
    statuses = _READS if method == "get" else tuple(_ERRORS)
    if access.way != "key":
        statuses = ("503",)
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in statuses:
        operation["responses"].setdefault(status, {"description": _ERRORS[status], "content": content})
