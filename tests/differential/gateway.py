"""Service gateways of any policies, while these change: answers find back."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st

from compiler.pipeline.ports import FIRST_PORT
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Compared
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.gateways import Call, Gateways, calls, gateway_address, gateways, policies_of
from runtime.verification.outsiders import DEVICES, PORTS, UPLINK, answered_to, backend, port_of
from runtime.verification.speaking import Ends, ends_of
from tests.differential.changing_worlds import answer_back, play_changes, some_of


def search_gateway(levels: Levels, data: st.DataObject) -> Compared:
    return play_changes(levels, data, worlds=some_of(gateways()), calls=calls(), policies_of=policies_of, meet=_meet)


def _meet(fabric: Fabric, present: Gateways, call: Call, tells: bool) -> None:
    journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
    found = _check(present, call, journey) if journey is not None else None
    if journey is None or found is None:
        return
    got, network = found
    answer = answered_to(got, network, "SA" if call.flags == "S" else "A")
    check = partial(_check_answer, call)
    answer_back(fabric, journey, call.frame(), port_of(network), answer, check, tells=tells)


def _check(world: Gateways, call: Call, journey: Journey) -> tuple[Ends, int] | None:
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


def _check_answer(call: Call, journey: Journey) -> None:
    """It leaves the gateway that let the call in, for the client, from the address that was called."""
    assert (journey.end, journey.last.device) == (End.LEFT, DEVICES[call.device]), journey
    assert ends_of(journey.frame) == call.ends.turned
