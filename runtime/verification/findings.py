"""What a run may find: levels that differ, or something that must hold for every packet and does not."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.interpreter import Outcome
from runtime.verification.vector import PacketIn, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What a level does with a packet, and what it should; `wanted` has the interpreter's trace."""

    level: str
    packet: PacketIn
    wanted: Outcome
    got: Outcome


class Finding(AssertionError):  # noqa: N818  what was found, not what went wrong here
    """`vector` does it again. Its words begin with a line that says it all."""

    def __init__(self, told: str, vector: Vector | None = None) -> None:
        self.vector = vector
        super().__init__(told)


class Difference(Finding):
    """A level does not do what the interpreter does, or what the vector accepts; `sides` when that is with a packet."""

    def __init__(self, told: str, vector: Vector | None = None, sides: Sides | None = None) -> None:
        self.sides = sides
        super().__init__(told, vector)


class Violation(Finding):
    """An invariant does not hold, whatever the levels agree on."""
