"""What clusters are held to: who may get a packet, and which connections must go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest

from runtime.verification import wire
from runtime.verification.ledger import Connection, Ledger
from runtime.verification.policies.plan import (
    PlannedDirection,
    PlannedNetwork,
    PlannedRedirect,
    PlannedRule,
    PlannedService,
    PlannedWorkload,
    PolicyPlan,
)
from runtime.verification.promises import promise
from runtime.verification.speaking import Ends, ends_of

CLIENT = PlannedWorkload(network=0, host=10, app="")
NEAR, FAR = PlannedWorkload(network=0, host=11), PlannedWorkload(network=0, host=12, place="dpu-b")
STRANGER = PlannedWorkload(network=1, host=10, app="")
PLAN = PolicyPlan(
    networks=(PlannedNetwork(), PlannedNetwork()),
    workloads=(CLIENT, NEAR, FAR, STRANGER),
    services=(PlannedService(network=0, host=10),),
)


def call(dst: str, port: int, protocol: int = wire.TCP) -> Ends:
    return Ends(protocol=protocol, src=ip_address("10.0.0.10"), src_port=1024, dst=ip_address(dst), dst_port=port)


@pytest.mark.parametrize(
    ("plan", "sender", "ends", "wanted"),
    [
        (
            PLAN,
            CLIENT,
            call("10.96.0.10", 80),
            "delivered to 10.0.0.11 port 8080, 10.0.0.12 port 8080, or dropped as flow_clash, flow_table_full",
        ),
        (
            replace(PLAN, underlay="split"),
            CLIENT,
            call("10.96.0.10", 80),
            "delivered to 10.0.0.11 port 8080, or dropped as flow_clash, flow_table_full, no_route",
        ),
        (
            replace(PLAN, workloads=(CLIENT,)),
            CLIENT,
            call("10.96.0.10", 80),
            "refused",
        ),
        (PLAN, CLIENT, call("10.96.0.10", 81), "left alone"),
        (PLAN, CLIENT, call("10.96.0.10", 80, wire.UDP), "left alone"),
        (PLAN, STRANGER, call("10.96.0.10", 80), "left alone"),
        (PLAN, STRANGER, call("10.0.0.11", 7), "left alone"),
        (PLAN, CLIENT, call("10.0.0.12", 7), "delivered to 10.0.0.12 port 7, or dropped as nothing"),
        (replace(PLAN, underlay="none"), CLIENT, call("10.0.0.12", 7), "left alone"),
    ],
)
def test_a_promise(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends, wanted: str) -> None:
    assert str(promise(plan, sender, ends)) == wanted


PROXY, FAR_PROXY = (
    PlannedWorkload(network=0, host=host, app="", place=place) for host, place in ((16, "dpu-a"), (18, "dpu-b"))
)
EVERYTHING = PlannedDirection()
MESH = replace(PLAN, proxies=(PROXY, FAR_PROXY))
OUT = PlannedRedirect(network=0, outbound=EVERYTHING)
IN = PlannedRedirect(network=0, app="web", inbound=EVERYTHING)
TO_FAR = call("10.0.0.12", 7)
BY_PROXY = "delivered to 10.0.0.12 port 7 by proxy 16, or dropped as flow_clash, flow_table_full"
BY_FAR_PROXY = "delivered to 10.0.0.12 port 7 by proxy 18, or dropped as flow_clash, flow_table_full"
DIRECT = "delivered to 10.0.0.12 port 7, or dropped as nothing"


def with_rules(redirect: PlannedRedirect, **rules: tuple[PlannedRule, ...]) -> PlannedRedirect:
    return replace(redirect, outbound=replace(EVERYTHING, **rules))


@pytest.mark.parametrize(
    ("plan", "sender", "flags", "wanted"),
    [
        (replace(MESH, redirects=(OUT,)), CLIENT, "S", BY_PROXY),
        (replace(MESH, redirects=(OUT,)), CLIENT, "SA", DIRECT),
        (replace(MESH, redirects=(OUT,)), PROXY, "S", DIRECT),
        (replace(MESH, redirects=(replace(OUT, network=1),)), CLIENT, "S", DIRECT),
        (replace(MESH, redirects=(replace(OUT, app="db"),)), CLIENT, "S", DIRECT),
        (replace(MESH, redirects=(replace(OUT, team="ops"),)), CLIENT, "S", DIRECT),
        (replace(MESH, redirects=(replace(OUT, team="ops", of_all_teams=True),)), CLIENT, "S", BY_PROXY),
        (replace(MESH, redirects=(with_rules(OUT, include=(PlannedRule(ports=(0,)),)),)), CLIENT, "S", BY_PROXY),
        (replace(MESH, redirects=(with_rules(OUT, include=(PlannedRule(ports=(1,)),)),)), CLIENT, "S", DIRECT),
        (replace(MESH, redirects=(with_rules(OUT, exclude=(PlannedRule(prefixes=(0,)),)),)), CLIENT, "S", DIRECT),
        (replace(MESH, redirects=(OUT, with_rules(OUT, deny=(PlannedRule(),)))), CLIENT, "S", "mesh_denied"),
        (replace(MESH, proxies=(), redirects=(OUT,)), CLIENT, "S", "no_proxy"),
        (replace(MESH, proxies=(), redirects=(replace(OUT, is_closed=False),)), CLIENT, "S", DIRECT),
        (replace(MESH, redirects=(IN,)), CLIENT, "S", BY_FAR_PROXY),
        (replace(MESH, redirects=(IN,)), PROXY, "S", BY_FAR_PROXY),
        (replace(MESH, redirects=(IN,)), FAR_PROXY, "S", DIRECT),
        (replace(MESH, proxies=(PROXY,), redirects=(IN,)), CLIENT, "S", "no_proxy"),
    ],
)
def test_a_promise_of_a_redirect(plan: PolicyPlan, sender: PlannedWorkload, flags: str, wanted: str) -> None:
    reasons = {"mesh_denied", "no_proxy"}
    expected = f"delivered to nobody, or dropped as {wanted}" if wanted in reasons else wanted
    assert str(promise(plan, sender, TO_FAR, flags)) == expected


def test_a_connection_to_a_proxy_itself_is_redirected_to_nobody() -> None:
    plan = replace(MESH, redirects=(OUT,))
    assert str(promise(plan, CLIENT, call("10.0.0.16", 7), "S")) == (
        "delivered to 10.0.0.16 port 7 by proxy 16, or dropped as nothing"
    )


def test_what_is_promised_behind_a_service() -> None:
    both = replace(MESH, redirects=(OUT, IN))
    called = call("10.96.0.10", 80)
    crowded = "or dropped as flow_clash, flow_table_full"
    assert str(promise(both, CLIENT, called, "S")) == f"delivered to 10.96.0.10 port 80 by proxy 16, {crowded}"
    near, far = "10.0.0.11 port 8080 by proxy 16", "10.0.0.12 port 8080 by proxy 18"
    inbound = replace(MESH, redirects=(IN,))
    assert str(promise(inbound, CLIENT, called, "S")) == f"delivered to {near}, {far}, {crowded}"


def opened(ledger: Ledger) -> Connection:
    called = call("10.96.0.10", 80)
    got = replace(called, dst=ip_address("10.0.0.11"), dst_port=8080)
    connection = Connection(
        client=CLIENT, server=NEAR, kept_at=frozenset({"dpu-a"}), called=called, to=got, seen_ms={True: 0, False: 0}
    )
    ledger.open(0, connection)
    return connection


def established(ledger: Ledger) -> Connection:
    connection = opened(ledger)
    ledger.saw(connection, is_client=True, flags="S", now_ms=0)
    ledger.saw(connection, is_client=False, flags="SA", now_ms=0)
    assert not connection.is_promised(0)
    ledger.saw(connection, is_client=True, flags="A", now_ms=0)
    return connection


def test_a_connection_is_promised_once_both_sides_have_said_more_than_a_syn() -> None:
    ledger = Ledger()
    connection = established(ledger)
    assert connection.is_promised(7_439_999)
    assert not connection.is_promised(7_440_000)
    assert ledger.of(0, connection.called) == (connection, True)
    assert ledger.of(0, connection.to.turned) == (connection, False)
    assert ledger.of(1, connection.called) == (None, False)


@pytest.mark.parametrize("flags", ["FA", "R", "RA"])
def test_a_closed_connection_is_promised_nothing(flags: str) -> None:
    ledger = Ledger()
    connection = established(ledger)
    ledger.saw(connection, is_client=False, flags=flags, now_ms=2)
    assert not connection.is_promised(2)


def test_a_connection_ends_with_its_workloads_and_with_the_device_that_keeps_it() -> None:
    ends: tuple[Callable[[Ledger], None], ...] = (
        lambda ledger: ledger.keep((CLIENT, FAR)),
        lambda ledger: ledger.forget("dpu-a"),
        lambda ledger: ledger.drop(0, call("10.96.0.10", 80)),
    )
    for end in ends:
        ledger = Ledger()
        connection = established(ledger)
        ledger.keep((CLIENT, NEAR))
        ledger.forget("dpu-b")
        assert connection.is_promised(1)
        end(ledger)
        assert not connection.is_promised(1)


def test_ends_are_read_from_the_innermost_packet() -> None:
    ends = call("10.0.0.11", 7, wire.UDP)
    segment = wire.udp(ends.src, ends.dst, ends.src_port, ends.dst_port)
    inner = wire.ethernet(1, 2, wire.ETHERTYPE_IPV4, wire.ip(ends.src, ends.dst, wire.UDP, segment))
    tunnel = wire.TunnelEnds(src=IPv4Address("192.0.2.2"), dst=IPv4Address("192.0.2.1"), src_mac=1, dst_mac=2)
    assert ends_of(inner) == ends_of(wire.tunnelled(tunnel, 5, inner)) == ends
    assert str(ends) == "UDP 10.0.0.10 port 1024 to 10.0.0.11 port 7"
    assert ends_of(inner[:20]) is None
