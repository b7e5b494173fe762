"""Associations of SCTP through a service of examples/shop.yaml: backends here and behind the other device.

The kernel may have no SCTP, so both sides are raw sockets that speak a chunk at a time, and check every CRC32c.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from runtime.bpf.namespaces import entered
from runtime.verification import wire
from tests.root.end_to_end.shop import CLIENT, Shop, find, standing_example
from tests.root.end_to_end.test_explain import only_way
from tests.root.end_to_end.traffic import family_of

pytestmark = [pytest.mark.root, pytest.mark.slow]
VIP = ("10.96.0.10", "fd00:10:96::10")
BACKENDS = ("shop.web-1", "shop.web-2", "shop.web-3")
PORT, TARGET = 80, 8080
TIMEOUT_S = 5.0
ANSWERS = {1: "SA", 0: "A", 7: "FA"}
"""What a backend answers, by the type of the chunk."""
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet of SCTP whose checksum was right."""

    sender: str
    src_port: int
    dst_port: int
    chunk: int


def heard(raw: socket.socket) -> Heard:
    """The next packet; IPv4 sockets get its IP header as well."""
    data, sender = raw.recvfrom(65_535)
    packet = data[4 * (data[0] & 15) :] if raw.family == socket.AF_INET else data
    assert int.from_bytes(packet[8:12], "little") == wire.crc32c(packet[:8] + bytes(4) + packet[12:])
    src_port, dst_port = (int.from_bytes(packet[at : at + 2], "big") for at in (0, 2))
    return Heard(str(ip_address(sender[0])), src_port, dst_port, packet[12])


def said(raw: socket.socket, address: str, src_port: int, dst_port: int, flags: str, payload: bytes) -> None:
    raw.sendto(wire.sctp(src_port, dst_port, wire.tcp_flags(flags), payload), (address, 0))


@dataclass(slots=True)
class Backend:
    name: str
    got: list[Heard] = field(default_factory=list[Heard])
    wrong: list[BaseException] = field(default_factory=list[BaseException])

    def serve(self, raw: socket.socket, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                one = heard(raw)
            except TimeoutError:
                continue
            except AssertionError as wrong:
                self.wrong.append(wrong)
                continue
            self.got.append(one)
            said(raw, one.sender, one.dst_port, one.src_port, ANSWERS[one.chunk], self.name.encode())


@contextmanager
def serving(lab: Shop, name: str, family: socket.AddressFamily) -> Generator[Backend]:
    backend, ended = Backend(name), threading.Event()
    with entered(lab.namespace(name)):
        raw = socket.socket(family, socket.SOCK_RAW, wire.SCTP)
    raw.settimeout(0.2)
    server = threading.Thread(target=backend.serve, args=(raw, ended))
    server.start()
    try:
        yield backend
    finally:
        ended.set()
        server.join()
        raw.close()
    assert backend.wrong == []


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with standing_example("q", tmp_path_factory.mktemp("associations"), "shop.yaml") as built:
        policies = built.changed()
        find(policies, "DpuService", "web")["spec"]["ports"][0]["protocol"] = "SCTP"
        built.applied(policies)
        yield built


@FAMILIES
def test_associations_stay_at_one_backend_and_hear_the_service(lab: Shop, family: int) -> None:
    number = family_of(VIP[family])
    with ExitStack() as stack:
        backends = [stack.enter_context(serving(lab, name, number)) for name in BACKENDS]
        with entered(lab.namespace(CLIENT)), socket.socket(number, socket.SOCK_RAW, wire.SCTP) as client:
            client.settimeout(TIMEOUT_S)
            for port in range(41_000 + 100 * family, 41_030 + 100 * family):
                for flags, chunk in (("S", 2), ("A", 0), ("A", 0), ("FA", 7)):
                    said(client, VIP[family], port, PORT, flags, b"x" * (port % 7))
                    assert heard(client) == Heard(VIP[family], PORT, port, chunk)
    for backend in backends:
        assert backend.got, backend.name
        assert {one.dst_port for one in backend.got} == {TARGET}
        assert [one.chunk for one in backend.got] == [1, 0, 0, 7] * (len(backend.got) // 4)
    assert len({one.sender for backend in backends for one in backend.got}) == 1
    assert sum(len(backend.got) for backend in backends) == 4 * 30


def test_nobody_listens_where_the_service_has_no_such_protocol(lab: Shop) -> None:
    """The port is SCTP's now: TCP finds no service there."""
    with entered(lab.namespace(CLIENT)), pytest.raises(OSError):
        socket.create_connection((VIP[0], PORT), 1.0).close()


def test_explain_says_what_becomes_of_one(lab: Shop) -> None:
    way = only_way("client", "web:80", 42_000)
    assert way["fate"] in ("delivered", "sent into the underlay")
    (hit,) = (step for step in way["hops"][0]["steps"] if step.get("table") == "service_ipv4")
    assert hit["key"]["protocol"] == "132"
