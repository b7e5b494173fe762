"""What every level of truth can do: hold entries, tell the time, take packets, show what they left behind.

The interpreter is one of them and says what is right. All begin empty, with the same hash seed, and are kept in step by
`comparison`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from compiler.ir.entries import EntryKey
from compiler.ir.interpreter import LearnedEntry, Outcome, Tally
from compiler.ir.nodes import Pipeline
from runtime.verification.vector import Change, PacketIn, Step

HASH_SEED = 0x7475726E6F7574
DRAWN_STEP = 2_654_435_761
"""Odd, and with bits all over: so do numbers differ that are drawn one after the other."""
COMPARED_INDICES = 64
"""So many of each indexed counter are compared at least; up to the last one that the interpreter has counted."""
LONGEST_FRAME = 3_000
"""What every level takes: a test run has a page, without what the kernel keeps before and behind a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A table was looked up; `action` is None after a miss."""

    table: str
    action: str | None

    def __str__(self) -> str:
        return f"table {self.table}: {self.action or 'miss'}"


class Contradiction(Exception):  # noqa: N818  what a level shows
    """What a level shows of a packet does not fit together, so that there is no outcome to compare."""


class Level(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def pipeline(self) -> Pipeline: ...

    def clear(self) -> None:
        """Become as new: no entries, no connections, no counts."""
        ...

    def insert(self, *changes: Change) -> None:
        """Add what is new. Only the interpreter checks it."""
        ...

    def modify(self, change: Change) -> None: ...

    def delete(self, change: Change) -> None: ...

    def set_time(self, now_ms: int, beyond_ns: int = 0) -> None:
        """`beyond_ns`: for meters, whose clock is finer."""
        ...

    def sweep(self) -> None:
        """Take out every learned entry that has expired."""
        ...

    def reload(self, *, is_fitting: bool) -> None:
        """Go on with another program (`vector.Reload`), where there is one."""
        ...

    def takes(self, step: Step, /) -> bool:
        """Whether this level can do it."""
        ...

    def settle(self) -> None:
        """Let a control plane insert what packets have made the data plane learn, where that is its part."""
        ...

    def process(self, packet: PacketIn) -> Outcome:
        """What becomes of the packet; without a trace unless this is the interpreter. Raises `Contradiction`."""
        ...

    def lookups(self) -> tuple[Lookup, ...] | None:
        """The tables that the last packet met, in order; None where that cannot be seen."""
        ...

    def as_shown(self, outcome: Outcome) -> Outcome:
        """What this level can show of the interpreter's outcome."""
        ...

    def learned_as_shown(self, entries: tuple[LearnedEntry, ...]) -> tuple[LearnedEntry, ...]:
        """What this level can show of the interpreter's learned entries, in its own order."""
        ...

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        """As `Model.learned`; `seen_ms` has 32 bits."""
        ...

    def flaws(self) -> tuple[str, ...]:
        """What of the state is not whole, such as a pair that has lost a half. Nothing should be."""
        ...

    def direct_counter(self, key: EntryKey) -> Tally: ...

    def indexed_counters(self, counter: str, indices: range) -> tuple[Tally, ...]: ...


class ShowsAll:
    """What levels have that learn by themselves and show everything."""

    def settle(self) -> None:
        pass

    def flaws(self) -> tuple[str, ...]:
        return ()

    def reload(self, *, is_fitting: bool) -> None:
        pass

    def as_shown(self, outcome: Outcome) -> Outcome:
        return outcome

    def learned_as_shown(self, entries: tuple[LearnedEntry, ...]) -> tuple[LearnedEntry, ...]:
        return entries


def drawn(now_ms: int, width_bits: int) -> int:
    """What a program in test mode draws at a time (ebpf/include/turnout/random.h)."""
    return now_ms * DRAWN_STEP & ((1 << width_bits) - 1)


def small(pipeline: Pipeline, slots: int = 64) -> Pipeline:
    """The pipeline with stores of so few slots that they are read at once, and fill."""
    return replace(pipeline, stores=tuple(replace(store, size=slots) for store in pipeline.stores))
