"""Network interfaces of the calling thread's namespace, by rtnetlink: what they are, and when they come and go."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTMGRP_LINK = 1
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x301
_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_LINK_NETNSID = 3, 18, 37
_IFLA_INFO_KIND = 1
_IFF_UP, _IFF_RUNNING, _IFF_LOWER_UP = 1, 1 << 6, 1 << 16
_IFF_ALIVE = _IFF_UP | _IFF_RUNNING | _IFF_LOWER_UP
_AF_BRIDGE = 7
_BUFFER = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """`kind` is the driver's name for virtual interfaces, such as `veth`, and empty for hardware."""

    index: int
    name: str
    kind: str
    is_up: bool
    """By whoever administers it."""
    is_alive: bool
    """Up, with a carrier, and operational (RFC 2863): what is sent into it gets somewhere."""
    peer_is_elsewhere: bool
    """The other end (of a veth) is in another namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange:
    link: Link
    is_gone: bool


def links() -> tuple[Link, ...]:
    """All interfaces. Raises OSError."""
    with _netlink(0) as sock:
        sock.send(_HEADER.pack(16 + _IFINFO.size, RTM_GETLINK, _REQUEST_DUMP, 1, 0) + bytes(_IFINFO.size))
        found: list[Link] = []
        while True:
            for kind, payload in _messages(sock.recv(_BUFFER)):
                if kind == _NLMSG_DONE:
                    return tuple(found)
                if kind == _NLMSG_ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    raise OSError(code, "rtnetlink refused to list the interfaces")
                found.append(_link(payload))


class LinkWatch:
    """Hears of interfaces from its creation on."""

    def __init__(self) -> None:
        self._sock = _netlink(RTMGRP_LINK)
        self._sock.setblocking(False)

    def changes(self) -> tuple[LinkChange, ...] | None:
        """What has happened since the last call; None when some of it was lost, so that one must look again."""
        found: list[LinkChange] = []
        lost = False
        while True:
            try:
                data = self._sock.recv(_BUFFER)
            except BlockingIOError:
                return None if lost else tuple(found)
            except OSError:  # ENOBUFS: more happened than the socket could hold
                lost = True
                continue
            for kind, payload in _messages(data):
                # The same message type of family bridge is about a bridge's port, not about the interface.
                if kind in (RTM_NEWLINK, RTM_DELLINK) and payload[0] != _AF_BRIDGE:
                    found.append(LinkChange(link=_link(payload), is_gone=kind == RTM_DELLINK))

    def fileno(self) -> int:
        """Readable when something has happened."""
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


def _netlink(groups: int) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    with contextlib.ExitStack() as undo:
        undo.callback(sock.close)
        sock.bind((0, groups))
        undo.pop_all()
    return sock


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + length]
        at += max((length + 3) & ~3, _HEADER.size)


def _link(payload: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(payload)
    attributes = dict(_attributes(payload[_IFINFO.size :]))
    info = dict(_attributes(attributes.get(_IFLA_LINKINFO, b"")))
    return Link(
        index=index,
        name=_text(attributes.get(_IFLA_IFNAME, b"")),
        kind=_text(info.get(_IFLA_INFO_KIND, b"")),
        is_up=bool(flags & _IFF_UP),
        is_alive=flags & _IFF_ALIVE == _IFF_ALIVE,
        peer_is_elsewhere=_IFLA_LINK_NETNSID in attributes,
    )


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += max((length + 3) & ~3, 4)


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")
