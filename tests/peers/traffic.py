"""A connection to the service as packets, for devices that are handed packets by a test."""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from tests.peers.handwritten import (
    ADDRESSES,
    BACKEND_PORT,
    CLIENT_PORT,
    GATEWAY,
    MACS,
    PORTS,
    ROUTER_MAC,
    SERVICE_ADDRESS,
    SERVICE_PORT,
)
from tests.peers.processes import PacketDevice, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A connection that a backend has answered."""

    backend: str
    request: Packet
    reply: Packet


def network_layer(version: int, src: str, dst: str) -> Packet:
    return IP(src=src, dst=dst) if version == 4 else IPv6(src=src, dst=dst)


def send_request(device: PacketDevice, version: int, source_port: int, flags: str = "S") -> Sent:
    addresses = network_layer(version, ADDRESSES[version]["client"], SERVICE_ADDRESS[version])
    segment = TCP(sport=source_port, dport=int(SERVICE_PORT), flags=flags)
    return device.send(CLIENT_PORT, Ether(src=MACS["client"], dst=ROUTER_MAC) / addresses / segment)


def connect(device: PacketDevice, version: int, source_port: int) -> Opened:
    """A SYN to the service reaches a backend, whose SYN and ACK reaches the client as the service's."""
    sent = send_request(device, version, source_port)
    assert (sent.verdict, sent.reason) == ("FORWARD", None)
    assert sent.packet is not None
    backend = next(name for name, port in PORTS.items() if port == sent.port)
    request = sent.packet
    src, dst = ends(request)
    assert (src, dst) == (ADDRESSES[version]["client"], ADDRESSES[version][backend])
    assert (request[TCP].sport, request[TCP].dport) == (source_port, int(BACKEND_PORT))
    assert (request.src, request.dst) == (ROUTER_MAC, MACS[backend])
    answer = Ether(src=MACS[backend], dst=ROUTER_MAC) / network_layer(version, dst, src)
    replied = device.send(PORTS[backend], answer / TCP(sport=int(BACKEND_PORT), dport=source_port, flags="SA"))
    assert (replied.verdict, replied.port) == ("FORWARD", CLIENT_PORT)
    assert replied.packet is not None
    assert ends(replied.packet) == (SERVICE_ADDRESS[version], ADDRESSES[version]["client"])
    assert (replied.packet[TCP].sport, replied.packet[TCP].dport) == (int(SERVICE_PORT), source_port)
    return Opened(backend=backend, request=request, reply=replied.packet)


def ends(packet: Packet) -> tuple[str, str]:
    """Source and destination."""
    layer = packet[IP] if IP in packet else packet[IPv6]
    return layer.src, layer.dst


def ask_for_gateway(device: PacketDevice) -> str:
    """The MAC address that ARP gives for the gateway."""
    request = ARP(op=1, hwsrc=MACS["client"], psrc=ADDRESSES[4]["client"], pdst=GATEWAY[4])
    sent = device.send(CLIENT_PORT, Ether(src=MACS["client"], dst="ff:ff:ff:ff:ff:ff") / request)
    assert (sent.verdict, sent.port) == ("REPLY", CLIENT_PORT)
    assert sent.packet is not None
    return str(sent.packet[ARP].hwsrc)
