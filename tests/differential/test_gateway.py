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
from runtime.verification.fabric import End, Fabric
from runtime.verification.gateways import CLIENTS, Gateways, call_frame, gateway_address, policies_of
from runtime.verification.outsiders import DEVICES, UPLINK, answered_to, backend, external, port_of
from runtime.verification.speaking import Ends, ends_of
from tests.differential.gateway import search_gateway
from tests.differential.searches import EXAMPLES, loaded_levels, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]
BOTH = frozenset({4, 6})


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


@searched(EXAMPLES // 3)
@given(data=st.data())
def test_any_gateways(levels: Levels, data: st.DataObject) -> None:
    search_gateway(levels, data)


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
