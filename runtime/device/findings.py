"""What a device found when it took over what an earlier process had left, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
