"""`terrafusion stack` as typed, with no part running."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from terrafusion.cli.stack import app
from terrafusion.stack import NAMES, Stack, StackError
from terrafusion.stack.progress import Progress


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TERRAFUSION_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TERRAFUSION_PORT_OFFSET", raising=False)
    return tmp_path / "state"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_without_a_command_help_is_printed(home: Path) -> None:
    assert "status" in run().output
    assert run("no-such-command").exit_code == 2


def test_env_prints_exports_that_a_shell_can_read(home: Path) -> None:
    lines = run("env").output.splitlines()
    document = json.loads(run("env", "-o", "json").output)
    assert dict(shlex.split(line)[1].split("=", 1) for line in lines) == document
    assert document["TERRAFUSION_HOME"] == str(home)


def test_status_lists_every_part(home: Path) -> None:
    parts = json.loads(run("status", "-o", "json").output)["parts"]
    assert [part["name"] for part in parts] == list(NAMES)
    assert parts[3] == {
        "name": "broker",
        "state": "stopped",
        "pid": None,
        "address": "127.0.0.1:9092",
        "log": str(home / "logs" / "broker.log"),
        "since": None,
    }
    assert "broker" in run("status").output


def test_logs_print_the_end_of_a_log(home: Path) -> None:
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "syncservice.log").write_text("one\ntwo\nthree\n")
    assert run("logs", "syncservice", "-n", "2").output == "two\nthree\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "nobody"),
        ("up", "--port", "broker"),
        ("up", "--port", "nobody=1"),
        ("down", "--purge", "broker"),
        ("logs", "nobody"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_right(home: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "What to do" in result.output


def test_a_failure_that_was_shown_when_it_happened_is_not_shown_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_stack: Stack, _parts: object, *, progress: Progress, **_options: object) -> None:
        error = StackError("broker ended while starting", "the remedy", "the log")
        progress.tell("broker", "failed", str(error))
        raise error

    monkeypatch.setattr(Stack, "up", fail)
    result = run("up")
    assert result.exit_code == 1
    assert result.output.count("ended while starting") == 1
    assert "the log" in result.output and "the remedy" in result.output


def test_down_where_nothing_ever_ran_is_fine(home: Path) -> None:
    assert run("down").exit_code == 0
    assert not home.exists()
