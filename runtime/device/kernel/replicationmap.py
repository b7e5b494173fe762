"""Multicast groups and clone sessions in their map, which has two sides as those of tables have."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from compiler.ir.backups import IsDown, followed_ports
from compiler.ir.entries import CloneSession, MulticastGroup
from compiler.printers.layout import MapLayout
from compiler.printers.layout_replication import replication_key, replication_value
from runtime.bpf.maps import Map
from runtime.device.kernel.sides import Sides
from runtime.device.undo import UndoLog

Given = MulticastGroup | CloneSession


class ReplicationMap:
    """Packets see changes with the next commit of `sides`: no packet is copied to half a group."""

    def __init__(self, layout: MapLayout, held: Map, sides: Sides, undo: UndoLog, is_down: IsDown) -> None:
        """Whoever changes which ports are down has groups and sessions follow (`following`)."""
        self._sides, self._map = sides, sides.add("multicast groups and clone sessions", layout, held)
        self._undo, self._is_down = undo, is_down
        self._backed: dict[bytes, Given] = {}
        """By their keys, those with backups."""

    def put(self, given: Given) -> None:
        key = replication_key(given)
        if followed_ports(given):
            self._undo.put(self._backed, key, given)
        else:
            self._forget(key)
        self._write(key, given)

    def remove(self, given: Given) -> None:
        key = replication_key(given)
        self._forget(key)
        self._sides.write(self._map, key, None)

    def following(self, ports: Collection[int]) -> list[Callable[[], None]]:
        """What is to be done now that these ports have changed, step by step."""
        found = [(key, given) for key, given in self._backed.items() if not followed_ports(given).isdisjoint(ports)]
        return [partial(self._write, key, given) for key, given in found]

    def _forget(self, key: bytes) -> None:
        if key in self._backed:
            self._undo.pop(self._backed, key)

    def _write(self, key: bytes, given: Given) -> None:
        self._sides.write(self._map, key, replication_value(given, self._is_down))
