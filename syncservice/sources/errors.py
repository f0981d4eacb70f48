"""What can go wrong with a source database.

SourceFailure
├── SourceUnavailable     no connection (retry: timed)
└── SourceRefused         it answers no: rights, a missing table, a slot in use (retry: manual)
"""

from __future__ import annotations

from typing import Literal

Retry = Literal["timed", "manual", "never"]


class SourceFailure(Exception):
    """Root; `code` for programs, `retry` says whether waiting helps, `remedy` what a person does."""

    code = "source_failed"
    retry: Retry = "manual"
    remedy = "Run the system's check: it prints the statement that mends what is missing."


class SourceUnavailable(SourceFailure):
    """The database does not answer, or ended the connection."""

    code = "source_unavailable"
    retry: Retry = "timed"
    remedy = "Check host, port, network and password of the system; the work goes on by itself afterwards."


class SourceRefused(SourceFailure):
    """The database answers, and refuses."""

    def __init__(self, message: str, *, code: str = "source_refused", remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy or SourceFailure.remedy
