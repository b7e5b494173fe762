"""Multicast groups and clone sessions in their map, which has two sides as those of tables have."""

from __future__ import annotations

from compiler.ir.entries import CloneSession, MulticastGroup
from compiler.printers.layout import MapLayout
from compiler.printers.layout_replication import replication_key, replication_value
from runtime.bpf.maps import Map
from runtime.device.kernel.sides import Sides


class ReplicationMap:
    """Packets see changes with the next commit of `sides`: no packet is copied to half a group."""

    def __init__(self, layout: MapLayout, held: Map, sides: Sides) -> None:
        self._sides, self._map = sides, sides.add("multicast groups and clone sessions", layout, held)

    def put(self, given: MulticastGroup | CloneSession) -> None:
        self._sides.write(self._map, replication_key(given), replication_value(given))

    def remove(self, given: MulticastGroup | CloneSession) -> None:
        self._sides.write(self._map, replication_key(given), None)
