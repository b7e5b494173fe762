"""Why the lab cannot do what was asked; printed by `turnout lab` as it stands."""

from __future__ import annotations


class LabError(Exception):
    """A refusal or failure that a user can do something about. `hint` says what, where that is known."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"
