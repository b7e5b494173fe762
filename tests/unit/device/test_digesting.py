"""Digests gathered into lists, told once, acknowledged, forgotten; a clock and timers of the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from finsy.proto import p4r

from compiler.ir.controller import Digest, DigestField
from runtime.device.digesting import LONGEST_LIST, MAX_UNACKED, NS_PER_S, DigestLists
from runtime.device.records import DigestConfig

DIGEST = Digest(
    name="seen", id=0x17000001, fields=(DigestField(name="a", width_bits=16), DigestField(name="b", width_bits=8))
)
SECOND = NS_PER_S


class Told:
    """A controller that notes what it is told, and the time."""

    def __init__(self, *, timeout_s: float = 0, size: int = 0, ack_s: float = 0) -> None:
        self.config: DigestConfig | None = DigestConfig(int(timeout_s * SECOND), size, int(ack_s * SECOND))
        self.now_ns = 0
        self.takes = True
        self.messages: list[p4r.DigestList] = []
        self._timers: list[tuple[int, Callable[[], None]]] = []
        self.lists = DigestLists(DIGEST, lambda: self.config, self._take, now_ns=lambda: self.now_ns, later=self._later)

    def _take(self, message: p4r.StreamMessageResponse) -> bool:
        if self.takes:
            self.messages.append(message.digest)
        return self.takes

    def _later(self, delay_s: float, run: Callable[[], None]) -> object:
        self._timers.append((self.now_ns + round(delay_s * SECOND), run))
        return None

    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)
        due = [run for at, run in self._timers if at <= self.now_ns]
        self._timers = [(at, run) for at, run in self._timers if at > self.now_ns]
        for run in due:
            run()

    def hear(self, *numbers: int) -> None:
        for number in numbers:
            self.lists.hear((number, 1))

    @property
    def told(self) -> list[tuple[int, list[int]]]:
        """Of each message: its number, and the first member of each of its digests."""
        return [
            (m.list_id, [int.from_bytes(data.struct.members[0].bitstring, "big") for data in m.data])
            for m in self.messages
        ]


def test_a_message() -> None:
    told = Told()
    told.lists.hear((0x1234, 0))
    (message,) = told.messages
    assert message.timestamp > 0
    message.timestamp = 0
    wanted = p4r.DigestList(digest_id=0x17000001, list_id=1)
    made = wanted.data.add()
    made.struct.members.add(bitstring=b"\x12\x34")
    made.struct.members.add(bitstring=b"\0")
    assert message == wanted


@pytest.mark.parametrize("settings", [{}, {"timeout_s": 1, "size": 1}, {"size": 5}])
def test_without_a_timeout_or_with_lists_of_one_each_is_told_at_once(settings: dict[str, float]) -> None:
    told = Told(**settings)  # pyright: ignore[reportArgumentType]
    told.hear(1, 2, 1)
    assert told.told == [(1, [1]), (2, [2]), (3, [1])]


def test_a_list_is_told_when_it_is_full_or_its_time_is_up() -> None:
    told = Told(timeout_s=1, size=3)
    told.hear(1, 2, 1, 2)
    assert told.told == []
    told.hear(3, 4)
    assert told.told == [(1, [1, 2, 3])]
    told.wait(0.5)
    told.hear(5)
    told.wait(0.5)  # the time began with the first one that waited
    assert told.told == [(1, [1, 2, 3]), (2, [4, 5])]
    told.wait(5)
    assert len(told.told) == 2


def test_without_a_size_lists_are_bounded_all_the_same() -> None:
    told = Told(timeout_s=1)
    told.hear(*range(LONGEST_LIST + 1))
    assert [len(numbers) for _, numbers in told.told] == [LONGEST_LIST]


def test_what_is_not_acknowledged_is_not_told_again() -> None:
    told = Told(ack_s=10)
    told.hear(1, 1, 2)
    assert told.told == [(1, [1]), (2, [2])]
    told.lists.acknowledge(1)
    told.lists.acknowledge(1)
    told.lists.acknowledge(77)
    told.hear(1, 2)
    assert told.told == [(1, [1]), (2, [2]), (3, [1])]


def test_an_acknowledgement_is_not_waited_for_longer_than_asked() -> None:
    told = Told(ack_s=10)
    told.hear(1)
    told.wait(9.9)
    told.hear(1, 2)
    told.wait(0.1)
    told.hear(1, 2)
    assert told.told == [(1, [1]), (2, [2]), (3, [1])]


def test_what_nobody_takes_is_lost_and_may_come_again() -> None:
    told = Told(ack_s=10)
    told.takes = False
    told.hear(1, 2)
    assert told.lists.lost == 2
    told.takes = True
    told.hear(1)
    assert told.told == [(3, [1])]


def test_a_digest_that_is_not_told_is_nothing() -> None:
    told = Told(timeout_s=1, ack_s=10)
    told.hear(1)
    told.config = None
    told.wait(1)
    told.hear(1)
    told.config = DigestConfig(0, 0, 10 * SECOND)
    told.hear(1)
    assert told.told == [(1, [1])]
    assert told.lists.lost == 0


def test_unacknowledged_ones_are_bounded() -> None:
    told = Told(timeout_s=1, ack_s=10)
    told.hear(*range(MAX_UNACKED))
    assert told.lists.lost == 0
    told.hear(MAX_UNACKED)
    assert told.lists.lost == 1
