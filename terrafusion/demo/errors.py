"""What ends the demo early."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on. `remedy` says in words what to do about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\nWhat to do: {self.remedy}" if self.remedy else self.message
