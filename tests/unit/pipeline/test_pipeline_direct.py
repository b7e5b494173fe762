"""Direct server return: a backend gets a packet as it was sent, and its answer leaves at its own device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from compiler.entries.vocabulary import mac_number
from compiler.ir.interpreter import VerdictKind
from compiler.pipeline.assembly import pipeline
from runtime.verification import telling, wire
from runtime.verification.comparison import Comparison
from runtime.verification.directs import (
    WORKLOADS,
    Call,
    Directs,
    address_of,
    answered_by,
    cluster_ip,
    device_of,
    external,
    mac_of,
    policies_of,
    port_of,
    sent_by,
    workload_at,
)
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.frames import recomputed
from runtime.verification.outsiders import CLIENTS, DEVICES, ROUTER_MAC, UNDERLAY_MACS, UPLINK
from runtime.verification.speaking import Ends, ends_of

BOTH = pytest.mark.parametrize("version", [4, 6])
ALL = Directs(backends=frozenset(WORKLOADS))
FAR = Directs(backends=frozenset({2, 3}))
"""Backends behind the second device alone; clients come in by the first one."""
PORTS = pytest.mark.parametrize("port", [80, 53, 3868])


def fabric_of(world: Directs) -> Fabric:
    return Fabric({name: Comparison((), pipeline=pipeline()) for name in DEVICES}, policies_of(world))


def send(fabric: Fabric, call: Call) -> Journey:
    journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
    assert journey is not None
    return journey


def backend_of(journey: Journey) -> int:
    """Who got it."""
    assert journey.end is End.DELIVERED, journey
    number = workload_at(journey.last.device, journey.last.outcome.egress_port)
    assert number is not None
    return number


def answer(fabric: Fabric, call: Call, workload: int, flags: str = "SA") -> Journey:
    frame = answered_by(workload, call.ends, flags)
    journey = fabric.send(DEVICES[device_of(workload)], port_of(workload), frame)
    assert journey is not None
    return journey


def check_answer(call: Call, workload: int, journey: Journey) -> None:
    """It leaves the backend's own device, for the router of the underlay."""
    name = DEVICES[device_of(workload)]
    assert (journey.end, len(journey.hops), journey.last.device) == (End.LEFT, 1, name), journey
    assert journey.last.outcome.egress_port == UPLINK
    built = Ether(journey.frame)
    assert (built.src, built.dst) == (UNDERLAY_MACS[name], ROUTER_MAC)
    assert ends_of(journey.frame) == call.ends.turned
    if call.port != 3868:
        assert recomputed(journey.frame) == journey.frame


@BOTH
@PORTS
def test_a_backend_gets_the_packet_as_it_was_sent_and_answers_by_its_own_device(version: int, port: int) -> None:
    fabric, reached = fabric_of(ALL), set[int]()
    for src_port in range(4000, 4040):
        call = Call(version=version, src_port=src_port, port=port)
        journey = send(fabric, call)
        number = backend_of(journey)
        reached.add(number)
        assert ends_of(journey.frame) == call.ends
        assert Ether(journey.frame).dst == mac_of(number)
        if port != 3868:
            assert recomputed(journey.frame) == journey.frame
        check_answer(call, number, answer(fabric, call, number))
        again = send(fabric, replace(call, flags="A"))
        assert (backend_of(again), again.is_known) == (number, True)
    assert reached == set(WORKLOADS), "two behind each device, told apart by their MAC addresses alone"


@BOTH
def test_every_device_sends_a_connection_to_the_same_backend(version: int) -> None:
    """A router that sends a connection's packets by another device changes nothing: rings are alike."""
    first, second = fabric_of(ALL), fabric_of(ALL)
    for src_port in range(4000, 4040):
        calls = (Call(version=version, src_port=src_port, device=device) for device in (0, 1))
        here, there = (backend_of(send(fabric, call)) for fabric, call in zip((first, second), calls, strict=True))
        assert here == there


@BOTH
def test_the_backends_own_device_knows_a_connection_by_one_way_alone(version: int) -> None:
    """Its answers would be those of two connections: what comes by another way is dropped."""
    fabric = fabric_of(FAR)
    call = Call(version=version)
    backend_of(send(fabric, call))
    other = send(fabric, replace(call, device=1, flags="A"))
    assert (other.end, other.last.outcome.drop_reason) == (End.DROPPED, "flow_clash")


@BOTH
def test_a_backend_that_comes_back_has_its_place_in_the_ring(version: int) -> None:
    selector = f"backends_ipv{version}"
    fabric = fabric_of(ALL)
    held = {m.id for m in fabric.held[DEVICES[0]].members if m.selector == selector}
    fabric.adopt(policies_of(replace(ALL, backends=frozenset({0, 2}))))
    fabric.write(DEVICES[0])
    fabric.adopt(policies_of(ALL))
    fabric.write(DEVICES[0])
    assert {m.id for m in fabric.held[DEVICES[0]].members if m.selector == selector} == held


@BOTH
def test_the_cluster_ip_is_served_as_ever(version: int) -> None:
    fabric = fabric_of(FAR)
    ends = Ends(protocol=wire.TCP, src=address_of(0, version), src_port=4000, dst=cluster_ip(version), dst_port=80)
    journey = fabric.send(DEVICES[0], port_of(0), sent_by(0, ends, "S"))
    assert journey is not None
    number, got = backend_of(journey), ends_of(journey.frame)
    assert got is not None
    assert got.dst == address_of(number, version)
    back = fabric.send(DEVICES[1], port_of(number), answered_by(number, got, "SA"))
    assert back is not None
    assert (backend_of(back), ends_of(back.frame)) == (0, ends.turned)


@BOTH
@pytest.mark.parametrize("backend", [1, 2])
def test_a_workload_of_the_network_calls_the_address_too(version: int, backend: int) -> None:
    fabric = fabric_of(Directs(backends=frozenset({backend})))
    ends = Ends(protocol=wire.TCP, src=address_of(0, version), src_port=4000, dst=external(version), dst_port=80)
    journey = fabric.send(DEVICES[0], port_of(0), sent_by(0, ends, "S"))
    assert journey is not None
    assert (backend_of(journey), ends_of(journey.frame)) == (backend, ends)
    back = fabric.send(DEVICES[device_of(backend)], port_of(backend), answered_by(backend, ends, "SA"))
    assert back is not None
    assert (backend_of(back), ends_of(back.frame)) == (0, ends.turned)
    again = fabric.send(DEVICES[0], port_of(0), sent_by(0, ends, "A"))
    assert again is not None
    assert (backend_of(again), again.is_known) == (backend, True)


@BOTH
def test_a_client_outside_and_a_workload_of_one_address_are_not_mixed_up(version: int) -> None:
    """What both are answered would look alike, and nobody could translate it back."""
    fabric = fabric_of(Directs(backends=frozenset({1})))
    call = Call(version=version, client=1)
    assert CLIENTS[version][1] == address_of(0, version)
    assert backend_of(send(fabric, call)) == 1
    inside = fabric.send(DEVICES[0], port_of(0), sent_by(0, call.ends, "S"))
    assert inside is not None
    assert (inside.end, inside.last.outcome.drop_reason) == (End.DROPPED, "flow_clash")


@BOTH
def test_a_backend_whose_device_knows_no_router_gets_nothing(version: int) -> None:
    fabric = fabric_of(replace(ALL, routers=frozenset({0})))
    calls = [Call(version=version, src_port=port) for port in range(4000, 4040)]
    assert {backend_of(send(fabric, call)) for call in calls} == {0, 1}


@BOTH
@PORTS
def test_without_backends_it_is_refused(version: int, port: int) -> None:
    journey = send(fabric_of(Directs(backends=frozenset())), Call(version=version, port=port))
    assert journey.end is End.ANSWERED
    if port == 80:
        assert Ether(journey.frame)[TCP].flags == "RA"


@BOTH
@pytest.mark.parametrize("closed", [0, 2])
def test_network_policies_of_a_backend_hold(version: int, closed: int) -> None:
    world = Directs(backends=frozenset({closed, closed + 1}), closed=frozenset({closed}))
    fabric, ends = fabric_of(world), set[End]()
    for src_port in range(4000, 4020):
        journey = send(fabric, Call(version=version, src_port=src_port))
        ends.add(journey.end)
        if journey.end is End.DELIVERED:
            assert backend_of(journey) == closed + 1
        else:
            assert journey.last.outcome.drop_reason == "ingress_denied"
    assert ends == {End.DELIVERED, End.DROPPED}


def profiles(fabric: Fabric, device: int) -> list[str]:
    """Of the halves that a device has learned, sorted."""
    level = fabric.comparisons[DEVICES[device]].reference
    return sorted(e.profile for e in level.learned("flow_ipv4") + level.learned("flow_reverse_ipv4"))


@pytest.mark.parametrize("port", [80, 3868])
def test_a_connection_lives_by_what_its_client_says(port: int) -> None:
    """At the device that lets it in; the backend's sees both sides."""
    fabric = fabric_of(Directs(backends=frozenset({2})))
    call = Call(port=port)
    for flags, wanted in (
        ("S", "direct_new"),
        ("A", "direct_open"),
        ("S", "direct_open"),
        ("FA", "direct_closing"),
        ("A", "direct_closing"),
        ("S", "direct_new"),
        ("A", "direct_open"),
        ("R", "direct_closing"),
    ):
        send(fabric, replace(call, flags=flags))
        assert wanted in profiles(fabric, 0), flags
    fabric.comparisons[DEVICES[0]].wait(120_000)
    fabric.comparisons[DEVICES[0]].sweep()
    assert profiles(fabric, 0) == []


def test_one_that_is_open_may_be_idle_for_a_quarter_of_an_hour() -> None:
    fabric = fabric_of(Directs(backends=frozenset({2})))
    send(fabric, Call())
    send(fabric, Call(flags="A"))
    entrance = fabric.comparisons[DEVICES[0]]
    entrance.wait(899_999)
    entrance.sweep()
    assert "direct_open" in profiles(fabric, 0)
    entrance.wait(1)
    entrance.sweep()
    assert profiles(fabric, 0) == []


@BOTH
@PORTS
@pytest.mark.parametrize("backend", [0, 2])
def test_icmp_errors_about_answers_come_to_the_backend(version: int, port: int, backend: int) -> None:
    """A router on the way tells the address that answered; the device that let the client in knows whose it is."""
    fabric = fabric_of(Directs(backends=frozenset({backend})))
    call = Call(version=version, port=port)
    send(fabric, call)
    answered = answer(fabric, call, backend)
    error = telling.error_about(
        answered.frame,
        CLIENTS[version][0],
        kind=telling.TOO_BIG[version],
        dst_mac=mac_number(UNDERLAY_MACS[DEVICES[0]]),
        src_mac=mac_number(ROUTER_MAC),
        rest=1300,
    )
    told = fabric.send(DEVICES[0], UPLINK, error)
    assert told is not None
    assert backend_of(told) == backend
    found = telling.told(told.frame)
    assert (found.dst, found.quoted[:1]) == (external(version), telling.packet_of(answered.frame)[:1])
    assert telling.is_about(found, answered.frame, 0)


@BOTH
@PORTS
@pytest.mark.parametrize("backend", [0, 2])
def test_icmp_errors_of_a_backend_leave_by_themselves(version: int, port: int, backend: int) -> None:
    fabric = fabric_of(Directs(backends=frozenset({backend})))
    call = Call(version=version, port=port)
    journey = send(fabric, call)
    error = telling.complaint(journey.frame, external(version), kind=telling.UNREACHABLE[version])
    told = fabric.send(journey.last.device, port_of(backend), error)
    assert told is not None
    assert (told.end, told.last.device, len(told.hops)) == (End.LEFT, DEVICES[device_of(backend)], 1)
    found = telling.told(told.frame)
    assert (found.src, found.dst) == (external(version), CLIENTS[version][0])


@BOTH
def test_a_backend_that_was_removed_keeps_its_connections(version: int) -> None:
    fabric = fabric_of(FAR)
    call = Call(version=version)
    number = backend_of(send(fabric, call))
    check_answer(call, number, answer(fabric, call, number))
    fabric.adopt(policies_of(replace(FAR, backends=FAR.backends - {number})))
    for name in DEVICES:
        fabric.write(name)
    assert backend_of(send(fabric, replace(call, flags="A"))) == number
    check_answer(call, number, answer(fabric, call, number, "A"))
    other = send(fabric, replace(call, src_port=4001))
    assert backend_of(other) != number


def test_what_a_backend_says_unasked_is_the_hosts() -> None:
    fabric = fabric_of(FAR)
    journey = answer(fabric, Call(), 2)
    assert journey.last.outcome.verdict is VerdictKind.TO_KERNEL
