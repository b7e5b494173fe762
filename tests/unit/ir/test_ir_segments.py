"""A packet that awaits segmentation is as long as its largest segment, and as large as it is for counters."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP
from scapy.packet import Packet

from compiler.ir.interpreter import VerdictKind
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, MTU, Node

HEADERS = {4: 20, 6: 40}
PAYLOAD = bytes(9000)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("transport", "header"), [(tcp(1, 2, "A"), 20), (udp(1, 2), 8)], ids=["tcp", "udp"])
def test_segments_of_the_mtu_pass_and_longer_ones_do_not(version: int, transport: Packet, header: int) -> None:
    node, addresses = Node(), ADDRESSES[version]
    data = bytes(frame(addresses["client"], addresses["web-1"], transport.copy(), payload=PAYLOAD))
    fitting = MTU - HEADERS[version] - header
    passed = node.interpreter.process(CLIENT_PORT, data, segment_bytes=fitting)
    assert (passed.verdict, passed.egress_port, len(passed.packet)) == (VerdictKind.FORWARD, 17, len(data))
    refused = node.interpreter.process(CLIENT_PORT, data, segment_bytes=fitting + 1)
    assert refused.verdict is VerdictKind.REPLY


def test_what_is_no_tcp_or_udp_is_as_long_as_its_header_says() -> None:
    node, addresses = Node(), ADDRESSES[4]
    network = IP(src=addresses["client"], dst=addresses["web-1"], proto=47)
    data = bytes(frame(addresses["client"], addresses["web-1"], tcp(1, 2), payload=PAYLOAD))[:14] + bytes(
        network / PAYLOAD
    )
    assert node.interpreter.process(CLIENT_PORT, data, segment_bytes=100).verdict is not VerdictKind.FORWARD


def test_counters_count_all_its_bytes() -> None:
    node, addresses = Node(), ADDRESSES[4]
    data = bytes(frame(addresses["client"], addresses["web-1"], tcp(1, 2, "A"), payload=PAYLOAD))
    node.interpreter.process(CLIENT_PORT, data, segment_bytes=1000)
    counted = [e for e in node.model.entries("port") if node.model.direct_counter(e.key) == (1, len(data))]
    assert len(counted) == 1
