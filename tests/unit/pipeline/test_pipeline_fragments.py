"""Fragments follow their first: to the same backend, back from the address that was called, each family."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest

from compiler.entries.vocabulary import mac_number
from compiler.ir.interpreter import Outcome, VerdictKind
from runtime.verification import wire
from runtime.verification.fragmenting import in_fragments, whole
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    MACS,
    ROUTER_MAC,
    TUNNEL_MTU,
    UDP_SERVICE,
    VIP,
    WEB_1_PORT,
    Node,
)
from runtime.verification.speaking import Ends, ends_of, framed
from runtime.verification.telling import packet_of, told
from tests.unit.pipeline.test_pipeline_policing import INGRESS, Policed

BOTH = pytest.mark.parametrize("version", [4, 6])
EACH = pytest.mark.parametrize("protocol", [wire.TCP, wire.UDP])
SERVICE_PORT = {wire.TCP: 81, wire.UDP: 53}
SERVER_PORT = {wire.TCP: 8081, wire.UDP: 5353}
PAYLOAD = bytes(range(256)) * 6
CUTS = (512, 1024)


@dataclass
class Talk:
    version: int
    protocol: int
    node: Node = field(default_factory=Node)
    sport: int = 40000

    def ends(self) -> Ends:
        return Ends(
            protocol=self.protocol,
            src=ip_address(ADDRESSES[self.version]["client"]),
            src_port=self.sport,
            dst=ip_address(VIP[self.version]),
            dst_port=SERVICE_PORT[self.protocol],
        )

    def frame(self, ends: Ends | None = None, who: str = "client", payload: bytes = PAYLOAD) -> bytes:
        return framed(ends or self.ends(), "A", payload, mac_number(ROUTER_MAC), mac_number(MACS[who]))

    def arrive(self, frames: list[bytes], port: int = CLIENT_PORT) -> list[Outcome]:
        return [self.node.interpreter.process(port, frame) for frame in frames]

    def kept(self, stem: str = "fragment") -> int:
        return len(self.node.model.learned(f"{stem}_ipv{self.version}"))

    def to_web_1(self) -> list[Outcome]:
        """Its fragments, from the first port on with which web-1 gets them."""
        for self.sport in range(40000, 40040):
            found = self.arrive(in_fragments(self.frame(), CUTS, identification=self.sport))
            if found[0].egress_port == WEB_1_PORT:
                return found
        raise AssertionError("web-1 gets nothing")


def delivered(outcomes: list[Outcome], port: int) -> bytes:
    """What the receiver puts together."""
    assert {(o.verdict, o.egress_port) for o in outcomes} == {(VerdictKind.FORWARD, port)}
    together = whole([outcome.packet for outcome in outcomes])
    assert together is not None
    return together


def is_right(frame: bytes) -> bool:
    """Whether its transport checksum is that of all of it."""
    ends = ends_of(frame)
    assert ends is not None
    behind = packet_of(frame)[20 if ends.src.version == 4 else 40 :]
    pseudo = wire.pseudo_header(ends.src, ends.dst, ends.protocol, len(behind))
    return wire.checksum(pseudo + behind) == 0


@BOTH
@EACH
def test_a_request_and_its_answer(version: int, protocol: int) -> None:
    talk = Talk(version, protocol)
    got = delivered(talk.to_web_1(), WEB_1_PORT)
    ends = ends_of(got)
    assert ends is not None
    assert got.endswith(PAYLOAD)
    assert is_right(got)
    assert (str(ends.dst), ends.dst_port) == (ADDRESSES[version]["web-1"], SERVER_PORT[protocol])
    assert ends.src_port == talk.sport
    answer = in_fragments(talk.frame(ends.turned, "web-1"), CUTS, identification=99)
    heard = delivered(talk.arrive(answer, WEB_1_PORT), CLIENT_PORT)
    back = ends_of(heard)
    assert back == talk.ends().turned
    assert is_right(heard)
    assert talk.kept("fragment_reply") == 1


@BOTH
def test_a_packet_in_parts_is_as_many_packets_of_its_service(version: int) -> None:
    talk = Talk(version, wire.UDP)
    talk.to_web_1()
    before = talk.node.model.indexed_counter("service_requests", UDP_SERVICE).packets
    talk.arrive(in_fragments(talk.frame(), CUTS, identification=5))
    assert talk.node.model.indexed_counter("service_requests", UDP_SERVICE).packets == before + 3


@BOTH
@EACH
def test_a_fragment_before_its_first_is_none_of_ours(version: int, protocol: int) -> None:
    talk = Talk(version, protocol)
    first, second, third = in_fragments(talk.frame(), CUTS)
    for outcome, sent in zip(talk.arrive([second, third]), (second, third), strict=True):
        assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, sent)
    assert talk.arrive([first, third, second])[-1].verdict is VerdictKind.FORWARD


@BOTH
def test_other_identifications_addresses_and_protocols_are_other_packets(version: int) -> None:
    talk = Talk(version, wire.UDP)
    talk.to_web_1()
    other = in_fragments(talk.frame(), CUTS, identification=1 if version == 4 else 1 << 16)[1]
    assert talk.arrive([other])[0].verdict is VerdictKind.TO_KERNEL
    of_tcp = replace(talk, protocol=wire.TCP)
    later = in_fragments(of_tcp.frame(), CUTS, identification=talk.sport)[1]
    expected = VerdictKind.TO_KERNEL if version == 4 else VerdictKind.FORWARD
    assert of_tcp.arrive([later])[0].verdict is expected, "IPv6 tells packets apart by their identification alone"


@BOTH
def test_an_identification_that_is_used_again(version: int) -> None:
    """The later packet's fragments go with it, be it one to the other backend."""
    talk = Talk(version, wire.UDP)
    talk.to_web_1()
    ports: set[int | None] = set()
    for talk.sport in range(41000, 41040):
        found = talk.arrive(in_fragments(talk.frame(), CUTS, identification=7))
        assert len({outcome.egress_port for outcome in found}) == 1
        ports.add(found[0].egress_port)
    assert len(ports) == 2
    identifications = [entry.matches[5:] for entry in talk.node.model.learned(f"fragment_ipv{version}")]
    assert len(identifications) == len(set(identifications))


@BOTH
def test_a_known_connection_s_life_is_no_fragment_s_affair(version: int) -> None:
    """The entry goes half a minute behind the last of them, and nothing else."""
    talk = Talk(version, wire.TCP)
    talk.to_web_1()
    before = talk.node.model.learned(f"flow_ipv{version}")
    talk.node.clock.now_ms += 29_000
    later = in_fragments(talk.frame(), CUTS, identification=talk.sport)[1]
    assert talk.arrive([later])[0].verdict is VerdictKind.FORWARD
    assert [e.seen_ms for e in talk.node.model.learned(f"flow_ipv{version}")] == [e.seen_ms for e in before]
    kept = talk.kept()
    talk.node.model.sweep(talk.node.clock.now_ms + 29_999)
    assert talk.kept() == 1 <= kept
    talk.node.model.sweep(talk.node.clock.now_ms + 30_000)
    assert talk.kept() == 0


@BOTH
def test_what_may_write_over_a_tcp_header_follows_nothing(version: int) -> None:
    talk = Talk(version, wire.TCP)
    talk.to_web_1()
    second = in_fragments(talk.frame(), (8, 512), identification=talk.sport)[1]
    assert talk.arrive([second])[0].verdict is VerdictKind.TO_KERNEL


@BOTH
def test_what_concerns_no_policy_is_not_kept(version: int) -> None:
    talk = Talk(version, wire.UDP)
    ends = replace(talk.ends(), dst=ip_address(ADDRESSES[version]["web-1"]), dst_port=5353)
    sent = in_fragments(talk.frame(ends), CUTS)
    assert delivered(talk.arrive(sent), WEB_1_PORT).endswith(PAYLOAD)
    assert talk.node.model.learned(f"fragment_ipv{version}") == ()


@BOTH
@pytest.mark.parametrize("port", [5353, 5354])
def test_network_policies_hold_for_all_of_a_packet(version: int, port: int) -> None:
    """Of a packet to a port that is allowed all parts come through; of another none."""
    policed = Policed(version)
    policed.isolate("web-1", ingress=INGRESS)
    everyone = "0.0.0.0/0" if version == 4 else "::/0"
    policed.allow("ingress", INGRESS, everyone, (wire.UDP << 24 | 5353 << 8, 24))
    talk = Talk(version, wire.UDP, node=policed.node)
    ends = replace(talk.ends(), dst=ip_address(ADDRESSES[version]["web-1"]), dst_port=port)
    outcomes = talk.arrive(in_fragments(talk.frame(ends), CUTS))
    if port == 5353:
        assert delivered(outcomes, WEB_1_PORT).endswith(PAYLOAD)
    else:
        assert {outcome.drop_reason for outcome in outcomes} == {"ingress_denied"}


@BOTH
def test_a_first_fragment_without_a_backend(version: int) -> None:
    """UDP over IPv4 is refused, as a whole packet is; what cannot be answered rightly is dropped."""
    for protocol in (wire.TCP, wire.UDP):
        talk = Talk(version, protocol)
        sent = in_fragments(talk.frame(replace(talk.ends(), dst_port=82)), CUTS)
        first, *others = talk.arrive(sent)
        if (version, protocol) == (4, wire.UDP):
            assert (first.verdict, told(first.packet).kind, told(first.packet).code) == (VerdictKind.REPLY, 3, 3)
        else:
            assert (first.verdict, first.drop_reason) == (VerdictKind.DROP, "no_backend")
        assert {outcome.verdict for outcome in others} == {VerdictKind.TO_KERNEL}
        assert talk.kept() == 0


def test_a_first_fragment_of_ipv6_that_is_too_large() -> None:
    """Its sender hears how large one may be, by an error that quotes the ports behind the extension header."""
    talk = Talk(6, wire.UDP)
    ends = replace(talk.ends(), dst=ip_address(ADDRESSES[6]["web-2"]))
    sent = in_fragments(talk.frame(ends, payload=bytes(3000)), (1448, 2896))
    first, *others = talk.arrive(sent)
    error = told(first.packet)
    assert (first.verdict, error.kind, error.rest) == (VerdictKind.REPLY, 2, TUNNEL_MTU)
    assert error.quoted == packet_of(sent[0])[:56]
    assert others[0].drop_reason == "error_not_sent"
