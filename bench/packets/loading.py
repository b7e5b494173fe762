"""The printed pipeline in the kernel with its entries, on no interface: ready for test runs."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import TracebackType

from bench.packets.addresses import CLIENT_PORT, Version
from bench.packets.wrapper import LOOPBACK
from compiler.ir.entries import ActionCall, Entries
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.printing import print_c
from compiler.printers.features import features
from compiler.printers.layout import MapLayout, layout
from compiler.printers.store_programs import StoreEvent, store_programs
from runtime.bpf.chains import Hook
from runtime.bpf.machine import machine_constants
from runtime.bpf.maps import Map
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.program import Program
from runtime.build import compile_source
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.device.kernel.ports import MAX_PORT, Delivery
from runtime.device.kernel.selectormaps import SelectorMaps
from runtime.device.kernel.sides import SIDE_MAP, Sides
from runtime.device.kernel.tablemaps import TableMap
from runtime.device.undo import UndoLog

HASH_SEED = 0x5EED
"""Fixed, so that two runs meet the same collisions."""
_NUMBER = struct.Struct("=I")
FAST_PATH = "uses_fast_path"
"""The constant that switches it on and off."""
OTHER_SLOTS = 1 << 10
"""Of the stores that no measured packet is in."""


@cache
def sized(slots: int, version: Version) -> Pipeline:
    """The pipeline with so many slots for connections of one IP version."""
    whole = pipeline()
    used = f"connections_ipv{version}"
    stores = tuple(replace(store, size=slots if store.name == used else OTHER_SLOTS) for store in whole.stores)
    return replace(whole, stores=stores)


class LoadedPipeline:
    """A pipeline with `slots` slots for connections of one IP version. Use it as a context.

    The programs that run are those of a device whose entries have settled: without code for tables that hold nothing.
    """

    def __init__(self, hook: Hook, slots: int, version: Version, entries: Entries) -> None:
        self.hook = hook
        chosen = sized(slots, version)
        self._layout = layout(chosen)
        self._elf = compile_source(print_c(chosen), hook)
        constants = {"hash_seed": HASH_SEED, **machine_constants(), **features(chosen, entries), FAST_PATH: 1}
        self._settings = LoadSettings(name="bench_pipeline", constants=constants)
        self._loaded = load(self._elf, self._settings)
        self._slow: Object | None = None
        self._fill(entries)
        self._make_ports()

    def __enter__(self) -> LoadedPipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._loaded.close()
        if self._slow is not None:
            self._slow.close()

    def program(self, *, is_fast: bool) -> Program:
        """With the fast path for known connections, or without; both over the same maps."""
        if is_fast:
            return self._loaded.program(self.hook.value)
        if self._slow is None:
            self._slow = load(self._elf, self._slow_settings())
        return self._slow.program(self.hook.value)

    def pin(self, path: Path, *, is_fast: bool) -> None:
        """Pin what runs, and beside it the array that leads to the rest of its way. Maps stay with programs."""
        program = self.program(is_fast=is_fast)
        program.pin(path)
        rest = self._loaded if is_fast else self._slow
        assert rest is not None
        rest.map("own_whole").pin(path.with_name(f"{path.name}_rest"))

    def come_in_on(self, port: int) -> None:
        """Test runs come in on this port from now on; 0: on none of the device's."""
        interfaces = Interfaces(self._loaded.map(DIRECT), self._loaded.map(OTHER))
        if port:
            interfaces.put(LOOPBACK, port)
        else:
            interfaces.remove(LOOPBACK)

    def forget_flows(self) -> None:
        """Empty the stores."""
        for store in self._layout.stores:
            for name in (store.map.name, store_programs(store.store.name).tags):
                with self._loaded.map(name).memory() as memory:
                    memory[:] = bytes(len(memory))

    def learned(self) -> tuple[int, int]:
        """Entries learned so far, and packets for which there was no room, in all stores."""
        counts = [0, 0]
        for store in self._layout.stores:
            events = self._map(store_programs(store.store.name).events.name)
            for place, event in enumerate((StoreEvent.LEARNED, StoreEvent.FULL)):
                values = events.lookup(_NUMBER.pack(event)) or b""
                counts[place] += sum(struct.unpack(f"={len(values) // 8}Q", values))
        return counts[0], counts[1]

    def _slow_settings(self) -> LoadSettings:
        others = frozenset(self._loaded.programs) - self.hook.programs
        constants = {**self._settings.constants, FAST_PATH: 0}
        return replace(self._settings, constants=constants, reuse=self._loaded.sharable, skip=others)

    def _fill(self, entries: Entries) -> None:
        undo = UndoLog()
        sides = Sides(self._map(SIDE_MAP), undo, lambda: None)
        tables = {
            t.table: TableMap(
                t, self._map(t.map.name), self._optional(t.counters), self._optional(t.direct), sides, undo
            )
            for t in self._layout.tables
        }
        selectors = {
            t.selector.name: SelectorMaps(
                t.selector,
                self._map(t.selector.ring.name),
                self._map(t.selector.members.name),
                tables[t.table],
                sides,
                undo,
            )
            for t in self._layout.tables
            if t.selector is not None
        }
        selector_of = {t.table: selectors[t.selector.name] for t in self._layout.tables if t.selector is not None}
        for member in entries.members:
            selectors[member.selector].insert_member(member)
        for group in entries.groups:
            selectors[group.selector].insert_group(group)
        for entry in entries.table_entries:
            if isinstance(entry.action, ActionCall):
                tables[entry.table].insert(entry.matches, entry.action)
            else:
                selector_of[entry.table].insert_entry(entry.matches, entry.action)
        sides.commit()
        sides.settle()
        sides.close()

    def _map(self, name: str) -> Map:
        return self._loaded.map(name)

    def _optional(self, layout: MapLayout | None) -> Map | None:
        return None if layout is None else self._map(layout.name)

    def _make_ports(self) -> None:
        """Every port leads to the loopback: a test run decides where a packet goes, and does not send it."""
        name = "egress_xdp" if self.hook is Hook.XDP else "egress"
        value = _NUMBER.pack(LOOPBACK) if self.hook is Hook.XDP else struct.pack("=II", LOOPBACK, Delivery.REDIRECT)
        for port in range(1, MAX_PORT + 1):
            self._map(name).update(_NUMBER.pack(port), value)
        self.come_in_on(CLIENT_PORT)
