"""Clients outside of any policies, while these change: eBPF does what the interpreter does, and answers find back."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.pipeline.ports import FIRST_PORT
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Comparison
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.outsiders import (
    CLIENTS,
    DEVICES,
    PORTS,
    UPLINK,
    Call,
    Outside,
    answer,
    backend,
    calls,
    outsides,
    policies_of,
    port_of,
)
from runtime.verification.speaking import Ends, ends_of
from runtime.verification.telling import check_complaint
from tests.differential.searches import EXAMPLES, loaded_levels, searched, steps_of

pytestmark = [pytest.mark.root, pytest.mark.slow]
STEPS = steps_of(calls())


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


def check(outside: Outside, call: Call, journey: Journey) -> Ends | None:
    """What a backend got of a call, None when none did; that this is right."""
    network = outside.network_of(call)
    if call.is_flooded or network is None or call.port not in PORTS:
        assert journey.end is End.UNTOUCHED, journey
        return None
    offer = outside.offers[network]
    client = CLIENTS[call.version][call.client]
    if offer.bounds is not None and not offer.bounds.admit(client) and not journey.is_known:
        assert (journey.end, journey.last.outcome.drop_reason) == (End.DROPPED, "source_denied"), journey
        return None
    if not offer.backends(call.device) and not journey.is_known:
        assert journey.end in (End.ANSWERED, End.DROPPED), journey
        return None
    if journey.end is End.DROPPED:
        assert journey.last.outcome.drop_reason in ("flow_clash", "flow_table_full"), journey
        return None
    assert (journey.end, journey.last.outcome.egress_port) == (End.DELIVERED, port_of(network)), journey
    number, got = DEVICES.index(journey.last.device), ends_of(journey.frame)
    assert got is not None
    assert (got.dst, got.dst_port) == (backend(number, call.version), PORTS[call.port][1])
    own = got.src_port == call.src_port
    assert own or got.src_port >= FIRST_PORT, "another one where the client has its own in use to that backend"
    assert journey.is_known or number in offer.backends(call.device)
    assert got.src == client or client == got.dst, "a backend that looks like the client sees the network's gateway"
    return got


def check_answer(call: Call, journey: Journey) -> None:
    """It leaves the device that let the call in, for the client, from the address that was called."""
    assert (journey.end, journey.last.device) == (End.LEFT, DEVICES[call.device]), journey
    seen = ends_of(journey.frame)
    assert seen is not None
    assert (seen.src, seen.src_port) == call.called
    assert (seen.dst, seen.dst_port) == (CLIENTS[call.version][call.client], call.src_port)


@searched(EXAMPLES)
@given(states=st.lists(outsides(), min_size=1, max_size=3), steps=STEPS)
def test_any_clients_outside(levels: Levels, states: list[Outside], steps: list[tuple[Call, bool, int, int]]) -> None:
    present = states[0]
    fabric = Fabric({name: Comparison(levels[name]) for name in DEVICES}, policies_of(present))
    for call, tells, passing_ms, which in steps:
        journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
        got = check(present, call, journey) if journey is not None else None
        network = present.network_of(call)
        if journey is not None and got is not None and network is not None:
            answered = answer(call, network, got)
            back = fabric.send(journey.last.device, port_of(network), answered)
            if tells:
                check_complaint(fabric, journey, call.frame())
            if back is not None:
                check_answer(call, back)
                if tells:
                    check_complaint(fabric, back, answered)
        for comparison in fabric.comparisons.values():
            comparison.wait(passing_ms)
        if which < len(states):
            present = states[which]
            fabric.adopt(policies_of(present))
            for name in DEVICES:
                fabric.write(name)
    fabric.compare_state()
