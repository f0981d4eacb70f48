"""How a route is declared: the one place that touches APIFlask's untyped decorators.

A handler gets its path parameters, and what was declared as `query` or `body` as a validated model of that name; it
answers with a `Response`. `answers` only documents, so a read costs no second validation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from apiflask import APIBlueprint
from apiflask.schema_adapters import registry
from apiflask.schema_adapters.pydantic import PydanticAdapter
from flask import Request, Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from catalog.manifest import ManifestProblem
from catalog.names import format_path
from catalog.problems import ProblemError, invalid

View = TypeVar("View", bound=Callable[..., Response])
Model = type[BaseModel]


class StrictAdapter(PydanticAdapter):
    """APIFlask's adapter for pydantic with our errors: every one with its path, and 415 for what is not JSON."""

    def validate_input(self, request: Request, location: str, **kwargs: Any) -> BaseModel:
        """The model from the query or from the JSON body. Raises ProblemError and UnsupportedMediaType."""
        data = json_body() if location == "json" else request.args.to_dict()
        try:
            model: BaseModel = self.model_class.model_validate(data)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            raise invalid([ManifestProblem(format_path(e["loc"]), e["msg"]) for e in found]) from None
        return model


registry.register("pydantic", StrictAdapter)


def json_body() -> Any:
    """The request's JSON. Raises 415 unless it is declared as JSON, 422 when it cannot be read."""
    if not request.is_json:
        raise UnsupportedMediaType
    return parse_json(request.get_data())


def parse_json(raw: bytes) -> Any:
    """The value of a JSON text. Raises ProblemError (422)."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ProblemError(422, "invalid_json", "The body is not valid JSON.") from None


def endpoint(
    blueprint: APIBlueprint,
    method: str,
    rule: str,
    *,
    summary: str,
    answers: Model | None = None,
    status: int = 200,
    query: Model | None = None,
    body: Model | None = None,
    documented_body: Model | None = None,
) -> Callable[[View], View]:
    """Declare a route. `documented_body`: the body's shape where the handler reads it itself."""

    def declare(view: View) -> View:
        handler: Any = view
        if answers is not None:
            handler = blueprint.output(answers, status_code=status)(handler)
        if body is not None:
            handler = blueprint.input(body, location="json", arg_name="body")(handler)
        if query is not None:
            handler = blueprint.input(query, location="query", arg_name="query")(handler)
        handler = blueprint.doc(summary=summary, description=(view.__doc__ or "").strip())(handler)
        if documented_body is not None:
            handler._spec |= {"body": documented_body, "content_type": "application/json"}
        if answers is None and status != 200:
            handler._spec["responses"] = {status: "Done"}
        blueprint.route(rule, methods=[method], endpoint=f"{method.lower()}_{view.__name__}")(handler)
        return view

    return declare
