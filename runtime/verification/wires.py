"""Veth pairs between two network namespaces of our own, with a packet socket on every far end.

The namespaces have no name, so the kernel takes them and all in them away with the last descriptor, even when this
process is killed. Frames carry what is beside them: the 802.1Q tag (packet(7), `tpacket_auxdata`) and what is left to a
card (`PACKET_VNET_HDR`). The kernel takes a tag out of a sent frame before tc sees it: it is in metadata then.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.bpf.errors import KernelRefusal
from runtime.bpf.interfaces import IFF_RUNNING, read_flags, set_flags
from runtime.bpf.namespaces import CLONE_NEWNET, OWN, entered
from runtime.verification.offloads import SIZE, VnetHeader, completed, decode

MTU = 65_535
ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 8, 15, 23
TP_STATUS_VLAN_VALID = 1 << 4
_AUXDATA = struct.Struct("=I12xHH")
_LONGEST, _ANCILLARY = 1 << 17, 256
LINK_PATIENCE_S, LINK_PAUSE_S = 10.0, 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A frame with its tag in it and its checksum computed; `gso_size` is 0 unless it is still to be cut."""

    frame: bytes
    gso_size: int


class Wires:
    """Near ends are interfaces for programs, far ends are sockets here. Close them."""

    def __init__(self) -> None:
        self._near = _new_namespace()
        self._far = _new_namespace()
        self._ends: dict[str, socket.socket] = {}
        self._poll = select.poll()
        self.ifindex: dict[str, int] = {}

    def close(self) -> None:
        for end in self._ends.values():
            end.close()
        self._ends.clear()
        for descriptor in (self._near, self._far):
            os.close(descriptor)

    @contextmanager
    def near(self) -> Generator[None]:
        """Be where the near ends are, to attach programs to them."""
        with entered(_path(self._near)):
            yield

    def add(self, name: str, *, has_offloads: bool = True) -> int:
        """The interface index of a new pair's near end. Without offloads the kernel computes and cuts for itself."""
        far = f"/proc/{os.getpid()}/fd/{self._far}"
        with self.near():
            _run(
                "ip", "link", "add", name, "mtu", str(MTU), "type", "veth", "peer", name, "mtu", str(MTU), "netns", far
            )
            if not has_offloads:
                _run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off")
            _run("ip", "link", "set", name, "up")
            self.ifindex[name] = socket.if_nametoindex(name)
        with entered(_path(self._far)):
            _run("ip", "link", "set", name, "up")
            self._ends[name] = _packet_socket(name)
        with self.near():
            await_sending(name)
        self._poll.register(self._ends[name], select.POLLIN)
        return self.ifindex[name]

    def send(self, name: str, header: VnetHeader, frame: bytes) -> None:
        """Out of a far end. Raises OSError for what the kernel does not take."""
        self._ends[name].send(header.encode() + frame)

    def receive(self, name: str, timeout_s: float) -> Received | None:
        """The next frame at a far end; None when there is none in time."""
        self._ends[name].settimeout(timeout_s)
        try:
            data, ancillary, _, _ = self._ends[name].recvmsg(_LONGEST, _ANCILLARY)
        except (TimeoutError, BlockingIOError):
            return None
        header = decode(data)
        return Received(frame=_tagged(completed(header, data[SIZE:]), ancillary), gso_size=header.gso_size)

    def drain(self) -> None:
        """Forget every frame that waits."""
        for name in self.waiting():
            while self.receive(name, 0) is not None:
                pass

    def waiting(self, timeout_s: float = 0) -> tuple[str, ...]:
        """The far ends at which a frame waits, once there is one or time is up."""
        ready = {descriptor for descriptor, _ in self._poll.poll(timeout_s * 1000)}
        return tuple(name for name, end in self._ends.items() if end.fileno() in ready)


def await_sending(name: str) -> None:
    """Until an interface of this namespace, the end of its pair that was set up first, sends what it is given.

    The kernel's link watch puts the queues of that end to work, and what was sent before is lost: at once, as it does
    not for the other end, and right after the interface counts as running, in the same hold of the lock that setting
    flags takes, too (net/core/link_watch.c, `linkwatch_do_dev`). Raises `TimeoutError`.
    """
    end = time.monotonic() + LINK_PATIENCE_S
    while not (flags := read_flags(name)) & IFF_RUNNING:
        if time.monotonic() > end:
            raise TimeoutError(f"{name} is up, but does not run")
        time.sleep(LINK_PAUSE_S)
    set_flags(name, flags)


def _tagged(frame: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    for level, kind, content in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, tag, protocol = _AUXDATA.unpack_from(content)
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", protocol, tag) + frame[12:]
    return frame


def _packet_socket(interface: str) -> socket.socket:
    """Every frame that comes in by an interface, and none that goes out. No protocol before it is bound: no frame."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    for option in (PACKET_IGNORE_OUTGOING, PACKET_AUXDATA, PACKET_VNET_HDR):
        made.setsockopt(SOL_PACKET, option, 1)
    made.bind((interface, ETH_P_ALL))
    return made


def _new_namespace() -> int:
    """The descriptor of a namespace in which nothing speaks for itself."""
    own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise KernelRefusal(ctypes.get_errno(), "make a network namespace")
        try:
            for scope in ("all", "default"):
                quiet = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
                if quiet.exists():
                    quiet.write_text("1")
            return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            if libc.setns(own, CLONE_NEWNET) != 0:
                raise KernelRefusal(ctypes.get_errno(), "return from a namespace")
    finally:
        os.close(own)


def _path(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
