"""YAML for people who know SQL, not YAML: no duplicate keys, no anchors, and `no`, `on` and dates stay text."""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_BYTES = 1_048_576


class DocumentError(Exception):
    """The text is no usable YAML; `path` is `line N, column M` or empty."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's core types only."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (pyyaml's own hook, replaced and not shared)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, "anchors and aliases are not supported; write the value out", mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} appears twice", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


for _tag, _regexp, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^[-+]?[0-9]{1,18}$", list("-+0123456789")),
    ("float", r"^[-+]?[0-9]{1,18}\.[0-9]{1,18}$", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_regexp), _first)


def load_documents(text: str) -> list[Any]:
    """Every non-empty YAML document of `text` as plain Python values. Raises DocumentError, nothing else."""
    if len(text) > MAX_BYTES:
        raise DocumentError("", f"the manifest is larger than {MAX_BYTES} characters; split it")
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        path = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise DocumentError(path, error.problem or "not valid YAML") from None
    except yaml.YAMLError as error:
        raise DocumentError("", f"not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise DocumentError("", "the manifest is nested too deeply") from None
    except (ValueError, TypeError, OverflowError, LookupError, AttributeError):
        raise DocumentError("", "a tagged value (!!…) cannot be read; write plain values") from None
    return [document for document in documents if document is not None]
