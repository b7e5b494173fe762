"""What goes wrong between us and an API server."""

from __future__ import annotations


class ClusterError(Exception):
    """The message is for people: configuration that cannot be read, a server that is not there."""


class RefusedError(ClusterError):
    """The server's answer is no: its code and words (Status of meta/v1)."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason

    @property
    def is_missing(self) -> bool:
        return self.code == 404

    @property
    def is_conflict(self) -> bool:
        """It is there already, or has changed since it was read."""
        return self.code == 409
