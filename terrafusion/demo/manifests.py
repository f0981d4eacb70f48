"""The demo's manifests: the YAML beside this file with addresses and password files filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import yaml
from psycopg.conninfo import conninfo_to_dict

from terrafusion.demo.databases import password_file

PAIR = "pacs-to-cama"
SYSTEMS = ("pacs", "cama")


@dataclass(frozen=True)
class MappedTable:
    """One table of the pair. `columns` maps target column → source column, in the target's order of the manifest."""

    source: str
    target: str
    key: tuple[str, ...]
    columns: Mapping[str, str]


def template() -> str:
    """The YAML text with `$names` still in it."""
    return files("terrafusion.demo").joinpath("pacs-to-cama.yaml").read_text(encoding="utf-8")


def manifest_text(source_dsn: str, target_dsn: str, secrets_folder: Path) -> str:
    """The three documents (System pacs, System cama, SyncPair pacs-to-cama) as `terrafusion apply -f` takes them."""
    source, target = conninfo_to_dict(source_dsn), conninfo_to_dict(target_dsn)
    return Template(template()).substitute(
        source_host=json.dumps(source.get("host") or "127.0.0.1"),
        source_port=source.get("port") or 5432,
        source_password_file=json.dumps(str(password_file(secrets_folder, "pacs"))),
        target_host=json.dumps(target.get("host") or "127.0.0.1"),
        target_port=target.get("port") or 5432,
        target_password_file=json.dumps(str(password_file(secrets_folder, "cama"))),
    )


def documents(text: str) -> list[dict[str, Any]]:
    """The manifests of a YAML text, one dictionary a document."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


def mapped_tables() -> tuple[MappedTable, ...]:
    """The four tables of the pair, read from the template so that nothing else repeats the mapping."""
    pair = next(document for document in documents(template()) if document["kind"] == "SyncPair")
    return tuple(
        MappedTable(table["from"], table["to"], tuple(table["key"]), table["columns"])
        for table in pair["spec"]["tables"]
    )
