"""Packets of controllers: out of a port by a packet socket, or into the pipeline by an interface of the device's own.

A packet socket sends on whatever interface a port is, veth or card, past the programs on it. The other way is a TAP
interface, the CPU port: what is written to it comes in there as from a wire. It lives as long as the device.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

from runtime.bpf.attach import Attachment, attach_tc
from runtime.bpf.errors import BpfError
from runtime.bpf.interfaces import IFF_UP, REQUEST, read_flags, set_flags
from runtime.bpf.program import Program
from runtime.bpf.queries import Hook
from runtime.device.refusals import Code, RefusedError, exhausted, invalid

_TUN = Path("/dev/net/tun")
_NAME = b"turnout-cpu%d"
"""The kernel puts the first free number in."""
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x2, 0x1000
_FULL = (errno.EAGAIN, errno.ENOBUFS)


class PacketSocket:
    """Sends frames out of interfaces; receives nothing."""

    def __init__(self) -> None:
        """Raises `OSError`."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)

    def send(self, interface: str, frame: bytes, what: str) -> None:
        """Raises INVALID_ARGUMENT (larger than the MTU), RESOURCE_EXHAUSTED, UNAVAILABLE; `what` names the port."""
        try:
            self._socket.sendto(frame, (interface, 0))
        except OSError as problem:
            raise _refusal(problem, f"{what} ({interface})", len(frame)) from problem

    def close(self) -> None:
        self._socket.close()


class CpuPort:
    """The interface by which packets of controllers come into the pipeline."""

    def __init__(self, dispatcher: Program, put: Callable[[int], None]) -> None:
        """Make it, with the dispatcher on it; `put` is told its index first. Raises `OSError`, `BpfError`."""
        self._fd = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self.name = self._made()
            self.ifindex = socket.if_nametoindex(self.name)
            put(self.ifindex)
            self._attachment: Attachment = attach_tc(dispatcher, self.ifindex, Hook.INGRESS)
            self._bring_up()
        except (OSError, BpfError):
            os.close(self._fd)
            raise

    def submit(self, frame: bytes) -> None:
        """Raises RESOURCE_EXHAUSTED, UNAVAILABLE."""
        try:
            os.write(self._fd, frame)
        except OSError as problem:
            raise _refusal(problem, f"the CPU port ({self.name})", len(frame)) from problem

    def close(self) -> None:
        """The interface goes with it."""
        self._attachment.close()
        os.close(self._fd)

    def _made(self) -> str:
        given = fcntl.ioctl(self._fd, _TUNSETIFF, REQUEST.pack(_NAME, _IFF_TAP | _IFF_NO_PI))
        return REQUEST.unpack(given)[0].rstrip(b"\0").decode()

    def _bring_up(self) -> None:
        """Without IPv6, with which the kernel would talk to nobody on it."""
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{self.name}/disable_ipv6").write_text("1")
        set_flags(self.name, read_flags(self.name) | IFF_UP)


def _refusal(problem: OSError, where: str, length: int) -> RefusedError:
    if problem.errno == errno.EMSGSIZE:
        return invalid(f"{where}: the packet has {length} bytes, more than the MTU lets through")
    if problem.errno in _FULL:
        return exhausted(f"{where}: the queue is full, or the link is down")
    return RefusedError(Code.UNAVAILABLE, f"{where}: {problem.strerror}")
