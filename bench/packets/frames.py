"""Frames of many connections at once: rows of a numpy array, one frame each, checksums right.

A connection is a number; client address, client port and service follow from it. Addresses are those of
`bench.packets.entries`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.packets.addresses import CLIENT_MAC, ROUTER_MAC, UNDERLAY_HERE, UNDERLAY_THERE, VNI, Version, client, mac
from bench.packets.wrapper import Frames

TCP, UDP = 6, 17
ACK, SYN = 0x10, 0x02
ETHERNET_BYTES = 14
TUNNEL_BYTES = 50
IP_BYTES = {4: 20, 6: 40}
CLIENTS = 256
FIRST_PORT = 1024
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Both ends of connections: addresses as rows of bytes, ports as numbers."""

    src: Frames
    dst: Frames
    src_port: Numbers
    dst_port: Numbers

    @property
    def swapped(self) -> Ends:
        return Ends(src=self.dst, dst=self.src, src_port=self.dst_port, dst_port=self.src_port)


def from_clients(version: Version, connections: Numbers, destinations: Iterable[int], port: int) -> Ends:
    """Connection n goes from a client's address and port of its own to the nth destination (in turn) and `port`."""
    targets = address_rows(version, list(destinations))
    clients = address_rows(version, [client(version, number) for number in range(CLIENTS)])
    return Ends(
        src=clients[connections % CLIENTS],
        dst=targets[connections % len(targets)],
        src_port=FIRST_PORT + connections // CLIENTS,
        dst_port=np.full(len(connections), port, dtype=np.int64),
    )


def address_rows(version: Version, addresses: list[int]) -> Frames:
    size = 4 if version == 4 else 16
    raw = b"".join(address.to_bytes(size, "big") for address in addresses)
    return np.frombuffer(raw, dtype=np.uint8).reshape(len(addresses), size)


def tcp_frames(version: Version, ends: Ends, *, flags: int = ACK) -> Frames:
    """TCP segments from a workload's port, padded to whole words: 56 bytes of IPv4, 80 of IPv6."""
    header = struct.pack(">HHIIBBHHH", 0, 0, 1, 1 if flags & ACK else 0, 5 << 4, flags, 8192, 0, 0)
    return _frames(version, ends, TCP, header, checksum_at=16)


def udp_frames(version: Version, ends: Ends) -> Frames:
    """UDP datagrams of the same lengths."""
    return _frames(version, ends, UDP, bytes(20), checksum_at=6)


def _frames(version: Version, ends: Ends, protocol: int, transport: bytes, checksum_at: int) -> Frames:
    count, ip = len(ends.src_port), IP_BYTES[version]
    start = ETHERNET_BYTES + ip
    length = -(-(start + len(transport)) // 8) * 8
    frames = np.zeros((count, length), dtype=np.uint8)
    frames[:, :ETHERNET_BYTES] = _bytes(mac(ROUTER_MAC) + mac(CLIENT_MAC) + (b"\x08\x00", b"\x86\xdd")[version == 6])
    frames[:, ETHERNET_BYTES:start] = _bytes(_ip_header(version, protocol, length - ETHERNET_BYTES))
    frames[:, start : start + len(transport)] = _bytes(transport)
    at = ETHERNET_BYTES + (12 if version == 4 else 8)
    frames[:, at : at + ends.src.shape[1]] = ends.src
    frames[:, at + ends.src.shape[1] : at + 2 * ends.src.shape[1]] = ends.dst
    _put_u16(frames, start, ends.src_port)
    _put_u16(frames, start + 2, ends.dst_port)
    if protocol == UDP:
        _put_u16(frames, start + 4, np.full(count, length - start, dtype=np.int64))
    if version == 4:
        _put_u16(frames, ETHERNET_BYTES + 10, _checksum(_sum(frames[:, ETHERNET_BYTES:start])))
    pseudo = _sum(frames[:, at : at + 2 * ends.src.shape[1]]) + protocol + length - start
    _put_u16(frames, start + checksum_at, _checksum(pseudo + _sum(frames[:, start:])))
    return frames


def _ip_header(version: Version, protocol: int, length: int) -> bytes:
    if version == 4:
        return struct.pack(">BBHHHBBHII", 0x45, 0, length, 0, 0x4000, 64, protocol, 0, 0, 0)
    return struct.pack(">IHBB32x", 6 << 28, length - IP_BYTES[6], protocol, 64)


def tunnelled(frames: Frames) -> Frames:
    """The frames as they come from the other device, in VXLAN over IPv4; padded to whole words."""
    count, inner = frames.shape
    outer = bytearray(_ip_header(4, UDP, inner + TUNNEL_BYTES - ETHERNET_BYTES))
    outer[12:20] = UNDERLAY_THERE.to_bytes(4, "big") + UNDERLAY_HERE.to_bytes(4, "big")
    total = int(_checksum(_sum(_bytes(bytes(outer)).reshape(1, 20)))[0])
    outer[10:12] = total.to_bytes(2, "big")
    head = mac(ROUTER_MAC) + mac(CLIENT_MAC) + b"\x08\x00" + bytes(outer)
    head += struct.pack(">HHHH", 50_000, 4789, inner + 16, 0) + struct.pack(">II", 8 << 24, VNI << 8)
    found = np.zeros((count, -(-(inner + TUNNEL_BYTES) // 8) * 8), dtype=np.uint8)
    found[:, :TUNNEL_BYTES] = _bytes(head)
    found[:, TUNNEL_BYTES : TUNNEL_BYTES + inner] = frames
    return found


def arp_request(sender: int, target: int) -> Frames:
    """One ARP request (RFC 826)."""
    arp = struct.pack(">HHBBH6sI6sI", 1, 0x0800, 6, 4, 1, mac(CLIENT_MAC), sender, bytes(6), target)
    frame = (b"\xff" * 6 + mac(CLIENT_MAC) + b"\x08\x06" + arp).ljust(64, b"\0")
    return _bytes(frame).reshape(1, len(frame))


def neighbor_solicitation(sender: int, target: int) -> Frames:
    """One neighbour solicitation with its sender's link-layer address (RFC 4861, section 4.3)."""
    body = struct.pack(">BBHI16sBB6s", 135, 0, 0, 0, target.to_bytes(16, "big"), 1, 1, mac(CLIENT_MAC))
    frame = bytearray(_ip_header(6, 58, IP_BYTES[6] + len(body)))
    frame[7] = 255  # hop limit
    frame[8:40] = sender.to_bytes(16, "big") + target.to_bytes(16, "big")
    whole = (mac(ROUTER_MAC) + mac(CLIENT_MAC) + b"\x86\xdd" + bytes(frame) + body).ljust(88, b"\0")
    return _bytes(whole).reshape(1, len(whole))


def _bytes(raw: bytes) -> Frames:
    return np.frombuffer(raw, dtype=np.uint8)


def _put_u16(frames: Frames, at: int, values: Numbers) -> None:
    frames[:, at] = values >> 8
    frames[:, at + 1] = values & 0xFF


def _sum(rows: Frames) -> Numbers:
    """The sum of each row's 16-bit words."""
    return rows[:, 0::2].astype(np.int64).sum(axis=1) * 256 + rows[:, 1::2].astype(np.int64).sum(axis=1)


def _checksum(sums: Numbers) -> Numbers:
    for _ in range(3):
        sums = (sums & 0xFFFF) + (sums >> 16)
    return ~sums & 0xFFFF
