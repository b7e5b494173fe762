"""Checksums on the underlay, inside and outside of the tunnel, where no hardware completes them."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from runtime.lab.links import uplink_peer
from tests.root.end_to_end.shop import ADDRESSES, CLIENT, SINGLE, SINK_PORT, WEB_3, Shop
from tests.root.end_to_end.traffic import capture, download, echo, sink, upload

pytestmark = [pytest.mark.root, pytest.mark.slow]
SIZE = 200_000


@pytest.mark.parametrize("offloads", ["no-offloads"], indirect=True)
@pytest.mark.parametrize("version", [4, 6])
def test_all_checksums_are_right(shop: Shop, offloads: bool, version: int) -> None:
    is_ipv6 = version == 6
    direct, service = ADDRESSES[WEB_3][is_ipv6], SINGLE["far"][is_ipv6]
    client, backend = shop.namespace(CLIENT), shop.namespace(WEB_3)
    with capture(shop.underlay, uplink_peer(0, 1)) as seen:
        for address, sink_port, echo_port in ((direct, SINK_PORT, 5300), (service, 90, 53)):
            with sink(backend, SINK_PORT) as taken:
                upload(client, address, sink_port, bytes(SIZE))
                taken.wait()
            with sink(backend, SINK_PORT, outgoing=bytes(SIZE)) as given:
                download(client, address, sink_port)
                given.wait()
            for size in (0, 1, 2, 1001, 1390):
                echo(client, address, echo_port, bytes(size))
    packets = [packet for packet in seen.packets() if VXLAN in packet]
    inner = IPv6 if is_ipv6 else IP
    assert len(packets) > 4 * SIZE / 1500
    assert {TCP, UDP} <= {layer for packet in packets for layer in packet[VXLAN].layers()}
    assert all(inner in packet[VXLAN] for packet in packets)
    wrong = [packet.summary() for packet in packets if not has_right_checksums(packet)]
    assert wrong == []


def has_right_checksums(packet: Packet) -> bool:
    """By building the packet anew without them. A UDP checksum of 0 outside is right (RFC 7348, section 5)."""
    again = Ether(bytes(packet))
    outer, inside = again[IP], again[VXLAN].payload
    if packet[IP].payload.chksum != 0:
        return False
    del outer.chksum
    for layer in (IP, TCP, UDP):
        if layer in inside:
            del inside[layer].chksum
    built = Ether(bytes(again))
    # Scapy computes the outer UDP checksum only when it is deleted, so both have 0 there.
    return bytes(built) == bytes(packet)
