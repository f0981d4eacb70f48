"""What the stack reports when something is wrong: always with the remedy."""

from __future__ import annotations


class StackError(Exception):
    """A failure of the local stack. `remedy` says in words what to do about it."""

    def __init__(self, message: str, remedy: str = "", log: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.log = log

    def __str__(self) -> str:
        parts = [self.message]
        if self.log:
            parts.append(self.log)
        if self.remedy:
            parts.append(f"What to do: {self.remedy}")
        return "\n".join(parts)


class StackUsageError(StackError):
    """The stack was asked for something that does not exist; commands end with exit code 2."""
