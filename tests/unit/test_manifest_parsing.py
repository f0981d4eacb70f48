"""Manifests: what is read, what is refused, and that every error comes at once with its path."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog.manifest import (
    ManifestError,
    SecretError,
    SecretRef,
    SyncPair,
    SyncPairSpec,
    System,
    SystemSpec,
    TableSpec,
    parse_document,
    parse_documents,
)
from catalog.names import format_duration, parse_duration

SYSTEM = """
apiVersion: terrafusion/v1
kind: System
metadata: {name: pacs}
spec: {kind: postgresql, host: localhost, database: pacs, user: cdc, password: {env: PACS_PASSWORD}}
"""
PAIR = """
apiVersion: terrafusion/v1
kind: SyncPair
metadata: {name: pacs-to-cama}
spec:
  source: pacs
  target: cama
  freshness: 5m
  tables:
    - from: public.parcel
      to: cama.parcels
      key: [parcel_number]
      columns: {parcel_number: apn, owner: owner_name, Größe: land_area, on: no}
"""


def problems(text: str) -> dict[str, str]:
    """Path → message and what is allowed, of a manifest that must be refused."""
    with pytest.raises(ManifestError) as caught:
        parse_documents(text)
    return {problem.path: f"{problem.message} | {problem.allowed}" for problem in caught.value.errors}


def changed(**spec: Any) -> str:
    """The pair's manifest with other fields in its spec."""
    document = yaml.load(PAIR, Loader=yaml.BaseLoader)
    document["spec"] |= spec
    return json.dumps(document)


def changed_table(**fields: Any) -> str:
    """The pair's manifest with other fields in its table."""
    document = yaml.load(PAIR, Loader=yaml.BaseLoader)
    document["spec"]["tables"][0] |= fields
    return json.dumps(document)


def test_both_kinds_are_read_in_order() -> None:
    system, pair = parse_documents(f"{SYSTEM}---{PAIR}---\n")
    assert isinstance(system, System)
    assert (system.metadata.name, system.spec.port, system.spec.tls) == ("pacs", 5432, "prefer")
    assert isinstance(pair, SyncPair)
    table = pair.spec.tables[0]
    assert (table.source_schema, table.source_table) == ("public", "parcel")
    assert (table.target_schema, table.target_table) == ("cama", "parcels")
    assert table.key == ("parcel_number",)
    assert table.columns == {"parcel_number": "apn", "owner": "owner_name", "Größe": "land_area", "on": "no"}
    assert (pair.spec.freshness, pair.spec.adopt, pair.spec.mode) == (
        timedelta(minutes=5),
        False,
        "continuous",
    )


def test_a_manifest_survives_the_way_through_json() -> None:
    for document in parse_documents(f"{SYSTEM}---{PAIR}"):
        stored = json.loads(json.dumps(document.model_dump(mode="json", by_alias=True)))
        assert parse_document(stored) == document
    spec = parse_documents(PAIR)[0].spec
    assert isinstance(spec, SyncPairSpec)
    assert spec.model_dump(mode="json")["freshness"] == "5m"


def test_json_is_yaml_too() -> None:
    assert parse_documents(json.dumps(yaml.safe_load(SYSTEM))) == parse_documents(SYSTEM)


def test_every_error_comes_at_once_with_path_and_what_is_allowed() -> None:
    found = problems(
        changed(
            mode="on_demand",
            transactions="whole",
            full_sync={"strategy": "extract"},
            limits=[{"max_deletes": "5%"}],
            freshness="soon",
            sourcce="x",
            tables=[
                {"from": "parcel", "to": "cama.parcels", "where": "x > 1"},
                {
                    "to": "cama.parcels",
                    "columns": {"owner": "upper(trim(owner_name))", "tax": {"mask": "hmac"}},
                },
                "cama.x",
            ],
        )
    )
    assert set(found) == {
        "spec.mode",
        "spec.transactions",
        "spec.full_sync.strategy",
        "spec.limits",
        "spec.freshness",
        "spec.sourcce",
        "spec.tables[0].from",
        "spec.tables[0].where",
        "spec.tables[1].from",
        "spec.tables[1].to",
        "spec.tables[1].columns.owner",
        "spec.tables[1].columns.tax",
        "spec.tables[2]",
    }
    not_yet = [path for path, message in found.items() if "not supported yet" in message]
    assert not_yet == [
        path
        for path in found
        if path.split(".")[-1] in {"mode", "transactions", "strategy", "limits", "where", "owner", "tax"}
    ]
    assert "did you mean source?" in found["spec.sourcce"]
    assert "continuous" in found["spec.mode"]
    assert "60s" in found["spec.freshness"]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (changed(tables=[]), "spec.tables", "is empty"),
        (changed(source="cama"), "spec.target", "source itself"),
        (changed(adopt="yes"), "spec.adopt", "not true or false"),
        (changed(source=7), "spec.source", "not a name"),
        (changed_table(key=[]), "spec.tables[0].key", "is empty"),
        (changed_table(key=["apn"]), "spec.tables[0].key[0]", "not among the mapped columns"),
        (changed_table(key=["parcel_number", "parcel_number"]), "spec.tables[0].key[1]", "twice"),
        (changed_table(columns={}), "spec.tables[0].columns", "is empty"),
        (changed_table(on_delete="ignore"), "spec.tables[0].on_delete", "not supported yet"),
        (changed_table(on_delete={"soft": "deleted_at"}), "spec.tables[0].on_delete", "not supported yet"),
        (changed_table(on_truncate="apply"), "spec.tables[0].on_truncate", "not supported yet"),
        (changed_table(on_truncate="explode"), "spec.tables[0].on_truncate", "not an allowed value"),
        (changed_table(**{"from": "public.parcel; drop"}), "spec.tables[0].from", "not a table name"),
        (changed_table(to=f"cama.{'ü' * 32}"), "spec.tables[0].to", "not a table name"),
        (SYSTEM.replace("postgresql", "oracle"), "spec.kind", "not supported yet"),
        (SYSTEM.replace("host: localhost", "host: localhost, port: 99999"), "spec.port", "too large"),
        (
            SYSTEM.replace("host: localhost", "host: localhost, port: '5432'"),
            "spec.port",
            "not a whole number",
        ),
        (SYSTEM.replace("env: PACS_PASSWORD", "env: A, file: b"), "spec.password", "exactly one"),
        (SYSTEM.replace("env: PACS_PASSWORD", ""), "spec.password", "exactly one"),
        (SYSTEM.replace("PACS_PASSWORD", "TERRAFUSION_API_KEY"), "spec.password", "may not use"),
        (SYSTEM.replace("PACS_PASSWORD", "CATALOG_DSN"), "spec.password", "may not use"),
        (SYSTEM.replace("name: pacs", "name: Pacs"), "metadata.name", "not a name"),
        (SYSTEM.replace("terrafusion/v1", "v2"), "apiVersion", "not an allowed value"),
        (SYSTEM.replace("kind: System", "kind: Sistem"), "kind", "not an allowed value"),
        (SYSTEM + "spec: {}", "line 6, column 1", "appears twice"),
        ("a: [1", "line 1, column 7", "expected"),
        ("a: &x 1\nb: *x", "line 2, column 4", "anchors"),
        ("- 1", "", "not a mapping"),
        ("", "", "no document"),
        ("a: !!python/object:os.system x", "line 1, column 4", "could not determine a constructor"),
        ("a: !!int x", "", "tagged value"),
        ("a: " + "[" * 5000, "", "nested too deeply"),
        ("x" * 1_100_000, "", "larger than"),
        ("a: \x00", "", "not valid YAML"),
    ],
)
def test_what_is_refused(text: str, path: str, message: str) -> None:
    found = problems(text)
    assert message in found.get(path, f"nothing at {path!r}, but {found}")


def test_the_document_is_named_when_there_are_several() -> None:
    with pytest.raises(ManifestError) as caught:
        parse_documents(f"{SYSTEM}--- {changed(mode='x')}\n--- 7")
    assert [p.document for p in caught.value.errors] == ["SyncPair pacs-to-cama", "document 3"]
    with pytest.raises(ManifestError, match="appears twice in this manifest"):
        parse_documents(f"{SYSTEM}---{SYSTEM}")


def test_a_list_of_wrong_tables_is_not_called_empty() -> None:
    assert set(problems(changed(tables=[7]))) == {"spec.tables[0]"}


def test_values_are_never_repeated() -> None:
    for secret in ("hunter2 secret", "hunter2"):
        for password in (secret, f"{{env: '{secret}!'}}", f"{{env: A, secret: {secret}}}", f"[{secret}]"):
            text = SYSTEM.replace("{env: PACS_PASSWORD}", password)
            with pytest.raises(ManifestError) as caught:
                parse_documents(text)
            assert "hunter2" not in str(caught.value)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "tables",
        "from",
        "to",
        "key",
        "columns",
        "source",
        "password",
        "name",
    ]
) | st.text(max_size=5)
values = st.recursive(
    scalars | st.sampled_from(["System", "SyncPair", "terrafusion/v1", "a.b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.integers(), inner, max_size=5),
    max_leaves=20,
)
near_misses = st.fixed_dictionaries(
    {"kind": st.sampled_from(["System", "SyncPair"])},
    optional={
        "apiVersion": values,
        "metadata": values,
        "spec": st.dictionaries(keys, values, max_size=6) | values,
    },
)


@given(values | near_misses)
def test_no_value_ever_gives_a_traceback(value: Any) -> None:
    try:
        parse_document(value)
    except ManifestError as error:
        assert error.errors
        assert str(error)


@given(st.text(max_size=200) | near_misses.map(lambda v: yaml.safe_dump(v, allow_unicode=True)))
def test_no_text_ever_gives_a_traceback(text: str) -> None:
    try:
        parse_documents(text)
    except ManifestError as error:
        assert error.errors


@given(st.integers(min_value=1, max_value=8000), st.sampled_from(["ms", "s", "m", "h"]))
def test_durations_are_written_as_they_are_read(number: int, unit: str) -> None:
    duration = parse_duration(f"{number}{unit}")
    assert duration is not None
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    "text", ["", "0s", "1", "s", "-1s", "1.5s", "1w", "1 s", "１s", "367d", "999999999d"]
)
def test_what_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


def test_models_can_be_made_in_code() -> None:
    table = TableSpec(from_="public.parcel", to="cama.parcels")
    spec = SyncPairSpec(source="pacs", target="cama", tables=(table,))
    assert (spec.tables[0].key, spec.tables[0].columns, spec.freshness) == (None, None, timedelta(seconds=60))
    with pytest.raises(ValueError, match="frozen"):
        table.to = "x.y"  # type: ignore[misc]
    assert SystemSpec(
        kind="postgresql", host="h", database="d", user="u", password=SecretRef(file="pacs.password")
    ).password == SecretRef(file="pacs.password")


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_PASSWORD", "hunter2")
    monkeypatch.setenv("OTHER_DSN", "hunter2")
    assert SecretRef(env="PACS_PASSWORD").resolve([]) == "hunter2"
    with pytest.raises(SecretError, match="not set"):
        SecretRef(env="UNSET_PASSWORD").resolve([])
    for reserved in ("TERRAFUSION_X", "terrafusion_x", "OTHER_DSN", "SERVICE_TOKEN_FILE"):
        with pytest.raises(SecretError, match="belongs to TerraFusion"):
            SecretRef.model_construct(env=reserved, file=None).resolve([])


def test_a_secret_file_lies_in_the_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "secrets", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("hunter2")
    (folder / "pacs").write_text("hunter2\n")
    (folder / "empty").write_text("\n")
    (folder / "large").write_text("x" * 70_000)
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "link").symlink_to(outside)
    assert SecretRef(file="pacs").resolve([folder]) == "hunter2"
    assert SecretRef(file=str(folder / "pacs")).resolve([tmp_path / "other", folder]) == "hunter2"
    for file, message in {
        "../outside": "outside the secrets folders",
        str(outside): "outside the secrets folders",
        "link": "outside the secrets folders",
        "/etc/passwd": "outside the secrets folders",
        "missing": "does not exist",
        "empty": "is empty",
        "large": "larger than",
        "binary": "not UTF-8",
    }.items():
        with pytest.raises(SecretError, match=message) as caught:
            SecretRef(file=file).resolve([folder])
        assert "hunter2" not in str(caught.value)
    with pytest.raises(SecretError, match="TERRAFUSION_SECRETS_DIR"):
        SecretRef(file="pacs").resolve([])
