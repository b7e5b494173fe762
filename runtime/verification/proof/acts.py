"""What a trial does, as data: packets, time, sweeps. A list of them can be done again, or in part."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.verification.proof.expectation import Expectation
from runtime.verification.speaking import Ends


@dataclass(frozen=True, slots=True)
class Later:
    """A fragment of a packet with these ends that is not its first, and so has no ports."""

    ends: Ends

    def __str__(self) -> str:
        return f"a fragment from {self.ends.src} to {self.ends.dst}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A frame that comes in by a port of a device.

    `expected`: what policies promise to it, or the ends that must arrive at a workload, exactly; None promises nothing.
    `since`: the frame that has opened the connection for which the ends are promised; `is_alone`: no other device has
    to do with it. `about` says what it is beyond its bytes, such as what is wrong with it.
    """

    device: str
    port: int
    frame: bytes
    expected: Expectation | Ends | Later | None = None
    since: bytes = b""
    is_alone: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepAll:
    """Every device takes out the learned entries that have expired."""


Act = Send | Pause | SweepAll
