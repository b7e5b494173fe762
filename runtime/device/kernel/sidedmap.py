"""A map that packets read on one side while the device writes the other. For `runtime.device.kernel.sides`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from compiler.printers.layout_maps import MapKind, MapLayout
from runtime.bpf.constants import Update
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.maps import Map
from runtime.device.kernel.comparing import Changes, Comparison, comparison
from runtime.device.kernel.mapfaults import refusals_of

_LINKED = frozenset({MapKind.HASH, MapKind.LPM_TRIE})
"""Where an entry is an element of its own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a map of an earlier process held, as packets met it, and what it should have held; by keys of side 0."""

    layout: MapLayout
    was: Mapping[bytes, bytes]
    wanted: Changes


@dataclass(slots=True, eq=False)
class SidedMap:
    """A map with two sides. `name` is what a refusal says.

    `staged` is what the batch changes, `behind` what the side that no packet reads still lacks.
    """

    name: str
    layout: MapLayout
    map: Map
    staged: Changes = field(default_factory=dict[bytes, bytes | None])
    behind: Changes = field(default_factory=dict[bytes, bytes | None])
    afterwards: Changes | None = None
    """Instead of `staged` for the side that packets read until they turn: those of an earlier process may differ."""
    arranged: tuple[Changes, dict[bytes, bytes], list[bytes]] | None = None
    """Changes that are staged, and what is to be written and to be deleted of them: `catch_up` does the same again."""
    compared: Comparison | None = None
    """While the device takes over what the map holds, once something of it has come."""

    def compare(self, read_side: int) -> Comparison:
        """What it holds against what is staged from now on. Raises `RefusedError`."""
        if self.compared is None:
            with refusals_of(self.name):
                self.compared = comparison(self.layout, self.map.lookup_batch(), read_side)
        return self.compared

    @property
    def is_changed(self) -> bool:
        return bool(self.staged) or bool(self.afterwards)

    @property
    def lag(self) -> int:
        return len(self.behind)

    def stage(self, side: int) -> None:
        self.arranged = (self.staged, *self._sorted(self.staged))
        self.apply(side, self.staged)

    def take_back(self, read: int) -> None:
        self.behind = {key: self.map.lookup(self.layout.on_side(key, read)) for key in self.staged}

    def turn(self) -> None:
        self.behind = self.staged if self.afterwards is None else self.afterwards
        self.staged, self.afterwards = {}, None

    def catch_up(self, side: int) -> None:
        self.apply(side, self.behind)
        self.behind, self.arranged = {}, None

    def catch_up_at_once(self, side: int, /) -> bool:
        """One new entry of a hash or a trie: a packet meets a table once, and the kernel adds elements beside others.

        Not one that takes another's place: what a packet has found there would be used again while it reads it.
        """
        if len(self.behind) != 1 or self.layout.kind not in _LINKED:
            return False
        ((key, value),) = self.behind.items()
        if value is None:
            return False
        try:
            self.map.update(self.layout.on_side(key, side), value, Update.NOEXIST)
        except KernelRefusal:
            return False
        self.behind, self.arranged = {}, None
        return True

    def apply(self, side: int, changes: Changes) -> None:
        """Raises `RefusedError`; some of the changes may be done then."""
        known = self.arranged
        puts, gone = known[1:] if known is not None and known[0] is changes else self._sorted(changes)
        with refusals_of(self.name):
            if gone:
                self.map.delete_batch(self.layout.all_on_side(gone, side))
            if len(puts) == 1:
                ((key, value),) = puts.items()
                self.map.update(self.layout.on_side(key, side), value)
            elif puts:
                self.map.update_batch(self.layout.all_on_side(list(puts), side), b"".join(puts.values()))

    def _sorted(self, changes: Changes) -> tuple[dict[bytes, bytes], list[bytes]]:
        """What is to be written, and what is to be deleted: nothing can be from an array, zeros mean the same there."""
        if None not in changes.values():
            return cast("dict[bytes, bytes]", changes), []
        puts = {key: value for key, value in changes.items() if value is not None}
        gone = [key for key, value in changes.items() if value is None]
        if self.layout.kind is MapKind.ARRAY:
            return {**puts, **dict.fromkeys(gone, bytes(self.layout.value_size))}, []
        return puts, gone
