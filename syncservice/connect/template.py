"""Fills in a connector template of `connect-configs/`.

Our placeholders are `${terrafusion:name}`; Connect's own (`${file:path:key}`) stay for Connect. A setting that is
nothing but a placeholder whose value is None is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_OURS = re.compile(r"\$\{terrafusion:([a-z_]+)\}")
_REGEX_SPECIAL = re.compile(r"([^\w])")


class TemplateError(Exception):
    """The template does not fit the values given to it, or a value tries to be a reference of Connect's."""

    code = "connector_template"
    retry = "never"
    remedy = "Mend the template in connect-configs/ or the system's manifest; the message names the setting."


def load(path: Path) -> dict[str, str]:
    """The template as setting → text."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TemplateError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise TemplateError(f"{path.name} must be an object of texts")
    return found


def fill(template: Mapping[str, str], values: Mapping[str, str | None]) -> dict[str, str]:
    """Setting → value with every `${terrafusion:…}` replaced.

    Values come from manifests, so one that holds `${` is refused: Connect would resolve it, and a host name of
    `${file:/etc/…}` would leak files.
    """
    for name, value in values.items():
        if value is not None and "${" in value:
            raise TemplateError(f"{name} must not contain '${{'")
    filled = {setting: _fill(setting, text, values) for setting, text in template.items()}
    return {setting: text for setting, text in filled.items() if text is not None}


def _fill(setting: str, text: str, values: Mapping[str, str | None]) -> str | None:
    names = _OURS.findall(text)
    if unknown := [name for name in names if name not in values]:
        raise TemplateError(f"{setting} asks for {unknown[0]}, which is not known")
    if any(values[name] is None for name in names):
        if _OURS.fullmatch(text):
            return None
        raise TemplateError(f"{setting} needs {', '.join(names)}")
    return _OURS.sub(lambda match: values[match[1]] or "", text)


def table_list(tables: Iterable[str]) -> str:
    r"""`table.include.list` for "schema.table" names: sorted, each escaped as a Java regular expression."""
    return ",".join(_REGEX_SPECIAL.sub(r"\\\1", table) for table in sorted(tables))
