"""Backends of any policies that answer by themselves, while these change.

One gets what was sent, and its answer leaves at its own device. It gets another source port of a connection that comes
by another device while its own knows one with the same ends; answers have the client's again.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from compiler.entries.vocabulary import mac_number
from runtime.verification import telling
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Compared
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
from runtime.verification.speaking import Ends, ends_of
from tests.differential.changing_worlds import play_changes, some_of

_ROUTERS = st.sampled_from((frozenset({0, 1}), frozenset({0, 1}), frozenset({0})))
_CROWDED = {"flow_clash", "flow_table_full"}
_GONE = {"no_neighbor", "no_route"}
"""Of connections that are known while nothing leads there any more."""


def search_direct(levels: Levels, data: st.DataObject) -> Compared:
    worlds = _ROUTERS.flatmap(lambda routers: some_of(directs(routers)))
    return play_changes(levels, data, worlds=worlds, calls=calls(), policies_of=policies_of, meet=meet)


def meet(fabric: Fabric, present: Directs, call: Call, tells: bool) -> None:
    """Somebody calls and is answered; then told of as too big, if somebody tells."""
    journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
    met = _check(present, call, journey) if journey is not None else None
    if journey is None or met is None:
        return
    number, got = met
    frame = answered_by(number, got, "SA" if call.flags == "S" else "A")
    back = fabric.send(journey.last.device, port_of(number), frame)
    if back is not None:
        _check_answer(call, number, back)
        if tells and back.end is End.LEFT and got == call.ends:
            _check_told(fabric, call, number, back)


def _check(world: Directs, call: Call, journey: Journey) -> tuple[int, Ends] | None:
    """The workload that got a call to the address that was called, and what it got; None when none did. That it is
    right."""
    if call.device not in world.routers:
        assert journey.end is End.UNTOUCHED, journey
        return None
    if not world.chosen(call.device) and not journey.is_known:
        assert journey.end in (End.ANSWERED, End.DROPPED), journey
        return None
    if journey.end is End.DROPPED:
        denied = {"ingress_denied"} if world.closed else set[str]()
        reasons = _CROWDED | denied | (_GONE if journey.is_known else set[str]())
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
    assert got == call.ends or device_of(number) != call.device, journey
    assert replace(got, src_port=call.src_port) == call.ends, journey
    return number, got


def _check_answer(call: Call, number: int, journey: Journey) -> None:
    """It leaves the backend's own device, for the client, by the router."""
    if journey.end is End.DROPPED and journey.is_known:
        assert journey.last.outcome.drop_reason in _GONE, journey
        return
    assert (journey.end, len(journey.hops)) == (End.LEFT, 1), journey
    assert journey.last.device == DEVICES[device_of(number)]
    assert ends_of(journey.frame) == call.ends.turned
    own = mac_number(UNDERLAY_MACS[journey.last.device])
    assert journey.frame[:12] == mac_number(ROUTER_MAC).to_bytes(6) + own.to_bytes(6)


def _check_told(fabric: Fabric, call: Call, number: int, answer: Journey) -> None:
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
