"""Datagrams of many flows between a client and what it calls, as the programs of flows.bpf.c want them told."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

FIRST_PORT = 10_000
"""Flows are clients' ports from here on: below those that Linux gives to sockets, which send other traffic."""
PAYLOAD = 64
_UDP, _ETHERNET, _IP, _UDP_HEADER = 17, 14, 20, 8
_FRONT_BYTES = 48
"""Of a frame: its headers, and as much more as makes whole words."""
_IN_TURN, _SHUFFLED = (1, 1), (1_664_525, 1_013_904_223)
"""Multiplier and increment of the sequence of flows (the second is that of Numerical Recipes)."""
_SENDING, _EXPECTED = struct.Struct(f"={_FRONT_BYTES}s5IHBx2IQ"), struct.Struct("=QIHHIB3x")
_COUNTED = struct.Struct("=QQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What packets are addressed to."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """`count` flows (a power of two) of a client that calls `called`; they reach `served`, the same or what is behind
    a service. Answers go the other way, each at the client's port, as calls come from it."""

    client: str
    called: End
    served: End
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagrams:
    """In one direction: `frame` as it is sent, without the client's port and the UDP checksum; and where it is to have
    come from and go to when it arrives, where the client has port 0."""

    frame: bytes
    source: End
    destination: End
    flows: int
    is_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """By one CPU. `ended_ns` is 0 as long as not all have come."""

    packets: int
    ended_ns: int


def calls(flows: Flows, macs: bytes) -> Datagrams:
    """As the client sends them; `macs` are destination and source."""
    client = End(address=flows.client, port=0)
    frame = _frame(macs, client, flows.called)
    return Datagrams(frame=frame, source=client, destination=flows.served, flows=flows.count, is_answer=False)


def answers(flows: Flows, macs: bytes) -> Datagrams:
    """As the server sends them."""
    client = End(address=flows.client, port=0)
    frame = _frame(macs, flows.served, client)
    return Datagrams(frame=frame, source=flows.called, destination=client, flows=flows.count, is_answer=True)


def sending(sent: Datagrams, *, warm_up: int, is_shuffled: bool) -> bytes:
    """`struct sending` before the first frame; time counts from behind the first `warm_up` frames.

    Shuffled, so that memory is not read in the order in which flows were learned.
    """
    front, total = sent.frame[:_FRONT_BYTES], _sum_of_datagram(sent.frame)
    sequence = (0, *(_SHUFFLED if is_shuffled else _IN_TURN))
    return _SENDING.pack(front, total, sent.flows, *sequence, FIRST_PORT, sent.is_answer, 0, warm_up, 0)


def begun_ns(raw: bytes) -> int:
    """Of `struct sending`."""
    return _SENDING.unpack(raw)[-1]


def expected(sent: Datagrams, last: int) -> bytes:
    """`struct expected` where they arrive; time counts until number `last`."""
    ends = IPv4Address(sent.source.address).packed + IPv4Address(sent.destination.address).packed
    server_port = (sent.source if sent.is_answer else sent.destination).port
    return _EXPECTED.pack(int.from_bytes(ends, "big"), sent.flows, FIRST_PORT, server_port, last, sent.is_answer)


def counted(raw: bytes) -> list[Counted]:
    """`struct counted` of each CPU."""
    return [Counted(packets=packets, ended_ns=ended_ns) for packets, ended_ns in _COUNTED.iter_unpack(raw)]


def _frame(macs: bytes, source: End, destination: End) -> bytes:
    length = _UDP_HEADER + PAYLOAD
    addresses = IPv4Address(source.address).packed + IPv4Address(destination.address).packed
    ip = struct.pack(">BBHHHBBH", 0x45, 0, _IP + length, 0, 0x4000, 64, _UDP, 0) + addresses
    checksum = ~_folded(_sum(ip)) & 0xFFFF
    udp = struct.pack(">HHHH", source.port, destination.port, length, 0)
    return macs + b"\x08\x00" + ip[:10] + checksum.to_bytes(2, "big") + ip[12:] + udp + bytes(PAYLOAD)


def _sum_of_datagram(frame: bytes) -> int:
    """What the UDP checksum is made of (RFC 768), but for the client's port: pseudo-header and datagram."""
    addresses, datagram = frame[_ETHERNET + 12 : _ETHERNET + _IP], frame[_ETHERNET + _IP :]
    return _sum(addresses) + _UDP + len(datagram) + _sum(datagram)


def _sum(raw: bytes) -> int:
    return sum(struct.unpack(f">{len(raw) // 2}H", raw))


def _folded(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
