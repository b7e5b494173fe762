"""A device of either target with ports that a test sends frames into and receives from."""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from runtime.bpf.namespaces import entered
from runtime.device.modelwire import link_message
from tests.conformance.conftest import running
from tests.conformance.kernel import PORTS, Topology, config_of, topology

PATIENCE_S = 10.0
SILENCE_S = 0.3
LARGEST = 70_000
_ALL = 3
"""ETH_P_ALL."""
_SOL_PACKET, _PACKET_AUXDATA, _VLAN_VALID = 263, 8, 1 << 4
_AUXDATA = struct.Struct("=3I4H")
_OUTGOING = 4
"""PACKET_OUTGOING: what the socket's own side has sent."""


class Wire(Protocol):
    """The far ends of the ports `PORTS`."""

    def send(self, port: int, frame: bytes) -> None: ...

    def receive(self, port: int, timeout: float = PATIENCE_S) -> bytes | None:
        """The next frame that came out of a port; None after so long."""
        ...

    def set_link(self, port: int, *, is_up: bool) -> None:
        """As when the cable of a port is pulled, or put in again."""
        ...


class KernelWire:
    """Packet sockets in the namespaces behind the ports; what the device's kernel says by itself is passed over."""

    def __init__(self, ports: Topology, held: ExitStack) -> None:
        self._ports = ports
        self._sockets: dict[int, socket.socket] = {}
        for port in PORTS:
            with entered(ports.behind(port)):
                # So that nothing but a test's frames comes in.
                Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").write_text("1")
                opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
                opened.bind(("eth0", _ALL))
            opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            self._sockets[port] = held.enter_context(opened)

    def send(self, port: int, frame: bytes) -> None:
        self._sockets[port].send(frame)

    def receive(self, port: int, timeout: float = PATIENCE_S) -> bytes | None:
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self._sockets[port].settimeout(left)
            try:
                frame, told, _, about = self._sockets[port].recvmsg(LARGEST, 64)
            except TimeoutError:
                return None
            is_chatter = frame[12:14] == b"\x86\xdd" and frame[20] in (0, 58)
            if about[2] != _OUTGOING and not is_chatter:
                return _with_tag(frame, told)
        return None

    def set_link(self, port: int, *, is_up: bool) -> None:
        self._ports.set_link(port, is_up=is_up)
        self._sockets[port].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # forget that the link was down


def _with_tag(frame: bytes, told: list[tuple[int, int, bytes]]) -> bytes:
    """The kernel takes the 802.1Q tag out of a frame that it receives."""
    for level, kind, data in told:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, _, _, _, _, tci, protocol = _AUXDATA.unpack_from(data)
            if status & _VLAN_VALID:
                return frame[:12] + struct.pack("!HH", protocol, tci) + frame[12:]
    return frame


class ModelWire:
    """The model's unix socket, read by a thread so that ports can be asked one by one."""

    def __init__(self, path: Path, held: ExitStack) -> None:
        self._socket = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        self._socket.connect(str(path))
        self._frames: dict[int, queue.SimpleQueue[bytes]] = {port: queue.SimpleQueue() for port in PORTS}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        held.callback(self._socket.shutdown, socket.SHUT_RDWR)

    def send(self, port: int, frame: bytes) -> None:
        self._socket.send(struct.pack("!H", port) + frame)

    def receive(self, port: int, timeout: float = PATIENCE_S) -> bytes | None:
        try:
            return self._frames[port].get(timeout=timeout)
        except queue.Empty:
            return None

    def set_link(self, port: int, *, is_up: bool) -> None:
        self._socket.send(link_message(port, is_up=is_up))

    def _read(self) -> None:
        while message := self._socket.recv(LARGEST):
            port = int.from_bytes(message[:2], "big")
            if port in self._frames:
                self._frames[port].put(message[2:])


@dataclass(frozen=True, kw_only=True)
class WiredDevice:
    """A running device, and a configuration that its target takes."""

    target: str
    address: str
    config: p4r.ForwardingPipelineConfig
    wire: Wire
    log: Path


@contextmanager
def wired(
    target: str,
    pipeline: Pipeline,
    folder: Path,
    prefix: str,
    *more: str,
    named: Mapping[int, str] | None = None,
) -> Generator[WiredDevice]:
    """A device until the end of the block; a prefix of namespaces is used by one at a time. `more`: arguments.

    `named` is what stands behind `--port` of some ports, such as `,name=web`; the model's have names only with it.
    """
    is_kernel = target == "kernel"
    config = config_of(pipeline, target)
    arguments = ["--name", "d", "--listen", f"unix:{folder}/d.sock", "--target", target, *more]
    with topology(prefix) if is_kernel else nullcontext() as ports, ExitStack() as held:
        if ports is None:
            arguments += ["--wire", str(folder / "wire.sock")]
        else:
            arguments += ["--state-dir", str(folder / "state"), "--ephemeral"]
        if ports is not None or named is not None:
            behind = named or {}
            arguments += [f"--port={number}={name}{behind.get(number, '')}" for number, name in PORTS.items()]
        address = held.enter_context(running(arguments, folder, ports.namespace if ports is not None else None))
        wire = ModelWire(folder / "wire.sock", held) if ports is None else KernelWire(ports, held)
        yield WiredDevice(target=target, address=address, config=config, wire=wire, log=folder / "device.log")
