"""What hammer.bpf.c has counted: on one CPU, and on all together."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.races.places import FRAME_BYTES

_REASONS = 16
_NUMBERS: tuple[str, ...] = ("runs", "translated", "answered", "routed", "untouched")
_WRONG: tuple[str, ...] = ("mixed", "to_deleted", "strange")
_TALLY = struct.Struct(f"={len(_NUMBERS) + _REASONS + len(_WRONG)}Q{FRAME_BYTES}s4I")


class Tally(NamedTuple):
    """`struct tally` of one CPU, as it is named there."""

    numbers: dict[str, int]
    dropped: tuple[int, ...]
    wrong: bytes
    wrong_frame: int
    """The number of the frame + 1; 0 when no packet was wrong."""
    wrong_egress: int


def tally_of(raw: bytes) -> Tally:
    values = _TALLY.unpack(raw[: _TALLY.size])
    first, dropped = values[: len(_NUMBERS)], values[len(_NUMBERS) :][:_REASONS]
    last = values[len(_NUMBERS) + _REASONS :][: len(_WRONG)]
    numbers: dict[str, int] = dict(zip((*_NUMBERS, *_WRONG), (*first, *last), strict=True))
    wrong, wrong_frame, wrong_egress, _, _ = values[-5:]
    return Tally(numbers, dropped, wrong, wrong_frame, wrong_egress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Of all CPUs together; the comments of hammer.bpf.c say what each is."""

    runs: int
    translated: int
    answered: int
    routed: int
    untouched: int
    mixed: int
    to_deleted: int
    strange: int
    dropped: Mapping[str, int]
    """By reason."""
    wrong: tuple[str, ...]
    """The first wrong packet of each CPU: as it came, as it left, where to."""

    @property
    def is_right(self) -> bool:
        return not (self.mixed or self.to_deleted or self.strange)


def seen_of(tallies: Sequence[Tally], reasons: Mapping[int, str], frames: Sequence[bytes]) -> Seen:
    dropped: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for tally in tallies:
        totals.update(tally.numbers)
        dropped.update({reasons[number]: count for number, count in enumerate(tally.dropped) if count})
    wrong = tuple(
        f"{frames[t.wrong_frame - 1][:FRAME_BYTES].hex()} became {t.wrong.hex()} by port {t.wrong_egress}"
        for t in tallies
        if t.wrong_frame
    )
    return Seen(**{name: totals[name] for name in (*_NUMBERS, *_WRONG)}, dropped=dropped, wrong=wrong)
