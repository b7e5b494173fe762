"""Which interface is which port, in the two maps that `ebpf/include/turnout/verdict.h` looks into.

An interface's index has its place in an array, by its low 16 bits, which costs a packet next to nothing to find; where
two indices of the device share a place, the second one is in a hash map.
"""

from __future__ import annotations

import struct
from pathlib import Path

from runtime.bpf.constants import MapType
from runtime.bpf.maps import Map, MapShape

PLACES = 1 << 16
DIRECT, OTHER = "port_of_ifindex", "port_of_other_ifindex"
"""Names of the maps."""
_U32 = struct.Struct("=I")
_PLACE = struct.Struct("=II")
"""Interface index and port, 0 and 0 where nobody is."""


DIRECT_SHAPE = MapShape(name=DIRECT, type=MapType.ARRAY, key_size=4, value_size=_PLACE.size, max_entries=PLACES)


def other_shape(entries: int) -> MapShape:
    """`entries`: interfaces at the most that share a place with another one."""
    return MapShape(name=OTHER, type=MapType.HASH, key_size=4, value_size=_U32.size, max_entries=entries)


class Interfaces:
    """Both maps of a device, or of a loaded program."""

    def __init__(self, direct: Map, other: Map) -> None:
        self.direct = direct
        self.other = other

    @classmethod
    def create(cls, entries: int) -> Interfaces:
        """New maps; `entries` as of `other_shape`."""
        return cls(Map.create(DIRECT_SHAPE), Map.create(other_shape(entries)))

    @classmethod
    def pinned(cls, pins: Path) -> Interfaces:
        """Those of an earlier process. Raises `KernelRefusal`."""
        return cls(Map.pinned(pins / DIRECT), Map.pinned(pins / OTHER))

    @property
    def maps(self) -> dict[str, Map]:
        return {DIRECT: self.direct, OTHER: self.other}

    def put(self, ifindex: int, port: int) -> None:
        """Packets of an interface come in by this port from now on."""
        if self._holder(ifindex) in (0, ifindex):
            self.direct.update(_U32.pack(ifindex % PLACES), _PLACE.pack(ifindex, port))
        else:
            self.other.update(_U32.pack(ifindex), _U32.pack(port))

    def remove(self, ifindex: int) -> None:
        """The interface is none of the device's; nothing happens if it was none."""
        if self._holder(ifindex) == ifindex:
            self.direct.update(_U32.pack(ifindex % PLACES), _PLACE.pack(0, 0))
        elif self.other.lookup(_U32.pack(ifindex)) is not None:
            self.other.delete(_U32.pack(ifindex))

    def items(self) -> list[tuple[int, int]]:
        """Interface index and port of all."""
        direct = (_PLACE.unpack(value) for _, value in self.direct.items())
        other = ((_U32.unpack(key)[0], _U32.unpack(value)[0]) for key, value in self.other.items())
        return [*((ifindex, port) for ifindex, port in direct if ifindex), *other]

    def close(self) -> None:
        self.direct.close()
        self.other.close()

    def _holder(self, ifindex: int) -> int:
        """The interface at the place of an index, 0 for none."""
        return _PLACE.unpack(self.direct.lookup(_U32.pack(ifindex % PLACES)) or bytes(_PLACE.size))[0]
