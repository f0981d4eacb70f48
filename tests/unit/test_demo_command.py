"""`terrafusion demo`: exit codes, and that nothing is left running."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from terrafusion.cli import demo as command
from terrafusion.demo.errors import DemoError
from terrafusion.stack import StackError


class FakeStack:
    def __init__(self) -> None:
        self.downs = 0
        self.down_error: StackError | None = None

    def down(self) -> None:
        self.downs += 1
        if self.down_error:
            raise self.down_error


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    fake = FakeStack()
    monkeypatch.setattr("terrafusion.cli.demo.Stack", SimpleNamespace(here=lambda: fake))
    monkeypatch.setattr("terrafusion.cli.demo.signal.signal", lambda *_: None)
    return fake


def invoke(
    monkeypatch: pytest.MonkeyPatch, outcome: bool | BaseException, *arguments: str
) -> tuple[int, str]:
    class FakeDemo:
        url, home = "http://127.0.0.1:5000", SimpleNamespace(__truediv__=lambda _self, name: name)

        def __init__(self, *_: object) -> None: ...

        def run(self) -> SimpleNamespace:
            if isinstance(outcome, BaseException):
                raise outcome
            return SimpleNamespace(equal=outcome)

        def keep_changing(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "Demo", FakeDemo)
    monkeypatch.setattr(command, "print_next_steps", lambda *_: None)
    app = typer.Typer()
    app.command()(command.demo)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(True, 0), (False, 1), (DemoError("no", "so"), 1), (StackError("taken"), 1), (KeyboardInterrupt(), 1)],
    ids=["equal", "different", "demo error", "stack error", "interrupted"],
)
def test_once_stops_everything_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, stack: FakeStack, outcome: bool | BaseException, code: int
) -> None:
    assert invoke(monkeypatch, outcome, "--once")[0] == code
    assert stack.downs == 1


def test_once_fails_when_the_stack_does_not_stop(monkeypatch: pytest.MonkeyPatch, stack: FakeStack) -> None:
    stack.down_error = StackError("broker does not stop")
    code, output = invoke(monkeypatch, True, "--once")
    assert code == 1
    assert "broker does not stop" in output


def test_without_once_the_stack_runs_on(monkeypatch: pytest.MonkeyPatch, stack: FakeStack) -> None:
    code, output = invoke(monkeypatch, True)
    assert code == 0
    assert "stack down stops it" in output
    assert stack.downs == 0


def test_a_county_of_no_size_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, stack: FakeStack) -> None:
    assert invoke(monkeypatch, True, "--parcels", "3")[0] == 2
    assert stack.downs == 0
