"""The one exception the lab shows to people: what is wrong, and what to do next."""

from __future__ import annotations


class LabError(Exception):
    """A failure with its next step; `str()` is the message printed at the end of a run."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.next_step}"
