"""Templates, names and the password file of a connector."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from syncservice.connect.names import colliding_columns, field_name, fresh_names, table_topic, topic_configs
from syncservice.connect.secret_file import remove_secret, secret_path, write_secret
from syncservice.connect.template import TemplateError, fill, load, table_list

TEMPLATE = Path(__file__).parents[2] / "connect-configs" / "postgresql.json"
VALUES: dict[str, str | None] = {
    **dict.fromkeys(
        ("host", "port", "database", "user", "tls", "slot", "publication", "prefix", "tables", "placeholder"),
        "x",
    ),
    "secrets_file": "/s/pacs-1.properties",
    "registry_url": "r",
    "snapshot_threads": "2",
    "ca": None,
}


def test_the_shipped_template_is_filled_whole() -> None:
    config = fill(load(TEMPLATE), VALUES)
    assert not [text for text in config.values() if "${terrafusion:" in text]
    assert config["database.password"] == "${file:/s/pacs-1.properties:password}"
    assert config["transforms.truncates.truncates.topic"] == "x.truncates"


def test_settings_without_a_value_are_left_out() -> None:
    assert "database.sslrootcert" not in fill(load(TEMPLATE), VALUES)
    assert fill(load(TEMPLATE), VALUES | {"ca": "/ca.pem"})["database.sslrootcert"] == "/ca.pem"


def test_a_value_cannot_smuggle_a_reference_in() -> None:
    with pytest.raises(TemplateError, match="user must not contain"):
        fill(load(TEMPLATE), VALUES | {"user": "${file:/etc/passwd:x}"})


def test_unknown_and_half_missing_values_are_named() -> None:
    with pytest.raises(TemplateError, match="a asks for nothing"):
        fill({"a": "${terrafusion:nothing}"}, {})
    with pytest.raises(TemplateError, match="a needs b"):
        fill({"a": "-${terrafusion:b}"}, {"b": None})


def test_templates_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="cannot be read"):
        load(tmp_path / "missing.json")
    (tmp_path / "odd.json").write_text('{"a": 1}')
    with pytest.raises(TemplateError, match="object of texts"):
        load(tmp_path / "odd.json")


def test_table_list_is_sorted_and_escaped() -> None:
    assert table_list(["public.b$", "public.a"]) == r"public\.a,public\.b\$"


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("owner_name", "owner_name"),
        ("Odd name-1", "Odd_name_1"),
        ("1st", "_1st"),
        ("straße", "stra_e"),
        ("𝕏", "__"),
    ],
)
def test_field_names_are_debeziums(column: str, field: str) -> None:
    assert field_name(column) == field


def test_columns_that_share_a_field_name_are_found() -> None:
    assert colliding_columns(["a b", "c", "a_b"]) == [("a b", "a_b")]


def test_names_of_a_generation() -> None:
    names = fresh_names("pacs-west", 3)
    assert (names.connector, names.slot, names.publication) == (
        "pacs-west-3",
        "terrafusion_pacs_west_3",
        "terrafusion_pacs_west",
    )
    assert names.placeholder != fresh_names("pacs-west", 3).placeholder
    assert table_topic("pacs-1", "public.größe") == "pacs-1.public.gr__e"


def test_table_topics_are_compacted_and_helpers_are_not() -> None:
    configs = topic_configs("pacs-1", ["public.parcel"])
    policies = {topic: config["cleanup.policy"] for topic, config in configs.items()}
    assert policies == {
        "pacs-1.public.parcel": "compact",
        "pacs-1.truncates": "delete",
        "pacs-1.message": "delete",
        "__debezium-heartbeat.pacs-1": "delete",
    }
    assert configs["pacs-1.public.parcel"]["delete.retention.ms"] == "604800000"


def test_the_password_file_is_private_and_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert write_secret(folder, "pacs-1", "p w=\\ü\n😀") is True
    path = secret_path(folder, "pacs-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "password=p\\u0020w\\u003d\\u005c\\u00fc\\u000a\\ud83d\\ude00\n"
    assert write_secret(folder, "pacs-1", "p w=\\ü\n😀") is False
    path.chmod(0o644)
    assert write_secret(folder, "pacs-1", "other") is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in folder.iterdir()] == ["pacs-1.properties"]
    remove_secret(folder, "pacs-1")
    remove_secret(folder, "pacs-1")
    assert not path.exists()
