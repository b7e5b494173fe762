"""Traffic from inside a lab's namespaces: requests, pings, bulk transfers, captures. Sockets of this very process."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from runtime.bpf.namespaces import entered

TIMEOUT_S = 5.0
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
IPV6_MTU_DISCOVER, IPV6_MTU = 23, 24
IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 11, 25, 0x2000


_PORTS = cycle(range(10_000, 32_000))
"""Source ports, below those that the kernel gives out. A device knows a closed connection for two minutes more, and a
port used again within them is that connection's."""


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`server` and `seen` are what the server said: its name, and the client's address as it sees it."""

    server: str
    seen: str
    peer: str


def ask(namespace: str, address: str, port: int = 80, timeout_s: float = TIMEOUT_S) -> Answer:
    """One HTTP request on a connection of its own. Raises OSError when nothing answers."""
    source = ("", next(_PORTS))
    with entered(namespace), socket.create_connection((address, port), timeout_s, source) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        text = b""
        while part := connection.recv(4096):
            text += part
        peer = connection.getpeername()[0]
    if not text:
        raise ConnectionError("an empty answer")
    name, seen = text.rpartition(b"\r\n")[2].decode().split()
    return Answer(server=name, seen=seen, peer=peer)


def echo(namespace: str, address: str, port: int, message: bytes, *, source_port: int = 0) -> str:
    """Send a datagram and get it back; the address that it came back from. Not connected: any sender is heard."""
    with entered(namespace), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.bind(("", source_port or next(_PORTS)))
        client.settimeout(TIMEOUT_S)
        client.sendto(message, (address, port))
        back, sender = client.recvfrom(65536)
    assert back == message
    assert sender[1] == port
    return sender[0]


def ping(namespace: str, address: str, *, ttl: int = 64, timeout_s: float = TIMEOUT_S) -> bool:
    """An ICMP or ICMPv6 echo over a raw socket."""
    with entered(namespace):
        if family_of(address) == socket.AF_INET6:
            return _ping6(address, ttl, timeout_s)
        return _ping4(address, ttl, timeout_s)


def _ping4(address: str, ttl: int, timeout_s: float) -> bool:
    ident = os.getpid() & 0xFFFF
    total = 0x0800 + ident + 1
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        raw.sendto(struct.pack("!BBHHH", 8, 0, checksum, ident, 1), (address, 0))
        answers = ((packet[20:28], sender) for packet, sender in _received(raw, timeout_s))
        return any(_is_reply(header, 0, ident) and sender == address for header, sender in answers)


def _ping6(address: str, ttl: int, timeout_s: float) -> bool:
    """The kernel computes the checksum of a raw ICMPv6 socket."""
    ident = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        raw.sendto(struct.pack("!BBHHH", 128, 0, 0, ident, 1), (address, 0))
        answers = ((packet[:8], sender) for packet, sender in _received(raw, timeout_s))
        return any(_is_reply(header, 129, ident) and sender == address for header, sender in answers)


def _is_reply(header: bytes, kind: int, ident: int) -> bool:
    return header[0] == kind and struct.unpack_from("!HH", header, 4) == (ident, 1)


def _received(raw: socket.socket, timeout_s: float) -> Iterator[tuple[bytes, str]]:
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            packet, sender = raw.recvfrom(2048)
        except TimeoutError:
            return
        yield packet, sender[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class IcmpError:
    """What a sender's socket got: type, code and `info` (the MTU) of an ICMP error, and who sent it."""

    type: int
    code: int
    info: int
    sender: str


def provoke(namespace: str, address: str, port: int, *, ttl: int = 64, size: int = 10) -> IcmpError:
    """Send a UDP datagram that may not be fragmented; the ICMP error that it brings. Raises TimeoutError."""
    is_ipv6 = family_of(address) == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if is_ipv6 else socket.IPPROTO_IP
    with entered(namespace), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.setsockopt(level, socket.IPV6_UNICAST_HOPS if is_ipv6 else socket.IP_TTL, ttl)
        client.setsockopt(level, IPV6_MTU_DISCOVER if is_ipv6 else IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        client.setsockopt(level, IPV6_RECVERR if is_ipv6 else IP_RECVERR, 1)
        client.connect((address, port))
        client.send(bytes(size))
        return _error_of(client, is_ipv6=is_ipv6)


def _error_of(client: socket.socket, *, is_ipv6: bool) -> IcmpError:
    """struct sock_extended_err and, behind it, the sockaddr of the sender (ip(7), IP_RECVERR)."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            _, controls, _, _ = client.recvmsg(2048, 512, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        _, _, kind, code, _, info, _ = struct.unpack_from("=IBBBBII", controls[0][2])
        start = 16 + (8 if is_ipv6 else 4)
        raw = controls[0][2][start : start + (16 if is_ipv6 else 4)]
        sender = socket.inet_ntop(socket.AF_INET6 if is_ipv6 else socket.AF_INET, raw)
        return IcmpError(type=kind, code=code, info=info, sender=sender)
    raise TimeoutError("no ICMP error came")


def path_mtu(namespace: str, address: str) -> int:
    """What the sender's kernel believes of the path by now."""
    is_ipv6 = family_of(address) == socket.AF_INET6
    with entered(namespace), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.connect((address, 1))
        level, option = (socket.IPPROTO_IPV6, IPV6_MTU) if is_ipv6 else (socket.IPPROTO_IP, IP_MTU)
        return client.getsockopt(level, option)


@dataclass(slots=True)
class Sink:
    """A TCP server that takes one connection's bytes until their end, or sends some; then it ends."""

    listener: socket.socket
    outgoing: bytes = b""
    digest: str = ""
    peer: str = ""
    thread: threading.Thread | None = None

    def run(self) -> None:
        connection, address = self.listener.accept()
        with connection:
            connection.settimeout(60)
            self.peer = address[0].removeprefix("::ffff:")
            if self.outgoing:
                connection.sendall(self.outgoing)
            else:
                self.digest = digest_of(connection)

    def wait(self) -> None:
        assert self.thread is not None
        self.thread.join(60)
        assert not self.thread.is_alive()


def digest_of(connection: socket.socket) -> str:
    digest = hashlib.sha256()
    while part := connection.recv(1 << 18):
        digest.update(part)
    return digest.hexdigest()


@contextmanager
def sink(namespace: str, port: int, outgoing: bytes = b"") -> Generator[Sink]:
    """A `Sink` that listens for IPv4 and IPv6 in a namespace."""
    with entered(namespace):
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    with listener:
        listener.settimeout(60)
        made = Sink(listener, outgoing)
        made.thread = threading.Thread(target=made.run, daemon=True)
        made.thread.start()
        yield made


def upload(namespace: str, address: str, port: int, data: bytes) -> None:
    with entered(namespace), socket.create_connection((address, port), 60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def download(namespace: str, address: str, port: int) -> str:
    """The digest of all that a server sends."""
    with entered(namespace), socket.create_connection((address, port), 60) as connection:
        return digest_of(connection)


@dataclass(slots=True)
class Capture:
    """Frames that an interface saw since `capture` began, both directions."""

    _socket: socket.socket
    _frames: list[bytes] = field(default_factory=lambda: [])

    def drain(self) -> None:
        while True:
            try:
                self._frames.append(self._socket.recv(1 << 17, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return

    def packets(self) -> list[Packet]:
        """To be asked after the block."""
        return [Ether(frame) for frame in self._frames]


@contextmanager
def capture(namespace: str, interface: str = "eth0") -> Generator[Capture]:
    """Listen on an interface of a namespace (packet(7)). Offloaded checksums are still unfinished there."""
    with entered(namespace):
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        listener.bind((interface, ETH_P_ALL))
    with listener:
        made = Capture(listener)
        yield made
        made.drain()


@dataclass(slots=True)
class Requests:
    """Requests one after the other in a thread, until the block of `steady_requests` ends."""

    answers: list[Answer] = field(default_factory=lambda: [])
    failures: list[str] = field(default_factory=lambda: [])
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, namespace: str, address: str, port: int) -> None:
        while not self.ended.is_set():
            try:
                self.answers.append(ask(namespace, address, port, timeout_s=2.0))
            except OSError as problem:
                self.failures.append(f"{time.monotonic():.3f} {problem!r}")
            time.sleep(0.01)

    def servers(self, since: int = 0) -> set[str]:
        return {answer.server for answer in self.answers[since:]}


@contextmanager
def steady_requests(namespace: str, address: str, port: int = 80) -> Generator[Requests]:
    requests = Requests()
    thread = threading.Thread(target=requests.run, args=(namespace, address, port), daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        requests.ended.set()
        thread.join(10)
