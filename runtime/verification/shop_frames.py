"""Frames for the shop of `shop`: one of each kind that the pipeline treats in a way of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from runtime.verification.frames import frame, tcp, tunnelled, udp
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    GATEWAY,
    MACS,
    OTHER_PORT,
    TAG,
    TAGGED_PORT,
    UPLINK,
    VIP,
    WEB_1_PORT,
)

SHORTEST = 54
"""A test run of tc takes no shorter frame: of IP it wants the whole header."""
Arrival = tuple[str, int, bytes]
"""What it is, the port it comes in by, the frame."""


def tagged(packet: Packet, vlan: int = TAG) -> Packet:
    """The frame with an 802.1Q tag that has priority bits."""
    inner = Ether(bytes(packet))
    return Ether(src=inner.src, dst=inner.dst) / Dot1Q(vlan=vlan, prio=3) / inner.payload


def solicitation(version_6_address: str, target: str, mac: str) -> Packet:
    network = IPv6(src=version_6_address, dst="ff02::1:ff00:1", hlim=255)
    ether = Ether(src=mac, dst="33:33:ff:00:00:01")
    return ether / network / ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=mac)


def question(sender: str, sender_mac: str, target: str) -> Packet:
    return Ether(src=sender_mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=sender_mac, psrc=sender, pdst=target)


def vectors() -> Iterator[Arrival]:
    """Every vector, in an order in which later ones meet what earlier ones left."""
    for version in (4, 6):
        for name, port, packet in _of_family(version):
            yield f"{name} v{version}", port, bytes(packet)
    for name, port, packet in _others():
        yield name, port, bytes(packet)


def _of_family(version: int) -> Iterator[tuple[str, int, Packet]]:
    here, vip = ADDRESSES[version], VIP[version]

    def client(dst: str, transport: Packet, **more: int | bytes) -> Packet:
        return frame(here["client"], dst, transport, ttl=int(more.get("ttl", 64)), payload=bytes(more.get("load", b"")))

    def tag(dst: str, transport: Packet, **more: int | bytes) -> Packet:
        load = bytes(more.get("load", b""))
        return tagged(
            frame(here["tagged"], dst, transport, mac=MACS["tagged"], ttl=int(more.get("ttl", 64)), payload=load)
        )

    for number in range(8):
        yield f"syn {number}", CLIENT_PORT, client(vip, tcp(4000 + number, 80))
    yield "data", CLIENT_PORT, client(vip, tcp(4000, 80, "A"), load=b"x" * 99)
    yield "fin", CLIENT_PORT, client(vip, tcp(4000, 80, "FA"))
    yield "syn again", CLIENT_PORT, client(vip, tcp(4000, 80))
    for port in (4000, 4001):
        answer = frame(here["web-1"], here["client"], tcp(8080, port, "SA"), mac=MACS["web-1"])
        yield f"answer {port}", WEB_1_PORT, answer
        answer = frame(here["web-2"], here["client"], tcp(8080, port, "SA"), mac=MACS["web-2"])
        yield f"answer through the tunnel {port}", UPLINK, tunnelled(answer)
    yield "udp", CLIENT_PORT, client(vip, udp(4000, 53), load=b"x" * 100)
    yield "odd udp", CLIENT_PORT, client(vip, udp(4001, 53), load=b"x" * 33)
    yield "last hop", CLIENT_PORT, client(vip, tcp(4005, 80), ttl=1)
    yield "last hop udp", CLIENT_PORT, client(vip, udp(4005, 53), ttl=1, load=b"ab")
    yield "too big for the tunnel", CLIENT_PORT, client(here["web-2"], udp(4005, 80), load=b"y" * 1430)
    yield "too big", CLIENT_PORT, client(here["web-1"], tcp(4005, 80, "A"), load=b"y" * 1600)
    yield "routed", CLIENT_PORT, client(here["web-2"], udp(4005, 80), load=b"y" * 143)
    yield "to a tagged one", CLIENT_PORT, client(here["tagged"], tcp(4005, 80), load=b"y" * 9)
    yield "to itself", CLIENT_PORT, client(vip, tcp(4005, 83))
    for flags, load in (("S", b""), ("S", b"early"), ("F", b""), ("A", b"late"), ("FA", b""), ("", b""), ("R", b"")):
        name = f"no backends, {flags or 'no flags'}{' with data' if load else ''}"
        yield name, CLIENT_PORT, client(vip, tcp(4005, 82, flags), load=load)
    for size in (12, 13, 300):
        yield f"no backends, udp {size}", CLIENT_PORT, client(vip, udp(4005, 82), load=b"u" * size)
    yield "backend nowhere", CLIENT_PORT, client(vip, tcp(4005, 84))
    yield "no service", CLIENT_PORT, client(vip, tcp(4005, 85))
    yield "from nowhere", CLIENT_PORT, frame("10.1.1.1" if version == 4 else "fd01::1", vip, tcp(1, 80))
    yield "other network", OTHER_PORT, client(vip, tcp(4000, 80))
    yield "unknown port", 40, client(vip, tcp(4000, 80))
    yield "tagged syn", TAGGED_PORT, tag(vip, tcp(5000, 81))
    yield "tagged to a tunnel", TAGGED_PORT, tag(here["web-2"], udp(1, 2), load=b"z" * 143)
    yield "tagged, too big", TAGGED_PORT, tag(here["web-2"], udp(1, 2), load=b"z" * 1430)
    yield "tagged, last hop", TAGGED_PORT, tag(vip, tcp(5004, 81), ttl=1)
    yield "tagged, no backends", TAGGED_PORT, tag(vip, tcp(5004, 82))
    yield "tagged, no backends, udp", TAGGED_PORT, tag(vip, udp(5004, 82), load=b"z" * 33)
    for transport in (tcp(5004, 82), udp(5004, 82)):
        yield "no backends, out of the tunnel", UPLINK, tunnelled(client(vip, transport))
    yield "wrong tag", TAGGED_PORT, tagged(client(vip, tcp(1, 80)), vlan=7)
    yield "out of the tunnel", UPLINK, tunnelled(frame(here["web-2"], here["client"], udp(1, 2), payload=b"q" * 33))
    inner = tagged(frame(here["web-2"], here["tagged"], udp(1, 2), payload=b"q" * 33))
    yield "tagged in the tunnel", UPLINK, tunnelled(inner)
    yield "into a tunnel again", UPLINK, tunnelled(client(here["web-2"], udp(1, 2)))
    yield (
        "from the tunnel to nowhere",
        UPLINK,
        tunnelled(client("8.8.8.8" if version == 4 else "2001:db8::8", udp(1, 2))),
    )
    yield "tunnel of nobody", UPLINK, tunnelled(client(here["web-1"], udp(1, 2)), vni=77)
    yield "too big out of the tunnel", UPLINK, tunnelled(client(here["web-1"], udp(1, 2), load=b"y" * 1600))


def _others() -> Iterator[tuple[str, int, Packet]]:
    client, gateway = ADDRESSES[4]["client"], GATEWAY[4]
    yield "arp", CLIENT_PORT, question(client, MACS["client"], gateway)
    yield "arp for nobody", CLIENT_PORT, question(client, MACS["client"], "10.0.0.99")
    yield "arp probe", CLIENT_PORT, question("0.0.0.0", MACS["client"], gateway)
    yield "tagged arp", TAGGED_PORT, tagged(question(ADDRESSES[4]["tagged"], MACS["tagged"], gateway))
    yield "nd", CLIENT_PORT, solicitation(ADDRESSES[6]["client"], GATEWAY[6], MACS["client"])
    yield "nd for nobody", CLIENT_PORT, solicitation(ADDRESSES[6]["client"], "fd00::99", MACS["client"])
    yield "tagged nd", TAGGED_PORT, tagged(solicitation(ADDRESSES[6]["tagged"], GATEWAY[6], MACS["tagged"]))
    ether = Ether(src=MACS["client"], dst=MACS["web-1"])
    yield "ping", CLIENT_PORT, ether / IP(src=client, dst=ADDRESSES[4]["web-1"]) / ICMP()
    yield (
        "ping v6",
        CLIENT_PORT,
        ether / IPv6(src=ADDRESSES[6]["client"], dst=ADDRESSES[6]["web-2"]) / ICMPv6EchoRequest(),
    )
    yield "first fragment", CLIENT_PORT, ether / IP(src=client, dst=ADDRESSES[4]["web-1"], flags="MF") / udp(1, 2)
    yield (
        "fragmentable, too big",
        CLIENT_PORT,
        ether / IP(src=client, dst=ADDRESSES[4]["web-2"]) / udp(1, 2) / (b"f" * 1440),
    )
    network = IP(src=client, dst=VIP[4])
    yield "udp without checksum", CLIENT_PORT, ether / network / UDP(sport=9, dport=53, chksum=0) / b"none"
    yield "double tag", TAGGED_PORT, tagged(tagged(question(client, MACS["client"], gateway)))


def mutated(arrivals: list[Arrival], seed: int, count: int) -> Iterator[Arrival]:
    """Vectors in any order, some cut short or with a bit turned; the same for a seed on every machine."""
    source = random.Random(seed)
    changes: tuple[Callable[[bytes], bytes], ...] = (
        lambda data: data,
        lambda data: data,
        lambda data: data[: source.randint(min(SHORTEST, len(data)), len(data))],
        lambda data: _turned(data, source.randrange(min(len(data), 120) * 8)),
    )
    for _ in range(count):
        name, port, data = source.choice(arrivals)
        yield name, port, source.choice(changes)(data)


def cut(arrivals: list[Arrival]) -> Iterator[Arrival]:
    """Some vectors at every length below the shortest that `mutated` makes."""
    for name, port, data in arrivals:
        if name in ("syn 0 v4", "syn 0 v6", "arp", "tagged syn v4", "out of the tunnel v4"):
            for length in range(15, min(SHORTEST + 60, len(data))):
                yield f"{name}, {length} bytes", port, data[:length]


def _turned(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
