"""What a run may find: levels that differ, or something that must hold for every packet and does not."""

from __future__ import annotations

from runtime.verification.vector import Vector


class Finding(AssertionError):  # noqa: N818  what was found, not what went wrong here
    """`vector` does it again. Its words begin with a line that says it all."""

    def __init__(self, told: str, vector: Vector | None = None) -> None:
        self.vector = vector
        super().__init__(told)


class Difference(Finding):
    """A level does not do what the interpreter does, or what the vector accepts."""


class Violation(Finding):
    """An invariant does not hold, whatever the levels agree on."""
