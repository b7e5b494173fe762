"""Packets that are still to be cut into segments, for the shop of `shop`: one for each way that such a one can go."""

from __future__ import annotations

from collections.abc import Iterator

from scapy.packet import Packet

from runtime.verification.frames import frame, tcp, udp
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    MACS,
    MTU,
    TAGGED_PORT,
    TUNNEL_MTU,
    VIP,
    WEB_1_PORT,
)
from runtime.verification.shop_frames import tagged
from runtime.verification.vector import PacketIn

SEGMENTS = 5
NETWORK_BYTES = {4: 20, 6: 40}
TCP_BYTES, UDP_BYTES = 20, 8


def segment_vectors() -> Iterator[PacketIn]:
    """In an order in which later ones meet what earlier ones left."""
    for version in (4, 6):
        yield from _ways(version)
        yield from _limits(version)


def _ways(version: int) -> Iterator[PacketIn]:
    here, vip = ADDRESSES[version], VIP[version]
    plain = {"tcp": tcp(4000, 8080, "A"), "udp": udp(4000, 5353)}
    for name, transport in plain.items():
        yield _packet(f"{name} v{version}", CLIENT_PORT, _from_client(version, here["web-1"], transport))
        yield _packet(
            f"{name} to a tagged one v{version}", CLIENT_PORT, _from_client(version, here["tagged"], transport)
        )
        yield _packet(
            f"{name} through the tunnel v{version}", CLIENT_PORT, _from_client(version, here["web-2"], transport)
        )
        inner = frame(here["tagged"], here["client"], transport, mac=MACS["tagged"], payload=_payload(1000))
        yield _packet(f"{name} from a tagged one v{version}", TAGGED_PORT, tagged(inner))
    for number in range(4):
        for flags in ("S", "A", "PA", "FPA"):
            packet = _from_client(version, vip, tcp(4100 + number, 80, flags))
            yield _packet(f"to a service {flags} {number} v{version}", CLIENT_PORT, packet)
        yield _packet(
            f"udp to a service {number} v{version}", CLIENT_PORT, _from_client(version, vip, udp(4100 + number, 53))
        )
        back = frame(
            here["web-1"], here["client"], tcp(8080, 4100 + number, "A"), mac=MACS["web-1"], payload=_payload(1000)
        )
        yield _packet(f"back {number} v{version}", WEB_1_PORT, back)


def _limits(version: int) -> Iterator[PacketIn]:
    """Segments of the MTU of the way out and of one byte more, and packets that have come too far."""
    here = ADDRESSES[version]
    for where, mtu in (("web-1", MTU), ("web-2", TUNNEL_MTU)):
        for name, transport, header in (("tcp", tcp(4200, 1, "A"), TCP_BYTES), ("udp", udp(4200, 1), UDP_BYTES)):
            fitting = mtu - NETWORK_BYTES[version] - header
            for size in (fitting, fitting + 1):
                packet = _from_client(version, here[where], transport, size=size)
                yield _packet(f"{name} segments of {size} to {where} v{version}", CLIENT_PORT, packet, size)
    packet = _from_client(version, here["web-1"], tcp(4300, 1, "A"), ttl=1)
    yield _packet(f"last hop v{version}", CLIENT_PORT, packet)


def _from_client(version: int, dst: str, transport: Packet, *, size: int = 1000, ttl: int = 64) -> Packet:
    return frame(ADDRESSES[version]["client"], dst, transport.copy(), ttl=ttl, payload=_payload(size))


def _payload(size: int) -> bytes:
    """Segments of `size`, the last one shorter; each byte tells its place."""
    return bytes(at * 7 % 251 for at in range(size * SEGMENTS - size // 3))


def _packet(about: str, port: int, packet: Packet, size: int = 1000) -> PacketIn:
    return PacketIn(about=about, port=port, frame=bytes(packet), gso_size=size)
