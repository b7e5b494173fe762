"""Mesh redirect in the pipeline: what goes to the proxy, what does not, and what never comes back to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, GroupRef, TableEntry, WeightedMember
from compiler.ir.interpreter import Interpreter, Model, Outcome, VerdictKind
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load
from runtime.verification.shop import Clock
from runtime.verification.vector import in_order

MESH = Path(__file__).parents[3] / "examples" / "mesh.yaml"
CLIENT, PLAIN, WEB_1, BLUE_CLIENT, ENVOY, ENVOY_BLUE = 16, 17, 18, 20, 30, 31
ADDRESSES = {
    4: {"client": "10.1.0.10", "plain": "10.1.0.11", "web-1": "10.1.0.12", "web-2": "10.1.0.13", "envoy": "10.1.0.250"},
    6: {"client": "fd00:10:1::10", "plain": "fd00:10:1::11", "web-1": "fd00:10:1::12", "web-2": "fd00:10:1::13"},
}
VIP = {4: "10.96.0.10", 6: "fd00:10:96::10"}
Chosen = Callable[[TableEntry], bool]


def everything(_: TableEntry) -> bool:
    return True


class Device:
    """dpu-a of examples/mesh.yaml on the interpreter; `chosen` leaves entries out."""

    def __init__(self, chosen: Chosen = everything) -> None:
        loaded = load([MESH])
        assert not loaded.diagnostics
        device = next(d for d in loaded.policies.devices if d.name == "dpu-a")
        entries = compile_entries(loaded.policies, device).entries
        self.model = Model(pipeline(), hash_seed=7)
        kept = tuple(entry for entry in entries.table_entries if chosen(entry))
        for change in in_order(Entries(members=entries.members, groups=entries.groups, table_entries=kept)):
            self.model.insert(change)
        self.rules = [e for e in entries.table_entries if e.table.startswith(("outbound", "inbound"))]
        self.interpreter = Interpreter(self.model, clock=Clock(), random=lambda _: 0)

    def send(self, port: int, packet: Packet) -> Outcome:
        return self.interpreter.process(port, bytes(packet))


def segment(src: str, dst: str, dport: int, flags: str = "S", sport: int = 40000) -> Packet:
    ip = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)
    return Ether(src="02:00:00:00:00:99", dst="02:00:00:00:00:98") / ip / TCP(sport=sport, dport=dport, flags=flags)


def went(outcome: Outcome) -> tuple[VerdictKind, int | None, str | None]:
    return outcome.verdict, outcome.egress_port, outcome.drop_reason


def to(port: int) -> tuple[VerdictKind, int | None, str | None]:
    return VerdictKind.FORWARD, port, None


def dropped(reason: str) -> tuple[VerdictKind, int | None, str | None]:
    return VerdictKind.DROP, None, reason


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("destination", "port"), [("vip", 80), ("web-1", 8080), ("web-2", 1234)])
def test_what_the_client_opens_goes_to_the_proxy_as_it_is(version: int, destination: str, port: int) -> None:
    device, client = Device(), ADDRESSES[version]["client"]
    address = VIP[version] if destination == "vip" else ADDRESSES[version][destination]
    for flags in ("S", "A", "PA"):
        outcome = device.send(CLIENT, segment(client, address, port, flags))
        assert went(outcome) == to(ENVOY)
        ip = Ether(outcome.packet)[IP if version == 4 else IPv6]
        assert (ip.src, ip.dst, ip[TCP].sport, ip[TCP].dport) == (client, address, 40000, port)
    reply = segment(address, client, 40000, "SA", sport=port)
    assert went(device.send(ENVOY, reply)) == to(CLIENT)


def test_the_rest_does_not() -> None:
    device, own = Device(), ADDRESSES[4]
    assert went(device.send(PLAIN, segment(own["plain"], own["client"], 80))) == to(CLIENT)
    assert went(device.send(CLIENT, segment(own["client"], own["plain"], 22))) == to(PLAIN)
    assert went(device.send(PLAIN, segment(own["plain"], own["web-1"], 22))) == to(WEB_1)
    datagram = Ether(src="02:00:00:00:00:99") / IP(src=own["client"], dst=own["plain"]) / UDP(sport=1, dport=2)
    assert went(device.send(CLIENT, datagram)) == to(PLAIN)


def test_what_is_opened_to_the_server_goes_to_the_proxy() -> None:
    device, own = Device(), ADDRESSES[4]
    assert went(device.send(PLAIN, segment(own["plain"], own["web-1"], 8080))) == to(ENVOY)


def test_a_backend_behind_a_service_is_asked_for_as_well() -> None:
    """As on the device of a remote backend: the proxy gets the backend's address, its answers have the service's."""
    device, own = Device(), ADDRESSES[4]
    ports = range(40000, 40016)
    opened = {port: device.send(PLAIN, segment(own["plain"], VIP[4], 80, sport=port)) for port in ports}
    assert {outcome.egress_port for outcome in opened.values()} == {1, ENVOY}
    sport = next(port for port in ports if opened[port].egress_port == ENVOY)
    ip = Ether(opened[sport].packet)[IP]
    assert (ip.src, ip.dst, ip[TCP].dport) == (own["plain"], own["web-1"], 8080)
    outcome = device.send(ENVOY, segment(own["web-1"], own["plain"], sport, "SA", sport=8080))
    assert went(outcome) == to(PLAIN)
    assert (Ether(outcome.packet)[IP].src, Ether(outcome.packet)[TCP].sport) == (VIP[4], 80)


def test_what_is_denied_goes_nowhere() -> None:
    device, own = Device(), ADDRESSES[4]
    for port in (7000, 7999):
        assert went(device.send(CLIENT, segment(own["client"], own["web-2"], port))) == dropped("mesh_denied")
    assert went(device.send(CLIENT, segment(own["client"], own["web-2"], 8000))) == to(ENVOY)


@pytest.mark.parametrize("flags", ["A", "PA", "SA", "FA", "R", "RA"])
def test_connections_that_were_there_before_the_policy_stay(flags: str) -> None:
    device, own = Device(), ADDRESSES[4]
    assert went(device.send(CLIENT, segment(own["client"], own["web-1"], 8080, flags))) == to(WEB_1)


def test_connections_stay_with_the_proxy_when_the_policy_goes() -> None:
    device, own = Device(), ADDRESSES[4]
    device.send(CLIENT, segment(own["client"], own["web-1"], 8080))
    for rule in device.rules:
        device.model.delete(rule.key)
    assert went(device.send(CLIENT, segment(own["client"], own["web-1"], 8080, "A"))) == to(ENVOY)
    assert went(device.send(CLIENT, segment(own["client"], own["web-1"], 8080, sport=40001))) == to(WEB_1)


def test_the_proxy_is_never_sent_its_own_packets() -> None:
    device, own = Device(), ADDRESSES[4]
    device.send(CLIENT, segment(own["client"], own["web-1"], 8080))
    for source in (own["envoy"], own["client"]):
        assert went(device.send(ENVOY, segment(source, own["web-1"], 8080))) == to(WEB_1)


def test_the_proxy_calls_services_and_gets_their_answers() -> None:
    device, own = Device(), ADDRESSES[4]
    ports = range(40000, 40016)
    opened = [device.send(ENVOY, segment(own["envoy"], VIP[4], 80, sport=port)) for port in ports]
    assert {outcome.egress_port for outcome in opened} == {1, WEB_1}
    sport = next(port for port, outcome in zip(ports, opened, strict=True) if outcome.egress_port == WEB_1)
    outcome = device.send(WEB_1, segment(own["web-1"], own["envoy"], sport, "SA", sport=8080))
    assert went(outcome) == to(ENVOY)
    assert Ether(outcome.packet)[IP].src == VIP[4]


def test_a_connection_to_the_proxy_itself_is_none_of_the_mesh() -> None:
    device, own = Device(), ADDRESSES[4]
    outcome = device.send(CLIENT, segment(own["client"], own["envoy"], 9901))
    assert went(outcome) == to(ENVOY)
    assert not list(device.model.learned("flow_ipv4"))


@pytest.mark.parametrize(
    ("port", "src", "dst", "dport", "expected"),
    [
        (CLIENT, "client", "web-2", 8080, dropped("no_proxy")),
        (CLIENT, "client", "web-1", 8080, dropped("no_proxy")),
        (PLAIN, "plain", "web-1", 8080, to(WEB_1)),
        (CLIENT, "client", "plain", 22, to(PLAIN)),
    ],
)
def test_without_a_proxy(
    port: int, src: str, dst: str, dport: int, expected: tuple[VerdictKind, int | None, str | None]
) -> None:
    own = ADDRESSES[4]
    gone, down = Device(lambda entry: not entry.table.startswith("proxy_")), Device()
    down.model.set_port(ENVOY, is_up=False)
    for device in (gone, down):
        assert went(device.send(port, segment(own[src], own[dst], dport))) == expected


def test_two_networks_with_equal_addresses() -> None:
    device, own = Device(), ADDRESSES[4]
    same = segment(own["client"], own["web-1"], 8080)
    assert went(device.send(CLIENT, same)) == to(ENVOY)
    assert went(device.send(BLUE_CLIENT, same)) == to(ENVOY_BLUE)
    answer = segment(own["web-1"], own["client"], 40000, "SA", sport=8080)
    assert went(device.send(ENVOY, answer)) == to(CLIENT)
    assert went(device.send(ENVOY_BLUE, answer)) == to(BLUE_CLIENT)


def test_groups_watch_the_ports_of_their_proxies() -> None:
    loaded = load([MESH])
    device = loaded.policies.devices[0]
    entries = compile_entries(loaded.policies, device).entries
    watched = {
        (group.selector, group.id): [member.watched_port for member in group.members]
        for group in entries.groups
        if group.selector.startswith("proxies_")
    }
    assert watched == {
        ("proxies_ipv4", 1): [ENVOY],
        ("proxies_ipv4", 2): [ENVOY_BLUE],
        ("proxies_ipv6", 1): [ENVOY],
    }
    bound = {e.table: e.action for e in entries.table_entries if e.table.startswith("proxy_ipv6")}
    assert bound == {"proxy_ipv6": GroupRef(group_id=1)}
    assert all(isinstance(m, WeightedMember) for g in entries.groups for m in g.members)
