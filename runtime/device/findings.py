"""What a device found when it took over what an earlier process had left, as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

NAMED = 3
"""So many of each kind are named; all are counted."""


class Finding(Enum):
    """Of an entry, as packets met it; the value is what is said of some."""

    MISSING = "the journal has and {part} had not"
    EXTRA = "{part} had and the journal has not"
    DIFFERENT = "were not as the journal has them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Entries of one part of a pipeline, such as a table, of which the same was found. Names are P4's."""

    part: str
    finding: Finding
    entries: Sequence[str]

    @property
    def text(self) -> str:
        named = "; ".join(self.entries[:NAMED])
        more = len(self.entries) - NAMED
        what = self.finding.value.format(part="the kernel")
        return f"{self.part}: {len(self.entries)} that {what}: {named}" + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A pipeline of the journal that a device began with. `goes_on`: with the maps of an earlier process."""

    pipeline: str
    goes_on: bool
    counts: Mapping[str, int]
    """Entries, members and groups of the journal."""
    found: Sequence[Found]


@dataclass(slots=True, kw_only=True)
class Start:
    """How a device began; `folder` says what its folder had, `remarks` what else was not as it should be."""

    folder: str
    placed: list[Placed] = field(default_factory=list[Placed])
    remarks: list[str] = field(default_factory=list[str])
