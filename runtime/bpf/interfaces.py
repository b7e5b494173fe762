"""Flags of the interfaces of this thread's network namespace (netdevice(7))."""

from __future__ import annotations

import fcntl
import socket
import struct

IFF_UP, IFF_RUNNING = 0x1, 0x40
REQUEST = struct.Struct("16sH22x")
"""`struct ifreq` with a name and flags."""
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914


def read_flags(name: str) -> int:
    """Raises OSError."""
    return REQUEST.unpack(_asked(_SIOCGIFFLAGS, name, 0))[1]


def set_flags(name: str, flags: int) -> None:
    """All of them. Raises OSError."""
    _asked(_SIOCSIFFLAGS, name, flags)


def _asked(request: int, name: str, flags: int) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, request, REQUEST.pack(name.encode(), flags))
