"""Entries from the start and default entries, in the kernel and in the interpreter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall, EntryKey, Exact, Lpm, TableEntry
from compiler.printers.features import features_of_tables
from runtime.bpf.chains import Hook
from runtime.verification.comparison import Comparison
from runtime.verification.testrun_level import TestRunLevel
from tests.pipelines.fixed import fixed_pipeline, frame

pytestmark = pytest.mark.root
PORT = 2
FILLED = frozenset({"kinds", "ports"})


@pytest.fixture(scope="module")
def levels() -> Iterator[tuple[TestRunLevel, ...]]:
    """The last one without code for what holds nothing."""
    fitted = features_of_tables(fixed_pipeline(), FILLED)
    assert fitted == {"uses_kinds": 1, "uses_ports": 1, "uses_networks": 0}
    with (
        TestRunLevel(fixed_pipeline(), Hook.TC) as tc,
        TestRunLevel(fixed_pipeline(), Hook.XDP) as xdp,
        TestRunLevel(fixed_pipeline(), Hook.TC, flags=fitted) as without,
    ):
        yield tc, xdp, without


def to(port: int) -> ActionCall:
    return ActionCall(action="to", arguments=(port,))


def default(table: str, call: ActionCall) -> TableEntry:
    return TableEntry(table=table, matches=(), action=call)


FRAMES = st.builds(
    frame,
    dst=st.sampled_from((0, 1, 0x10000000000, 0x20000000001)),
    src=st.sampled_from((0, 1, 0x20000000001)),
    kind=st.sampled_from((0x7FF, 0x800, 0x806, 0x86FF, 0x8700)),
)
CALLS = st.sampled_from((ActionCall(action="nothing"), to(1), to(500)))


@settings(max_examples=60)
@given(
    steps=st.lists(st.one_of(FRAMES, st.builds(default, st.sampled_from(("ports", "networks")), CALLS)), max_size=12)
)
def test_defaults_change_between_packets(levels: tuple[TestRunLevel, ...], steps: list[bytes | TableEntry]) -> None:
    comparison = Comparison(levels)
    for step in steps:
        if isinstance(step, bytes):
            comparison.process(PORT, step)
        else:
            comparison.modify(step)
    comparison.compare_state()
    counts = {level.direct_counter(EntryKey(table="ports", matches=())) for level in comparison.all_levels}
    assert len(counts) == 1


def test_every_entry_is_met(levels: tuple[TestRunLevel, ...]) -> None:
    comparison = Comparison(levels)
    comparison.insert(TableEntry(table="ports", matches=(Exact(value=3), Exact(value=0)), action=to(33)))
    met = [(frame(dst=0x10000000000, src=1), 7), (frame(kind=0x800), 5), (frame(src=1, kind=0x800), None)]
    for packet, port in met:
        outcome = comparison.process(PORT, packet)
        assert outcome is not None
        assert outcome.egress_port == port
    comparison.compare_state()


def test_an_entry_of_a_table_with_a_default(levels: tuple[TestRunLevel, ...]) -> None:
    comparison = Comparison(levels[:2])
    comparison.modify(default("networks", to(8)))
    comparison.insert(TableEntry(table="networks", matches=(Lpm(value=1 << 47, prefix_len=1),), action=to(9)))
    ports = [outcome.egress_port for dst in (0, 1 << 47) if (outcome := comparison.process(PORT, frame(dst=dst)))]
    assert ports == [8, 9]
