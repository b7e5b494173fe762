"""Packets of real sockets, which test runs cannot make: checksums and segmentation left to a later network card.

A client and a server behind one device, the way to the server narrower than the client thinks: so every connection
begins with an ICMP error made of a packet that awaits both.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from compiler.ir.entries import ActionCall, TableEntry
from compiler.pipeline.assembly import pipeline
from runtime.bpf.attach import Attachment, attach_tc
from runtime.bpf.chains import Hook
from runtime.bpf.namespaces import entered
from runtime.bpf.queries import Hook as AttachHook
from runtime.verification.kernel_level import KernelLevel
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, GATEWAY, MACS, VIP, WEB_1_PORT, device_entries
from runtime.verification.vector import in_order

pytestmark = [pytest.mark.root, pytest.mark.slow]
DPU, CLIENT, SERVER = "cpr-dpu", "cpr-client", "cpr-server"
NARROW_MTU = 1300
SERVICE_PORT, BACKEND_PORT = 81, 8081
SIZE = 2_000_000
REPRESENTORS = {CLIENT_PORT: ("cpr16", CLIENT, "client"), WEB_1_PORT: ("cpr17", SERVER, "web-1")}
TO_THE_OTHER_END = 2
"""EGRESS_PEER of verdict.h."""


def run(command: str, *, check: bool = True) -> str:
    return subprocess.run(command.split(), check=check, capture_output=True, text=True).stdout


def remove() -> None:
    for namespace in (DPU, CLIENT, SERVER):
        run(f"ip netns del {namespace}", check=False)


def join(representor: str, namespace: str, workload: str) -> None:
    """Put a workload behind a representor: every address but its own is beyond the gateway."""
    run(f"ip link add {representor} netns {DPU} type veth peer name eth0 netns {namespace}")
    run(f"ip -n {DPU} link set {representor} up")
    run(f"ip -n {namespace} link set eth0 up address {MACS[workload]}")
    for version, length in ((4, 32), (6, 128)):
        ip = f"ip -n {namespace} -{version}"
        nodad = " nodad" if version == 6 else ""
        run(f"{ip} addr add {ADDRESSES[version][workload]}/{length} dev eth0{nodad}")
        run(f"{ip} route add {GATEWAY[version]} dev eth0")
        run(f"{ip} route add default via {GATEWAY[version]} dev eth0")


def narrow(change: object) -> object:
    """The way to the server takes smaller packets."""
    if isinstance(change, TableEntry) and change.table == "neighbor" and isinstance(change.action, ActionCall):
        network, port, _, *rest = change.action.arguments
        if port == WEB_1_PORT:
            return replace(change, action=replace(change.action, arguments=(network, port, NARROW_MTU, *rest)))
    return change


@pytest.fixture(params=["offloads", "no offloads"])
def device(request: pytest.FixtureRequest) -> Generator[None]:
    remove()
    try:
        for namespace in (DPU, CLIENT, SERVER):
            run(f"ip netns add {namespace}")
        with KernelLevel(pipeline(), Hook.TC, flags={"test_mode": 0}) as kernel, ExitStack() as attachments:
            for change in in_order(device_entries("A")):
                kernel.insert(narrow(change))  # pyright: ignore[reportArgumentType]
            for port, (representor, namespace, workload) in REPRESENTORS.items():
                join(representor, namespace, workload)
                if request.param == "no offloads":
                    run(f"ip netns exec {DPU} ethtool -K {representor} tx off tso off gso off")
                attachments.callback(attach(kernel, port, representor).close)
            yield
    finally:
        remove()


def attach(kernel: KernelLevel, port: int, representor: str) -> Attachment:
    with entered(DPU):
        ifindex = socket.if_nametoindex(representor)
        kernel.interfaces.put(ifindex, port)
        kernel.map("egress").update(struct.pack("<I", port), struct.pack("<2I", ifindex, TO_THE_OTHER_END))
        return attach_tc(kernel.program, ifindex, AttachHook.INGRESS)


def serve(family: socket.AddressFamily, address: str) -> threading.Thread:
    """Take one connection and answer with how much came."""
    with entered(SERVER):
        listener = socket.create_server((address, BACKEND_PORT), family=family)

    def answer() -> None:
        with listener, listener.accept()[0] as connection:
            received = 0
            while data := connection.recv(1 << 16):
                received += len(data)
            connection.sendall(str(received).encode())

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def counter(namespace: str, name: str) -> int:
    lines = run(f"ip netns exec {namespace} nstat -az {name}").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.mark.usefixtures("device")
def test_connections_shrink_to_a_narrow_way() -> None:
    for family, version in ((socket.AF_INET, 4), (socket.AF_INET6, 6)):
        thread = serve(family, ADDRESSES[version]["web-1"])
        with entered(CLIENT):
            client = socket.socket(family)
        with client:
            client.settimeout(10)
            client.connect((VIP[version], SERVICE_PORT))
            client.sendall(bytes(SIZE))
            client.shutdown(socket.SHUT_WR)
            assert client.recv(64) == str(SIZE).encode()
        thread.join(timeout=10)
    assert counter(CLIENT, "IcmpInDestUnreachs") > 0
    assert counter(CLIENT, "Icmp6InPktTooBigs") > 0
    for name in ("IcmpInCsumErrors", "IpExtInCsumErrors", "Icmp6InCsumErrors", "TcpInCsumErrors"):
        assert counter(CLIENT, name) == 0, name
        assert counter(SERVER, name) == 0, name
