"""Frames as the workloads and the devices of the shop send them, and a frame with its lengths and checksums right."""

from __future__ import annotations

from ipaddress import ip_address

from scapy.layers.inet import IP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.layers.inet6 import IPerror6, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import NoPayload, Packet, Raw

from runtime.verification.shop import (
    MACS,
    ROUTER_MAC,
    SHOP,
    UNDERLAY_A,
    UNDERLAY_B,
    UNDERLAY_MAC_A,
    UNDERLAY_MAC_B,
    VNI,
)

_A, _B = (UNDERLAY_A, UNDERLAY_MAC_A), (UNDERLAY_B, UNDERLAY_MAC_B)


def version_of(address: str) -> int:
    return ip_address(address).version


def frame(
    src: str, dst: str, transport: Packet, *, mac: str = MACS["client"], ttl: int = 64, payload: bytes = b""
) -> Packet:
    """A frame of a workload to its router."""
    network = IPv6(src=src, dst=dst, hlim=ttl) if version_of(src) == 6 else IP(src=src, dst=dst, ttl=ttl, flags="DF")
    built = Ether(src=mac, dst=ROUTER_MAC) / network / transport
    return built / Raw(payload) if payload else built


def tcp(sport: int, dport: int, flags: str = "S") -> Packet:
    return TCP(sport=sport, dport=dport, flags=flags, seq=1000, ack=0 if flags == "S" else 1)


def udp(sport: int, dport: int) -> Packet:
    return UDP(sport=sport, dport=dport)


def tunnelled(inner: Packet, *, to: str = "A", vni: int = VNI[SHOP]) -> Packet:
    """The frame as the other device sends it through the underlay."""
    here, there = (_B, _A) if to == "A" else (_A, _B)
    outer = Ether(src=here[1], dst=there[1]) / IP(src=here[0], dst=there[0], flags="DF") / UDP(sport=50000, dport=4789)
    return outer / VXLAN(flags=8, vni=vni) / inner


_COMPUTED_FIELDS = ("chksum", "cksum", "len", "plen")
INNER = 14 + 20 + 8 + 8
"""Where the inner frame of a tunnelled one begins."""


def recomputed(packet: bytes) -> bytes:
    """The frame with every length and checksum as Scapy computes it; of a tunnelled one, pass the inner frame alone."""
    built = Ether(packet)
    layer: Packet = built
    while not isinstance(layer, Raw | NoPayload):
        for name in _COMPUTED_FIELDS:
            if name in layer.fields and not isinstance(layer, IPerror | IPerror6 | TCPerror | UDPerror):
                delattr(layer, name)
        layer = layer.payload
    return bytes(built)
