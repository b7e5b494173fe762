"""A veth pair between two namespaces, and pings over it."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

from runtime.bpf.namespaces import entered

IDENT = 0x7470


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Namespace `near` with 10.77.0.1 on interface `v0` (`ifindex`), namespace `far` with 10.77.0.2."""

    near: str
    far: str
    ifindex: int


class Pinger:
    """ICMP echo over a raw socket of one namespace: no `ping` is needed."""

    def __init__(self, namespace: str, to: str = "10.77.0.2") -> None:
        with entered(namespace):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.to = to
        self.sequence = 0

    def answers(self, timeout_s: float = 0.3) -> bool:
        self.sequence += 1
        self.socket.sendto(echo_request(self.sequence), (self.to, 0))
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                packet = self.socket.recv(2048)
            except TimeoutError:
                return False
            if packet[20] == 0 and struct.unpack_from("!HH", packet, 24) == (IDENT, self.sequence):
                return True
        return False


def echo_request(sequence: int) -> bytes:
    words = (0x0800, IDENT, sequence)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", 8, 0, ~total & 0xFFFF, IDENT, sequence)
