"""Good frames for device A of the shop, one of each shape that faults are put into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from runtime.verification import wire
from runtime.verification.book import number
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    GATEWAY,
    MACS,
    ROUTER_MAC,
    SHOP,
    TAG,
    TAGGED_PORT,
    UNDERLAY_A,
    UNDERLAY_B,
    UNDERLAY_MAC_A,
    UNDERLAY_MAC_B,
    UPLINK,
    VIP,
    VNI,
    WEB_1_PORT,
)

_ENDS = wire.TunnelEnds(
    src=IPv4Address(UNDERLAY_B),
    dst=IPv4Address(UNDERLAY_A),
    src_mac=number(UNDERLAY_MAC_B),
    dst_mac=number(UNDERLAY_MAC_A),
)
_LOAD = bytes(range(40))


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    name: str
    port: int
    frame: bytes


def base_frames() -> tuple[Base, ...]:
    """In an order in which a connection is open before its data and its replies come."""
    return (*_of_family(4), *_of_family(6), *_questions())


def _of_family(version: int) -> Iterator[Base]:
    client, vip, web_1, web_2, tagged = (
        ip_address(text)
        for text in (
            ADDRESSES[version]["client"],
            VIP[version],
            ADDRESSES[version]["web-1"],
            ADDRESSES[version]["web-2"],
            ADDRESSES[version]["tagged"],
        )
    )

    def framed(
        source: str, src: wire.Address, dst: wire.Address, protocol: int, segment: bytes, *, tag: int = 0
    ) -> bytes:
        packet = wire.ip(src, dst, protocol, segment)
        tags = ((wire.ETHERTYPE_VLAN, 3 << 13 | tag),) if tag else ()
        kind = wire.ether_type_of(version)
        return wire.ethernet(number(ROUTER_MAC), number(MACS[source]), kind, packet, tags=tags)

    def tcp(source: str, src: wire.Address, dst: wire.Address, ports: tuple[int, int], flags: str) -> bytes:
        segment = wire.tcp(src, dst, *ports, wire.tcp_flags(flags), _LOAD)
        return framed(source, src, dst, wire.TCP, segment)

    def udp(source: str, src: wire.Address, dst: wire.Address, ports: tuple[int, int], tag: int = 0) -> bytes:
        return framed(source, src, dst, wire.UDP, wire.udp(src, dst, *ports, _LOAD), tag=tag)

    for name, port, frame in (
        ("syn", CLIENT_PORT, tcp("client", client, vip, (4000, 81), "S")),
        ("data", CLIENT_PORT, tcp("client", client, vip, (4000, 81), "A")),
        ("reply", WEB_1_PORT, tcp("web-1", web_1, client, (8081, 4000), "SA")),
        ("query", CLIENT_PORT, udp("client", client, vip, (4001, 53))),
        ("routed", CLIENT_PORT, udp("client", client, web_1, (4001, 7))),
        ("to the tunnel", CLIENT_PORT, udp("client", client, web_2, (4001, 7))),
        ("tagged", TAGGED_PORT, udp("tagged", tagged, vip, (4001, 53), tag=TAG)),
        ("ping", CLIENT_PORT, framed("client", client, web_1, *_ping(client, web_1))),
        ("tunnelled", UPLINK, wire.tunnelled(_ENDS, VNI[SHOP], udp("web-2", web_2, client, (7, 4001)))),
        ("tunnelled syn", UPLINK, wire.tunnelled(_ENDS, VNI[SHOP], tcp("web-2", web_2, vip, (4000, 81), "S"))),
    ):
        yield Base(name=f"{name} v{version}", port=port, frame=frame)


def _ping(src: wire.Address, dst: wire.Address) -> tuple[int, bytes]:
    return wire.icmp_protocol(src.version), wire.echo_request(src, dst, _LOAD)


def _questions() -> Iterator[Base]:
    for name, version, ask in (("arp", 4, wire.arp_request), ("nd", 6, wire.solicitation)):
        gateway = ip_address(GATEWAY[version])
        untagged = ask(number(MACS["client"]), ip_address(ADDRESSES[version]["client"]), gateway)
        inner = ask(number(MACS["tagged"]), ip_address(ADDRESSES[version]["tagged"]), gateway)
        yield Base(name=name, port=CLIENT_PORT, frame=untagged)
        tagged = inner[:12] + wire.number(wire.ETHERTYPE_VLAN, 2) + wire.number(TAG, 2) + inner[12:]
        yield Base(name=f"tagged {name}", port=TAGGED_PORT, frame=tagged)
        yield Base(name=f"tunnelled {name}", port=UPLINK, frame=wire.tunnelled(_ENDS, VNI[SHOP], untagged))
