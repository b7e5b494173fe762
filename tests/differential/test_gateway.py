"""Service gateways of any policies, while these change: eBPF does what the interpreter does, and answers find back."""

from __future__ import annotations

from collections.abc import Generator
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.pipeline.ports import FIRST_PORT, TRIES
from runtime.verification import wire
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Comparison
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.gateways import (
    CLIENTS,
    Call,
    Gateways,
    call_frame,
    calls,
    gateway_address,
    gateways,
    policies_of,
)
from runtime.verification.outsiders import DEVICES, PORTS, UPLINK, answered_to, backend, external, port_of
from runtime.verification.speaking import Ends, ends_of
from runtime.verification.telling import check_complaint
from tests.differential.searches import EXAMPLES, loaded_levels, searched, steps_of

pytestmark = [pytest.mark.root, pytest.mark.slow]
STEPS = steps_of(calls())
BOTH = frozenset({4, 6})


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


def check(world: Gateways, call: Call, journey: Journey) -> tuple[Ends, int] | None:
    """What a backend got of a call, and its network; None when none did. That this is right."""
    if not world.lets_in(call):
        assert journey.end is End.UNTOUCHED, journey
        return None
    backends = world.backends_at(call.device)
    if not backends and not journey.is_known:
        assert journey.end in (End.ANSWERED, End.DROPPED), journey
        return None
    if journey.end is End.DROPPED:
        denied = {"ingress_denied"} if world.isolated | world.closed else set[str]()
        gone = {"no_neighbor"} if journey.is_known else set[str]()  # to a network that no service crosses any more
        reasons = {"flow_clash", "flow_table_full"} | denied | gone
        assert journey.last.outcome.drop_reason in reasons, journey
        return None
    number, network = DEVICES.index(journey.last.device), (journey.last.outcome.egress_port or 0) - port_of(0)
    assert (journey.end, network in (0, 1)) == (End.DELIVERED, True), journey
    assert journey.is_known or (number, network) in backends - world.closed, journey
    got = ends_of(journey.frame)
    assert got is not None
    assert (got.dst, got.dst_port) == (backend(number, call.version), PORTS[call.port][1])
    assert got.src == gateway_address(call.device, call.version), "a backend sees the gateway, and no client"
    assert got.src_port >= FIRST_PORT
    return got, network


def check_answer(call: Call, journey: Journey) -> None:
    """It leaves the gateway that let the call in, for the client, from the address that was called."""
    assert (journey.end, journey.last.device) == (End.LEFT, DEVICES[call.device]), journey
    assert ends_of(journey.frame) == call.ends.turned


@searched(EXAMPLES // 3)
@given(states=st.lists(gateways(), min_size=1, max_size=3), steps=STEPS)
def test_any_gateways(levels: Levels, states: list[Gateways], steps: list[tuple[Call, bool, int, int]]) -> None:
    present = states[0]
    fabric = Fabric({name: Comparison(levels[name]) for name in DEVICES}, policies_of(present))
    for call, tells, passing_ms, which in steps:
        journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
        found = check(present, call, journey) if journey is not None else None
        if journey is not None and found is not None:
            got, network = found
            answer = answered_to(got, network, "SA" if call.flags == "S" else "A")
            back = fabric.send(journey.last.device, port_of(network), answer)
            if tells:
                check_complaint(fabric, journey, call.frame())
            if back is not None:
                check_answer(call, back)
                if tells:
                    check_complaint(fabric, back, answer)
        for comparison in fabric.comparisons.values():
            comparison.wait(passing_ms)
        if which < len(states):
            present = states[which]
            fabric.adopt(policies_of(present))
            for name in DEVICES:
                fabric.write(name)
    fabric.compare_state()


SLOTS = 256
ALONE = Gateways(families=(BOTH, frozenset()), backends=frozenset({(0, 0)}))


@pytest.fixture(scope="module")
def larger() -> Generator[Levels]:
    """With room for all connections of the test below."""
    with loaded_levels(SLOTS) as made:
        yield made


@pytest.mark.parametrize("version", [4, 6])
def test_ports_run_out_cleanly(larger: Levels, version: int) -> None:
    """At one instant all draw alike: one client keeps its port, as many as there are tries find another one, the next
    finds none; those that have one go on. At another instant others are drawn."""
    fabric = Fabric({name: Comparison(larger[name]) for name in DEVICES}, policies_of(ALONE))
    sources = [ip_address(int(CLIENTS[version][0]) + number) for number in range(TRIES + 3)]
    ends = [Ends(protocol=wire.TCP, src=s, src_port=4000, dst=external(0, version), dst_port=80) for s in sources]
    found = [fabric.send(DEVICES[0], UPLINK, call_frame(one, 0)) for one in ends]
    journeys = [journey for journey in found if journey is not None]
    seen = [ends_of(journey.frame) for journey in journeys if journey.end is End.DELIVERED]
    ports = [one.src_port for one in seen if one is not None]
    assert (len(ports), len(set(ports)), ports[0]) == (TRIES + 1, TRIES + 1, 4000)
    assert min(ports) >= FIRST_PORT
    assert {journey.last.outcome.drop_reason for journey in journeys[TRIES + 1 :]} == {"no_source_port"}
    for one, port in zip(ends, ports, strict=False):
        got = Ends(
            protocol=wire.TCP, src=gateway_address(0, version), src_port=port, dst=backend(0, version), dst_port=8080
        )
        back = fabric.send(DEVICES[0], port_of(0), answered_to(got, 0, "SA"))
        assert back is not None
        assert ends_of(back.frame) == one.turned, "each answer goes to the client that has the port"
    for comparison in fabric.comparisons.values():
        comparison.wait(1)
    again = fabric.send(DEVICES[0], UPLINK, call_frame(ends[-1], 0))
    assert again is not None
    assert again.end is End.DELIVERED
    for comparison in fabric.comparisons.values():
        comparison.wait(3_600_000)
        comparison.sweep()
    after = fabric.send(DEVICES[0], UPLINK, call_frame(ends[-2], 0))
    assert after is not None
    kept = ends_of(after.frame)
    assert kept is not None
    assert kept.src_port == 4000, "ports of connections that are over are free again"
    fabric.compare_state()
