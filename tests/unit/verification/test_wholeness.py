"""Slots that are not whole, made by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import layout
from compiler.printers.layout_store import Slot, SlotHead
from compiler.printers.store_programs import StoreEvent
from runtime.verification.levels import small
from runtime.verification.wholeness import flaws

STORE = layout(small(pipeline(), 16)).stores[0]
NAME = STORE.store.name


def slot(pair: int, *, version: int = 2, table: int = 0, profile: int = 1, counted: int = 0) -> bytes:
    head = SlotHead(version=version, table=table + 1, profile=profile, counted=counted, seen_ms=7, pair=pair)
    widths = STORE.key_widths
    made = Slot(table=STORE.tables[table], key=(0,) * len(widths), arguments=_arguments(), head=head)
    return STORE.encode_slot(made)


def _arguments() -> tuple[int, ...]:
    return (0,) * len(STORE.arguments.members)


FREE = bytes(STORE.map.value_size)
PAIR = {0: slot(6), 5: slot(1, table=1)}
LEARNED = {StoreEvent.LEARNED: 2}


def found(slots: Mapping[int, bytes], events: Mapping[int, int]) -> list[str]:
    memory = b"".join(slots.get(index, FREE) for index in range(STORE.map.max_entries))
    return list(flaws(STORE, memory, events))


@pytest.mark.parametrize(
    ("slots", "events"),
    [
        ({}, {}),
        (PAIR, LEARNED),
        ({}, {StoreEvent.LEARNED: 6, StoreEvent.EXPIRED: 2, StoreEvent.EVICTED + 1: 4, StoreEvent.FULL: 9}),
        ({3: slot(0)}, {StoreEvent.LEARNED: 1}),
    ],
)
def test_what_is_whole(slots: Mapping[int, bytes], events: Mapping[int, int]) -> None:
    assert found(slots, events) == []


@pytest.mark.parametrize(
    ("slots", "events", "told"),
    [
        (
            {0: slot(6)},
            {StoreEvent.LEARNED: 2, StoreEvent.EXPIRED: 1},
            [f"{NAME}: slot 0 ({STORE.tables[0].table}) has lost its pair, slot 5"],
        ),
        (
            {**PAIR, 7: slot(6)},
            {StoreEvent.LEARNED: 3},
            [f"{NAME}: slot 7 ({STORE.tables[0].table}) has lost its pair, slot 5"],
        ),
        ({2: slot(0, version=3)}, {}, [f"{NAME}: slot 2 is half written"]),
        (PAIR, {StoreEvent.LEARNED: 4}, [f"{NAME}: 4 entries were learned and 0 left, but 2 are there"]),
    ],
)
def test_what_is_not_whole(slots: Mapping[int, bytes], events: Mapping[int, int], told: list[str]) -> None:
    assert found(slots, events) == told


OVER = next(profile.id for profile in STORE.store.profiles if profile.is_over)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({9: 2}, []),
        ({9: 2, 5: 0}, []),
        ({9: 3}, [f"{NAME}: 2 entries count for member 9, its count is 3"]),
        ({}, [f"{NAME}: 2 entries count for member 9, its count is 0"]),
        ({9: 2, 6: 1}, [f"{NAME}: 0 entries count for member 6, its count is 1"]),
    ],
)
def test_counts_are_those_of_entries_that_are_not_over(counts: Mapping[int, int], told: list[str]) -> None:
    slots = {0: slot(6, counted=9), 5: slot(1, table=1), 2: slot(0, counted=9), 3: slot(0, counted=9, profile=OVER)}
    memory = b"".join(slots.get(index, FREE) for index in range(STORE.map.max_entries))
    assert list(flaws(STORE, memory, {StoreEvent.LEARNED: 4}, counts)) == told
