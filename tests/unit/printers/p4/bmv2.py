"""A simple_switch_grpc of our own with the printed program, its ports in a namespace of its own."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compiler.ir.entries import Group, Member, TableEntry
from compiler.ir.nodes import Pipeline
from compiler.printers.v1model_p4info import v1model_p4info
from runtime.bpf.namespaces import entered
from runtime.client.contents import Contents
from runtime.client.plan import Kind, Step
from runtime.client.session import Session

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
TP_STATUS_VLAN_VALID = 1 << 4
_AUXDATA = struct.Struct("=I12xHH")
_SETTLE_S = 0.5


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass
class Switch:
    """Ports are packet sockets on the far ends of veth pairs."""

    session: Session
    contents: Contents
    ports: dict[int, socket.socket]

    def insert(self, entities: Iterable[Member | Group | TableEntry]) -> None:
        steps = [Step(kind=Kind.INSERT, entity=entity) for entity in entities]
        errors = self.session.write(list(self.contents.updates(steps)))
        refused = [(step.entity, error) for step, error in zip(steps, errors, strict=True) if error is not None]
        assert not refused, refused[:3]

    def exchange(
        self, port: int, packet: bytes, *, wait_s: float = 2.0, drop: bool = False
    ) -> tuple[int, bytes] | None:
        """Send a packet in at a port; returns the port and the bytes of what comes out, None for nothing.

        Where a drop is expected the wait is short.
        """
        self._empty()
        self.ports[port].send(packet)
        ready, _, _ = select.select(list(self.ports.values()), [], [], 0.3 if drop else wait_s)
        for number, end in self.ports.items():
            if end in ready:
                return number, received(end)
        return None

    def _empty(self) -> None:
        for end in self.ports.values():
            while True:
                try:
                    end.recv(65536, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break


@contextmanager
def switch(binary: str, pipeline: Pipeline, config: Path, folder: Path, ports: tuple[int, ...]) -> Generator[Switch]:
    """Run BMv2 with the JSON of p4c in `config` loaded."""
    namespace = f"p4bm-{os.getpid()}-{folder.name[-8:]}"
    _ip("netns", "add", namespace)
    try:
        for port in ports:
            _ip(
                "-n", namespace, "link", "add", f"sw{port}", "mtu", "9000", "type", "veth", "peer", "name", f"far{port}"
            )
            for end in ("sw", "far"):
                _ip("-n", namespace, "link", "set", f"{end}{port}", "mtu", "9000", "up")
        with entered(namespace):
            Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
            ends = {port: _packet_socket(f"far{port}") for port in ports}
        with _running(binary, namespace, folder, ports) as address, Session(address, device_id=1) as session:
            session.become_primary()
            session.set_pipeline(v1model_p4info(pipeline), config.read_bytes(), cookie=1)
            yield Switch(session=session, contents=Contents(pipeline), ports=ends)
        for end in ends.values():
            end.close()
    finally:
        _ip("netns", "del", namespace)


def _packet_socket(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.bind((interface, ETH_P_ALL))
    # What we send ourselves must not look like an answer.
    made.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    return made


def received(end: socket.socket) -> bytes:
    """The frame with its 802.1Q tag, which the kernel hands over beside it (packet(7), `tpacket_auxdata`)."""
    data, ancillary, _, _ = end.recvmsg(65536, 256)
    for level, kind, content in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, tag, protocol = _AUXDATA.unpack_from(content)
            if status & TP_STATUS_VLAN_VALID:
                return data[:12] + struct.pack("!HH", protocol, tag) + data[12:]
    return data


@contextmanager
def _running(binary: str, namespace: str, folder: Path, ports: tuple[int, ...]) -> Generator[str]:
    listening = folder / "p4rt.sock"
    interfaces = [word for port in ports for word in ("-i", f"{port}@sw{port}")]
    command = ["ip", "netns", "exec", namespace, binary, "--no-p4", "--device-id", "1", *interfaces]
    options = ["--log-file", str(folder / "log"), "--", "--grpc-server-addr", f"unix:{listening}"]
    log = (folder / "output").open("wb")
    process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not listening.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        time.sleep(_SETTLE_S)
        yield f"unix:{listening}"
    finally:
        process.terminate()
        process.wait(20)
        log.close()
