"""How multicast groups and clone sessions lie in their one BPF map. Pure.

A key is a group or a session by its id; a value how many copies there are, how many bytes of the frame each of them
keeps (0: all), and the port of each. Packets know nothing of backups: a value names the ports that copies leave by now.
Which instance a copy is means nothing in the kernel. The map has two sides, as
all that packets read (`layout_maps`).
"""

from __future__ import annotations

import struct

from compiler.ir.backups import IsDown, in_use
from compiler.ir.entries import CloneSession, MulticastGroup
from compiler.ir.nodes import Pipeline
from compiler.ir.walking import clones, multicasts
from compiler.printers.layout_maps import SIDE, SIDE_BITS, SIDES, MapKind, MapLayout
from compiler.printers.layout_struct import natural

REPLICATION = "replication"
MAX_REPLICAS = 128
"""Of one group or session: copies are made in a loop that the verifier follows to its end."""
MAX_GROUPS = MAX_SESSIONS = 1024
_KEY = natural("replication_key", (("id", 16), ("kind", 8), (SIDE, SIDE_BITS)))
_HEAD = struct.Struct("<II")
VALUE_BYTES = _HEAD.size + 2 * MAX_REPLICAS
_GROUP, _SESSION = 0, 1
"""`enum replication_kind` of ebpf/include/turnout/replicate.h."""


def _none_is(port: int) -> bool:
    del port
    return False


def replication_map(pipeline: Pipeline) -> MapLayout | None:
    """None for a pipeline that makes no copies."""
    places = MAX_GROUPS * multicasts(pipeline) + MAX_SESSIONS * clones(pipeline)
    if not places:
        return None
    return MapLayout(
        name=REPLICATION,
        kind=MapKind.HASH,
        key_size=_KEY.size,
        value_size=VALUE_BYTES,
        max_entries=SIDES * places,
        side_at=_KEY.member(SIDE).offset,
    )


def replication_key(given: MulticastGroup | CloneSession) -> bytes:
    """On side 0."""
    return _KEY.encode((given.id, _GROUP if isinstance(given, MulticastGroup) else _SESSION, 0))


def replication_name(key: bytes) -> str:
    """What a key is of, for a text."""
    number, kind, _ = _KEY.decode(key)
    return f"{'multicast group' if kind == _GROUP else 'clone session'} {number}"


def replication_value(given: MulticastGroup | CloneSession, is_down: IsDown = _none_is) -> bytes:
    """By the ports as they are now."""
    kept = given.packet_length_bytes if isinstance(given, CloneSession) else 0
    ports = struct.pack(f"<{len(given.replicas)}H", *(one.port for one in in_use(given.replicas, is_down)))
    return (_HEAD.pack(len(given.replicas), kept) + ports).ljust(VALUE_BYTES, b"\0")
