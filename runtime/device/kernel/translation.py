"""What a learned entry of one pipeline's store is in that of another, as bytes. Pure.

Two stores with the same keys differ in what lies behind these: arguments, slots, ways, numbers of tables and profiles.
`ebpf/include/turnout/flow_before.h` reads the constants made here. An argument goes on by its name; one that is new is
zero, one that is wider is filled up with zeros, one that there is no more is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from compiler.ir.nodes import Pipeline
from compiler.printers.layout import LearnedTableLayout, Member, StoreLayout, layout
from compiler.printers.store_programs import (
    BEFORE_TABLES,
    MAX_BEFORE_WAYS,
    MAX_PROFILES,
    argument_bytes,
    ended_mark,
    store_programs,
)
from runtime.device.kernel.sharing import shared_stores


class NoPlaceError(Exception):
    """Entries of a store cannot go on in another; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Of one store: `constants` for its programs, by their names in the C."""

    store: str
    slots: int
    constants: dict[str, int | bytes]

    def without_ended(self, side: int) -> Translation:
        """Entries that have ended for packets of this side, which all are on, are left where they are."""
        ended = {store_programs(self.store).before.ended: ended_mark(side)}
        return replace(self, constants={**self.constants, **ended})


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Stores of an old pipeline that the new one has in another layout, or not at all."""

    translations: tuple[Translation, ...]
    losses: tuple[str, ...]
    """A sentence for each that cannot go on."""


UNCHANGED = Changed(translations=(), losses=())


def changed_stores(old: Pipeline, new: Pipeline) -> Changed:
    shared = shared_stores(old, new)
    after = {store.store.name: store for store in layout(new).stores}
    translations: list[Translation] = []
    losses: list[str] = []
    for store in layout(old).stores:
        name = store.store.name
        if name in shared:
            continue
        if name not in after:
            losses.append(f"learned entries of store {name} end: the new pipeline has no such store")
            continue
        try:
            translations.append(translation(store, after[name]))
        except NoPlaceError as reason:
            losses.append(f"learned entries of store {name} end: {reason}")
    return Changed(translations=tuple(translations), losses=tuple(losses))


def translation(old: StoreLayout, new: StoreLayout) -> Translation:
    """Raises `NoPlaceError`."""
    if (old.key_names, old.key_widths) != (new.key_names, new.key_widths):
        raise NoPlaceError(f"its key is {_key(new)}, it was {_key(old)}")
    if old.store.ways > MAX_BEFORE_WAYS or len(old.tables) >= BEFORE_TABLES:
        raise NoPlaceError("it was larger than can be brought over")
    names = store_programs(new.store.name).before
    return Translation(
        store=new.store.name,
        slots=old.map.max_entries,
        constants={
            names.slots: old.map.max_entries,
            names.ways: old.store.ways,
            names.bytes: old.map.value_size - old.arguments_offset,
            names.tables: _tables(old, new),
            names.profiles: _profiles(old, new),
            names.places: _places(old, new),
        },
    )


def _key(store: StoreLayout) -> str:
    return ", ".join(f"{name}:{width}" for name, width in zip(store.key_names, store.key_widths, strict=True))


def _pairs(old: StoreLayout, new: StoreLayout) -> Iterator[tuple[LearnedTableLayout, LearnedTableLayout]]:
    after = {table.table: table for table in new.tables}
    for table in old.tables:
        if table.table not in after:
            raise NoPlaceError(f"it has no table {table.table} any more")
        found = after[table.table]
        if found.action.name != table.action.name:
            raise NoPlaceError(f"entries of table {table.table} have action {found.action.name} now")
        yield table, found


def _tables(old: StoreLayout, new: StoreLayout) -> bytes:
    made = bytearray(BEFORE_TABLES)
    for before, after in _pairs(old, new):
        made[before.index] = after.index
    return bytes(made)


def _profiles(old: StoreLayout, new: StoreLayout) -> bytes:
    after = {profile.name: profile.id for profile in new.store.profiles}
    made = bytearray(MAX_PROFILES)
    for profile in old.store.profiles:
        if profile.name not in after:
            raise NoPlaceError(f"it has no profile {profile.name} any more")
        made[profile.id] = after[profile.name]
    return bytes(made)


def _places(old: StoreLayout, new: StoreLayout) -> bytes:
    """Where each byte of new arguments comes from, + 1, by old table."""
    step = argument_bytes(new)
    made = bytearray(BEFORE_TABLES * step)
    for table, found in _pairs(old, new):
        before = {member.name: member for member in table.action.arguments.members}
        for member in found.action.arguments.members:
            source = before.get(member.name)
            if source is None:
                continue
            if source.width_bits > member.width_bits:
                narrower = f"{source.width_bits} bits to {member.width_bits}"
                raise NoPlaceError(f"argument {member.name} of action {table.action.name} goes from {narrower}")
            for there, here in zip(_low_first(source), _low_first(member), strict=False):
                made[table.index * step + here] = there + 1
    return bytes(made)


def _low_first(member: Member) -> list[int]:
    """The bytes of a number in a structure, from the lowest to the highest."""
    places = list(range(member.offset, member.offset + member.size))
    half = member.size // 2
    return places[half:] + places[:half] if member.is_wide else places
