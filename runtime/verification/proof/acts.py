"""What a trial does, as data: packets, time, sweeps. A list of them can be done again, or in part."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.verification.proof.expectation import Expectation
from runtime.verification.speaking import Ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A frame that comes in by a port of a device.

    `expected`: what policies promise to it, or exactly the ends that must arrive at a workload; None promises nothing.
    `since`: the frame that has opened the connection for which the ends are promised. `about` says what it is beyond
    its bytes, such as what is wrong with it.
    """

    device: str
    port: int
    frame: bytes
    expected: Expectation | Ends | None = None
    since: bytes = b""
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepAll:
    """Every device takes out the learned entries that have expired."""


Act = Send | Pause | SweepAll
