"""Tables whose entries have priorities, in the kernel and in the interpreter: random entries, changes and packets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.ir.entries import (
    ActionCall,
    EntryKey,
    Exact,
    Group,
    GroupRef,
    Lpm,
    Member,
    MemberRef,
    Optional,
    Range,
    TableEntry,
    Ternary,
    WeightedMember,
)
from runtime.bpf.chains import Hook
from runtime.device.masks import MaskCount
from runtime.device.refusals import RefusedError
from runtime.verification.comparison import Comparison
from runtime.verification.testrun_level import TestRunLevel
from tests.pipelines.acl import acl_pipeline, probe

pytestmark = pytest.mark.root
PORT = 3
MASKS = (0, 0xFF, 0xF0, (1 << 128) - 1, 0xFF << 120)
"""Of the wide key: few, so that entries meet under one mask."""
ANY = (
    Exact(value=PORT),
    Lpm(value=0, prefix_len=0),
    Ternary(value=0, mask=0),
    Range(low=0, high=65535),
    Optional(value=None),
)
VALUES = st.integers(0, 3)
PORTS = st.sampled_from((0, 1, 15, 16, 17, 255, 256, 4095, 4096, 65535))


@pytest.fixture(scope="module")
def levels() -> Iterator[tuple[TestRunLevel, TestRunLevel]]:
    with TestRunLevel(acl_pipeline(), Hook.TC) as tc, TestRunLevel(acl_pipeline(), Hook.XDP) as xdp:
        yield tc, xdp


def wide(value: int, mask: int) -> Ternary:
    return Ternary(value=value & mask, mask=mask)


@st.composite
def entries(draw: st.DrawFn) -> TableEntry:
    low, high = sorted((draw(PORTS), draw(PORTS)))
    length = draw(st.sampled_from((0, 30, 31, 32)))
    return TableEntry(
        table="acl",
        matches=(
            Exact(value=draw(st.sampled_from((PORT, PORT, PORT + 1)))),
            Lpm(value=draw(VALUES) >> 32 - length << 32 - length, prefix_len=length),
            wide(draw(VALUES), draw(st.sampled_from(MASKS))),
            draw(st.sampled_from((Range(low=low, high=high), Range(low=0, high=65535)))),
            Optional(value=draw(st.sampled_from((None, None, 0, 1)))),
        ),
        priority=draw(st.sampled_from((1, 2, 2, 3, 2**31 - 1))),
        action=draw(actions()),
    )


@st.composite
def actions(draw: st.DrawFn) -> ActionCall:
    number = draw(st.integers(0, 400))
    return ActionCall(action="allow", arguments=(number,)) if number else ActionCall(action="deny")


def frames() -> st.SearchStrategy[bytes]:
    return st.builds(probe, wide=VALUES, address=VALUES, number=PORTS, kind=st.integers(0, 2), bits=st.integers(0, 255))


@settings(max_examples=150)
@given(st.data())
def test_random_entries_and_changes(levels: tuple[TestRunLevel, TestRunLevel], data: st.DataObject) -> None:
    comparison, held, masks = Comparison(levels), dict[EntryKey, TableEntry](), MaskCount(acl_pipeline().tables[0])
    for _ in range(data.draw(st.integers(1, 12))):
        known = sorted(held.values(), key=repr)
        kind = data.draw(st.sampled_from(("insert", "insert", "modify", "delete"))) if known else "insert"
        if kind == "insert":
            entry = data.draw(entries())
            if entry.key not in held and fits(masks, entry):
                comparison.insert(entry)
                masks.add(entry.matches)
                held[entry.key] = entry
        elif kind == "modify":
            entry = replace(data.draw(st.sampled_from(known)), action=data.draw(actions()))
            comparison.modify(entry)
            held[entry.key] = entry
        else:
            entry = data.draw(st.sampled_from(known))
            comparison.delete(entry)
            masks.remove(entry.matches)
            del held[entry.key]
        for frame in data.draw(st.lists(frames(), min_size=1, max_size=4)):
            comparison.process(PORT, frame)
    comparison.compare_state()


def fits(masks: MaskCount, entry: TableEntry) -> bool:
    try:
        masks.check_new(entry.matches)
    except RefusedError:
        return False
    return True


@settings(max_examples=50)
@given(st.data())
def test_members_and_groups_behind_masks(levels: tuple[TestRunLevel, TestRunLevel], data: st.DataObject) -> None:
    comparison = Comparison(levels)
    comparison.insert(
        TableEntry(table="acl", matches=ANY, priority=1, action=ActionCall(action="allow", arguments=(9,)))
    )
    for number in range(1, 5):
        comparison.insert(Member(selector="members", id=number, action=ActionCall(action="pick", arguments=(number,))))
    weights = st.lists(st.integers(0, 3), min_size=4, max_size=4)
    for number in (1, 2):
        comparison.insert(group(number, data.draw(weights)))
    rows: dict[EntryKey, TableEntry] = {}
    for _ in range(data.draw(st.integers(1, 10))):
        mask = data.draw(st.sampled_from((0, 1, 3, 0x80, 0xFF)))
        match = Ternary(value=data.draw(st.integers(0, 255)) & mask, mask=mask)
        target = data.draw(st.sampled_from((GroupRef(group_id=1), GroupRef(group_id=2), MemberRef(member_id=3))))
        entry = TableEntry(table="spread", matches=(match,), priority=data.draw(st.integers(1, 3)), action=target)
        (comparison.modify if entry.key in rows else comparison.insert)(entry)
        rows[entry.key] = entry
        if data.draw(st.booleans()):
            comparison.modify(group(1, data.draw(weights)))
        for frame in data.draw(st.lists(frames(), min_size=1, max_size=4)):
            comparison.process(PORT, frame)
    comparison.compare_state()


def group(number: int, weights: list[int]) -> Group:
    members = tuple(WeightedMember(member_id=at, weight=weight) for at, weight in enumerate(weights, 1) if weight)
    return Group(selector="members", id=number, members=members)
