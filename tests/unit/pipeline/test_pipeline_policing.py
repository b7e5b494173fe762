"""NetworkPolicies by hand: what is asked, of which packets, in which order, and that answers need no rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from compiler.ir.interpreter import Outcome, VerdictKind
from compiler.ir.interpreter.trace import Hit, Missed
from compiler.pipeline.metadata import LEG_PROXY
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.policing import STEMS
from compiler.pipeline.portable import portable_pipeline
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    NEXTHOPS,
    SHOP,
    UPLINK,
    VIP,
    WEB_1_PORT,
    Node,
)
from tests.unit.pipeline.test_pipeline_outside import OUTSIDE, call, entrance

BOTH = pytest.mark.parametrize("version", [4, 6])
ALL, ALL_TCP = (0, 0), (6 << 24, 8)
EGRESS, INGRESS = 7, 8


def opening(src_port: int, dst_port: int) -> Packet:
    return tcp(src_port, dst_port, "S")


def tcp_port(number: int) -> tuple[int, int]:
    return 6 << 24 | number << 8, 24


@dataclass
class Policed:
    """Device A of the shop, some of whose workloads have policies."""

    version: int
    node: Node = field(default_factory=Node)

    def isolate(self, who: str, egress: int = 0, ingress: int = 0, *, reply_leg: int = 0) -> None:
        book, family, hop = self.node.book, f"ipv{self.version}", NEXTHOPS[who]
        source = book.call("isolate_source", policy=egress)
        receiver = book.call("isolate_destination", policy=ingress, nexthop=hop, reply_leg=reply_leg)
        address = f"{ADDRESSES[self.version][who]}/{32 if self.version == 4 else 128}"
        self.node.model.insert(book.entry(f"isolated_source_{family}", source, network=SHOP, nexthop=hop))
        self.node.model.insert(book.entry(f"isolated_destination_{family}", receiver, network=SHOP, address=address))

    def allow(self, direction: str, policy: int, peer: str, *ports: tuple[int, int]) -> None:
        """A prefix, and prefixes of protocol and port; none: nothing."""
        book, family = self.node.book, f"ipv{self.version}"
        number = 1 + len(self.node.model.entries(f"{direction}_peer_{family}")) if ports else 0
        call = book.call("has_ports", ports=number)
        self.node.model.insert(book.entry(f"{direction}_peer_{family}", call, policy=policy, peer=peer))
        for value, length in ports:
            allow = book.call(f"allow_{direction}_{family}")
            key = f"{ip_address(value)}/{length}"
            self.node.model.insert(book.entry(f"{direction}_port_{family}", allow, ports=number, port=key))

    def send(self, src: str, dst: str, transport: Packet, *, port: int | None = None) -> str:
        """Where it went, or why not."""
        ports = {"client": CLIENT_PORT, "web-1": WEB_1_PORT}
        addresses = ADDRESSES[self.version]
        built = frame(addresses.get(src, src), addresses.get(dst, dst), transport)
        return self.fate(self.node.interpreter.process(port or ports[src], bytes(built)))

    def fate(self, outcome: Outcome) -> str:
        self.last = outcome
        if outcome.verdict is VerdictKind.FORWARD:
            return {CLIENT_PORT: "client", WEB_1_PORT: "web-1", UPLINK: "uplink"}[outcome.egress_port or 0]
        return outcome.drop_reason or outcome.verdict.value

    @property
    def asked(self) -> set[str]:
        tables = {step.table for step in self.last.trace if isinstance(step, Hit | Missed)}
        return {table.rpartition("_")[0] for table in tables} & set(STEMS)


def everybody(version: int) -> str:
    return "0.0.0.0/0" if version == 4 else "::/0"


def only(version: int, who: str) -> str:
    return f"{ADDRESSES[version][who]}/{32 if version == 4 else 128}"


def echo(version: int) -> Packet:
    return ICMP() if version == 4 else ICMPv6EchoRequest()


@BOTH
def test_without_policies_nothing_is_learned(version: int) -> None:
    shop = Policed(version)
    assert shop.send("client", "web-1", tcp(1000, 80, "S")) == "web-1"
    assert shop.node.model.learned(f"flow_ipv{version}") == ()


@BOTH
def test_who_has_a_policy_of_no_rule_opens_nothing_and_answers(version: int) -> None:
    shop = Policed(version)
    shop.isolate("client", EGRESS, INGRESS)
    assert shop.send("client", "web-1", tcp(1000, 80, "S")) == "egress_denied"
    assert shop.send("client", "web-1", udp(1000, 80)) == "egress_denied"
    assert shop.send("web-1", "client", tcp(1000, 80, "S")) == "ingress_denied"
    assert shop.send("web-1", "client", tcp(1000, 80, "A")) == "ingress_denied"
    assert shop.node.model.learned(f"flow_ipv{version}") == ()


@BOTH
@pytest.mark.parametrize("make", [opening, udp], ids=["tcp", "udp"])
def test_answers_of_what_was_allowed_need_no_rule(version: int, make: Callable[[int, int], Packet]) -> None:
    shop = Policed(version)
    shop.isolate("client", EGRESS, INGRESS)
    shop.isolate("web-1", EGRESS + 10, INGRESS + 10)
    shop.allow("egress", EGRESS, only(version, "web-1"), ALL)
    shop.allow("ingress", INGRESS + 10, only(version, "client"), ALL)
    assert shop.send("client", "web-1", make(1000, 80)) == "web-1"
    assert shop.asked == set(STEMS)
    assert shop.send("web-1", "client", make(80, 1000)) == "client"
    assert shop.asked == set()
    assert shop.send("client", "web-1", make(1000, 80)) == "web-1"
    assert shop.asked == set()
    assert shop.send("web-1", "client", make(81, 1000)) == "egress_denied"


@BOTH
def test_who_lets_nobody_in_hears_answers(version: int) -> None:
    shop = Policed(version)
    shop.isolate("client", 0, INGRESS)
    assert shop.send("client", "web-1", udp(1000, 53)) == "web-1"
    assert shop.send("web-1", "client", udp(53, 1000)) == "client"


@BOTH
def test_whose_egress_is_bound_answers(version: int) -> None:
    shop = Policed(version)
    shop.isolate("web-1", EGRESS)
    assert shop.send("client", "web-1", udp(1000, 53)) == "web-1"
    assert shop.send("web-1", "client", udp(53, 1000)) == "client"
    assert shop.send("web-1", "client", udp(53, 1001)) == "egress_denied"


@BOTH
def test_the_longest_prefix_of_peers_decides(version: int) -> None:
    shop = Policed(version)
    shop.isolate("web-1", 0, INGRESS)
    shop.allow("ingress", INGRESS, everybody(version), ALL_TCP)
    shop.allow("ingress", INGRESS, only(version, "client"))
    assert shop.send("client", "web-1", tcp(1000, 80, "S")) == "ingress_denied"
    assert shop.send(OUTSIDE[version], "web-1", tcp(1000, 80, "S"), port=CLIENT_PORT) == "web-1"
    assert shop.send(OUTSIDE[version], "web-1", udp(1000, 80), port=CLIENT_PORT) == "ingress_denied"


@BOTH
def test_a_service_is_its_backends(version: int) -> None:
    """Port 81 is web-1's 8081."""
    shop = Policed(version)
    shop.isolate("client", EGRESS)
    shop.isolate("web-1", 0, INGRESS)
    shop.allow("egress", EGRESS, f"{VIP[version]}/{32 if version == 4 else 128}", tcp_port(81))
    assert shop.send("client", VIP[version], tcp(1000, 81, "S")) == "egress_denied"
    shop.allow("egress", EGRESS, only(version, "web-1"), tcp_port(8081))
    assert shop.send("client", VIP[version], tcp(1000, 81, "S")) == "ingress_denied"
    shop.allow("ingress", INGRESS, only(version, "client"), tcp_port(8081))
    assert shop.send("client", VIP[version], tcp(1000, 81, "S")) == "web-1"
    assert shop.send("web-1", "client", tcp(8081, 1000, "SA")) == "client"
    ip = Ether(shop.last.packet)[IP if version == 4 else IPv6]
    assert (ip_address(ip.src), ip[TCP].sport) == (ip_address(VIP[version]), 81)


@BOTH
def test_clients_outside_are_peers_by_their_own_addresses(version: int) -> None:
    shop = Policed(version)
    device = entrance(shop.node)
    shop.isolate("web-1", 0, INGRESS)
    assert shop.fate(call(device, version, 81)) == "ingress_denied"
    shop.allow("ingress", INGRESS, f"{OUTSIDE[version]}/{32 if version == 4 else 128}", tcp_port(8081))
    assert shop.fate(call(device, version, 81)) == "web-1"


@BOTH
def test_nobody_is_kept_from_itself(version: int) -> None:
    shop = Policed(version)
    shop.isolate("client", EGRESS, INGRESS)
    assert shop.send("client", "client", tcp(1000, 1000, "S")) == "client"
    assert shop.send("client", ADDRESSES[version]["web-1"], tcp(1000, 80, "S")) == "egress_denied"


@BOTH
def test_a_forged_source_is_still_the_port_that_sends(version: int) -> None:
    shop = Policed(version)
    shop.isolate("client", EGRESS)
    forged = ADDRESSES[version]["tagged"]
    assert shop.send(forged, "web-1", tcp(1000, 80, "S"), port=CLIENT_PORT) == "egress_denied"
    own = ADDRESSES[version]["web-1"]
    assert shop.send(own, "web-1", tcp(1000, 80, "S"), port=CLIENT_PORT) == "egress_denied"


@BOTH
def test_what_has_no_ports_is_asked_each_time_for_rules_without_ports(version: int) -> None:
    shop = Policed(version)
    shop.isolate("web-1", 0, INGRESS)
    shop.allow("ingress", INGRESS, only(version, "client"), ALL_TCP)
    assert shop.send("client", "web-1", echo(version)) == "ingress_denied"
    assert shop.send("web-1", "client", echo(version)) == "client"
    open_shop = Policed(version)
    open_shop.isolate("web-1", 0, INGRESS)
    open_shop.allow("ingress", INGRESS, only(version, "client"), ALL)
    assert open_shop.send("client", "web-1", echo(version)) == "web-1"
    assert open_shop.node.model.learned(f"flow_ipv{version}") == ()


@BOTH
def test_what_stays_on_the_link_is_the_nodes(version: int) -> None:
    shop = Policed(version)
    shop.isolate("client", EGRESS)
    link, beyond = {4: ("224.0.0.251", "224.0.1.1"), 6: ("ff02::fb", "ff05::fb")}[version]
    assert shop.send("client", link, udp(5353, 5353)) == "to_kernel"
    assert shop.send("client", beyond, udp(5353, 5353)) == "egress_denied"


@BOTH
def test_where_no_route_leads_is_the_kernels_and_not_learned(version: int) -> None:
    shop = Policed(version)
    shop.isolate("client", EGRESS)
    assert shop.send("client", OUTSIDE[version], udp(1000, 53)) == "egress_denied"
    shop.allow("egress", EGRESS, everybody(version), ALL)
    assert shop.send("client", OUTSIDE[version], udp(1000, 53)) == "to_kernel"
    assert shop.node.model.learned(f"flow_ipv{version}") == ()


@BOTH
def test_what_answers_on_another_leg_is_known_there(version: int) -> None:
    """As a proxy does, which is behind a port of its own kind."""
    shop = Policed(version)
    shop.isolate("client", 0, INGRESS)
    shop.isolate("web-1", reply_leg=LEG_PROXY)
    proxy = shop.node.book.call("set_proxy", network=SHOP, nexthop=NEXTHOPS["web-1"])
    shop.node.model.modify(shop.node.book.entry("port", proxy, port=WEB_1_PORT, vlan=0))
    assert shop.send("client", "web-1", tcp(1000, 80, "S")) == "web-1"
    assert shop.send("web-1", "client", tcp(80, 1000, "SA")) == "client"


def test_p4_targets_have_no_policies() -> None:
    for pipeline in (portable_pipeline(), offload_pipeline()):
        assert not [table.name for table in pipeline.tables if table.name.rpartition("_")[0] in STEMS]
        assert not [f.name for f in pipeline.metadata if f.name in ("policed", "kept", "egress_policy")]
