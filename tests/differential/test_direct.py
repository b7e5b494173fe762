"""Backends of any policies that answer by themselves, while these change: eBPF does what the interpreter does.

A backend gets what was sent, and its answer leaves at its own device.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.entries.vocabulary import mac_number
from runtime.verification import telling
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Comparison
from runtime.verification.directs import (
    Call,
    Directs,
    address_of,
    answered_by,
    calls,
    device_of,
    directs,
    external,
    policies_of,
    port_of,
    workload_at,
)
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.outsiders import CLIENTS, DEVICES, ROUTER_MAC, UNDERLAY_MACS, UPLINK
from runtime.verification.speaking import ends_of
from tests.differential.searches import EXAMPLES, loaded_levels, searched, steps_of

pytestmark = [pytest.mark.root, pytest.mark.slow]
STEPS = steps_of(calls())
CROWDED = {"flow_clash", "flow_table_full"}
GONE = {"no_neighbor", "no_route"}
"""Of connections that are known while nothing leads there any more."""


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


def check(world: Directs, call: Call, journey: Journey) -> int | None:
    """The workload that got a call as it was sent; None when none did. That this is right."""
    if call.device not in world.routers:
        assert journey.end is End.UNTOUCHED, journey
        return None
    if not world.chosen(call.device) and not journey.is_known:
        assert journey.end in (End.ANSWERED, End.DROPPED), journey
        return None
    if journey.end is End.DROPPED:
        denied = {"ingress_denied"} if world.closed else set[str]()
        reasons = CROWDED | denied | (GONE if journey.is_known else set[str]())
        assert journey.last.outcome.drop_reason in reasons, journey
        return None
    number, got = workload_at(journey.last.device, journey.last.outcome.egress_port), ends_of(journey.frame)
    assert journey.end is End.DELIVERED, journey
    assert number is not None
    assert got is not None
    assert journey.is_known or number in world.chosen(call.device) - world.closed, journey
    assert journey.is_known or world.is_direct == (got.dst == external(call.version)), journey
    if got.dst != external(call.version):
        assert got.dst == address_of(number, call.version)
        return None
    assert got == call.ends
    return number


def check_answer(call: Call, number: int, journey: Journey) -> None:
    """It leaves the backend's own device, for the client, by the router."""
    if journey.end is End.DROPPED and journey.is_known:
        assert journey.last.outcome.drop_reason in GONE, journey
        return
    assert (journey.end, len(journey.hops)) == (End.LEFT, 1), journey
    assert journey.last.device == DEVICES[device_of(number)]
    assert ends_of(journey.frame) == call.ends.turned
    own = mac_number(UNDERLAY_MACS[journey.last.device])
    assert journey.frame[:12] == mac_number(ROUTER_MAC).to_bytes(6) + own.to_bytes(6)


def check_told(fabric: Fabric, call: Call, number: int, answer: Journey) -> None:
    """A router beyond the backend's device finds an answer too big: who sent it hears of that by the device that let
    its client in."""
    error = telling.error_about(
        answer.frame,
        CLIENTS[call.version][call.client],
        kind=telling.TOO_BIG[call.version],
        dst_mac=mac_number(UNDERLAY_MACS[DEVICES[call.device]]),
        src_mac=mac_number(ROUTER_MAC),
        rest=1300,
    )
    told = fabric.send(DEVICES[call.device], UPLINK, error)
    if told is not None:
        assert (told.end, workload_at(told.last.device, told.last.outcome.egress_port)) == (End.DELIVERED, number)
        assert telling.is_about(telling.told(told.frame), answer.frame, 0)


@searched(EXAMPLES // 2)
@given(
    states=st.sampled_from((frozenset({0, 1}), frozenset({0, 1}), frozenset({0}))).flatmap(
        lambda routers: st.lists(directs(routers), min_size=1, max_size=3)
    ),
    steps=STEPS,
)
def test_any_backends_that_answer_themselves(
    levels: Levels, states: list[Directs], steps: list[tuple[Call, bool, int, int]]
) -> None:
    present = states[0]
    fabric = Fabric({name: Comparison(levels[name]) for name in DEVICES}, policies_of(present))
    for call, tells, passing_ms, which in steps:
        journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
        number = check(present, call, journey) if journey is not None else None
        if journey is not None and number is not None:
            frame = answered_by(number, call.ends, "SA" if call.flags == "S" else "A")
            back = fabric.send(journey.last.device, port_of(number), frame)
            if back is not None:
                check_answer(call, number, back)
                if tells and back.end is End.LEFT:
                    check_told(fabric, call, number, back)
        for comparison in fabric.comparisons.values():
            comparison.wait(passing_ms)
        if which < len(states):
            present = states[which]
            fabric.adopt(policies_of(present))
            for name in DEVICES:
                fabric.write(name)
    fabric.compare_state()
