"""The servers that the lab starts, on loopback."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from runtime.lab.servers import server_command
from runtime.lab.topology import LabWorkload


def free_port() -> int:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        return probe.getsockname()[1]


def workload(*serve: tuple[str, int]) -> LabWorkload:
    return LabWorkload(
        key="default/web-1", namespace="n", addresses=(), gateways=(), mac="", mtu=1500, vlan=0, serve=serve
    )


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    ports = {kind: free_port() for kind in ("http", "tcp-echo", "udp-echo")}
    command = server_command(workload(*ports.items()))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready " + " ".join(f"{kind}:{port}" for kind, port in ports.items()) + "\n"
        yield ports
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


def exchange(address: str, port: int, request: bytes) -> bytes:
    with socket.create_connection((address, port), timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_http_answers_name_and_client(ports: dict[str, int], address: str) -> None:
    answer = exchange(address, ports["http"], b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    body = f"web-1 {address}\n".encode()
    assert answer == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
    )


@pytest.mark.parametrize(
    ("request_line", "headers", "bodies", "word"),
    [
        (b"GET / HTTP/1.1", b"", 2, b"keep-alive"),
        (b"GET / HTTP/1.0", b"", 1, b"close"),
        (b"GET / HTTP/1.0", b"Connection: Keep-Alive\r\n", 2, b"keep-alive"),
        (b"HEAD / HTTP/1.1", b"", 0, b"keep-alive"),
    ],
)
def test_http_keeps_connections(
    ports: dict[str, int], request_line: bytes, headers: bytes, bodies: int, word: bytes
) -> None:
    answer = exchange("127.0.0.1", ports["http"], (request_line + b"\r\n" + headers + b"\r\n") * 2)
    assert answer.count(b"web-1 127.0.0.1\n") == bodies
    assert set(re.findall(rb"Connection: (\S+)", answer)) == {word}


def test_http_ends_on_nonsense(ports: dict[str, int]) -> None:
    assert exchange("127.0.0.1", ports["http"], b"\x16\x03\x01\r\n\r\n") == b""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_tcp_echo(ports: dict[str, int], address: str) -> None:
    data = bytes(range(256)) * 1000
    assert exchange(address, ports["tcp-echo"], data) == data


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_udp_echo(ports: dict[str, int], family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        for data in (b"", b"one", b"x" * 1400):
            client.sendto(data, (address, ports["udp-echo"]))
            assert client.recvfrom(65536)[0] == data


def test_a_taken_port_ends_it_with_the_reason(ports: dict[str, int]) -> None:
    command = server_command(workload(("http", ports["http"])))
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert run.returncode == 1
    assert "Address already in use" in run.stderr
    assert run.stdout == ""
