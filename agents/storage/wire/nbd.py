"""Messages of NBD, the network block device's protocol, as far as a client says or hears them that reads.

Handshake: fixed newstyle, NBD_OPT_GO; then simple replies. Big endian. The protocol: doc/proto.md of NBD.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from agents.storage.wire.errors import ImageError

GREETING: Final = struct.Struct(">8s8sH")
OPTION_REPLY: Final = struct.Struct(">QIII")
REPLY: Final = struct.Struct(">IIQ")
MAX_OPTION: Final = 65_536
"""Of data with a reply to an option; servers have a few dozen bytes to say."""
_OPTION: Final = struct.Struct(">8sII")
_REQUEST: Final = struct.Struct(">IHHQQI")
_EXPORT: Final = struct.Struct(">HQH")
_MAGIC, _WITH_OPTIONS = b"NBDMAGIC", b"IHAVEOPT"
_OPTION_REPLY_MAGIC, _REQUEST_MAGIC, _REPLY_MAGIC = 0x3E889045565A9, 0x25609513, 0x67446698
_FIXED_NEWSTYLE, _NO_ZEROES, _START_TLS, _GO = 1, 2, 5, 7
_ACK, _INFO, _IS_ERROR, _TLS_NEEDED, _UNKNOWN_EXPORT = 1, 3, 1 << 31, 1 << 31 | 5, 1 << 31 | 6


class Command(IntEnum):
    READ = 0
    DISCONNECT = 2
    FLUSH = 3
    CACHE = 5
    """The server is to have the bytes at hand; it sends none."""


@dataclass(frozen=True, slots=True)
class Export:
    size: int


class UnknownExportError(ImageError):
    """The server has nothing of this name."""


def client_flags(greeting: bytes) -> bytes:
    """What a client answers to the first bytes of a server."""
    magic, style, flags = GREETING.unpack(greeting)
    if (magic, style) != (_MAGIC, _WITH_OPTIONS) or not flags & _FIXED_NEWSTYLE:
        raise ImageError("is no NBD server of today's kind")
    return struct.pack(">I", _FIXED_NEWSTYLE | flags & _NO_ZEROES)


def start_tls() -> bytes:
    """Ask for TLS, before anything else is said."""
    return _OPTION.pack(_WITH_OPTIONS, _START_TLS, 0)


def go(export: str) -> bytes:
    """Ask for an export, and begin if it is there."""
    name = export.encode()
    return _OPTION.pack(_WITH_OPTIONS, _GO, 6 + len(name)) + struct.pack(">I", len(name)) + name + bytes(2)


def option_reply(header: bytes) -> tuple[int, int]:
    """Type and length of what follows."""
    magic, option, kind, length = OPTION_REPLY.unpack(header)
    if magic != _OPTION_REPLY_MAGIC or option not in (_START_TLS, _GO) or length > MAX_OPTION:
        raise ImageError("answers what is no NBD")
    return kind, length


def begins_tls(kind: int) -> None:
    """Raises ImageError unless a reply to `start_tls` says that TLS begins."""
    if kind != _ACK:
        raise ImageError("speaks no TLS: its name begins with nbd://")


def told(kind: int, data: bytes) -> Export | bool:
    """What a reply to `go` says: the export's size, True that it begins, False nothing of interest."""
    if kind == _UNKNOWN_EXPORT:
        raise UnknownExportError("has no such volume")
    if kind == _TLS_NEEDED:
        raise ImageError("speaks TLS alone: its name begins with nbds://")
    if kind & _IS_ERROR:
        raise ImageError(f"refuses: {data.decode(errors='replace') or f'error {kind & ~_IS_ERROR}'}")
    if kind == _INFO and len(data) == _EXPORT.size and data[:2] == b"\0\0":
        return Export(_EXPORT.unpack(data)[1])
    return kind == _ACK


def request(command: Command, handle: int, offset: int, length: int) -> bytes:
    return _REQUEST.pack(_REQUEST_MAGIC, 0, command, handle, offset, length)


def reply(header: bytes) -> tuple[int, int]:
    """The handle of the request that is answered, and an error's number or 0."""
    magic, error, handle = REPLY.unpack(header)
    if magic != _REPLY_MAGIC:
        raise ImageError("answers what is no NBD")
    return handle, error
