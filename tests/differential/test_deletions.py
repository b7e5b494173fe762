"""Learned entries leave by the programs of their store, with both halves, as they leave the model."""

from __future__ import annotations

import struct
from collections.abc import Generator

import pytest

from compiler.ir.entries import EntryKey, Exact
from compiler.ir.interpreter import LearnedEntry
from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import StoreLayout
from compiler.printers.store_programs import (
    Deleted,
    delete_slot_context,
    end_context,
    go_on_context,
    maps_beside,
    read_delete,
    remove_ended_context,
    store_programs,
)
from runtime.bpf.chains import Hook
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import run_syscall
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.kernel_level import compiled
from runtime.verification.levels import HASH_SEED, small
from runtime.verification.shop import device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.testrun_level import TestRunLevel

pytestmark = [pytest.mark.root, pytest.mark.slow]
SOURCE = small(pipeline(), 64)


@pytest.fixture
def level() -> Generator[TestRunLevel]:
    with TestRunLevel(SOURCE, Hook.TC) as made:
        yield made


@pytest.fixture
def beside(level: TestRunLevel) -> Generator[Object]:
    """The same programs once more, on the level's maps."""
    elf, names = compiled(SOURCE, Hook.TC), [store.name for store in SOURCE.stores]
    names += [held.name for store in level.layout.stores for held in maps_beside(store)]
    shared = {name: level.map(name).fd for name in names}
    with load(elf, LoadSettings(constants={"hash_seed": HASH_SEED}, reuse=shared)) as loaded:
        yield loaded


@pytest.fixture
def shop(level: TestRunLevel) -> Comparison:
    """With connections of all kinds."""
    comparison = Comparison([level])
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    for _, port, frame in vectors():
        comparison.process(port, frame)
    return comparison


def flows(comparison: Comparison, store: StoreLayout) -> list[LearnedEntry]:
    """Those of the table that requests hit."""
    return list(comparison.reference.learned(store.tables[0].table))


def store_layouts(level: TestRunLevel) -> tuple[StoreLayout, ...]:
    """Those of connections, whose entries come in pairs; what is remembered of a client is alone."""
    return tuple(store for store in level.layout.stores if store.store.events)


def test_by_key(shop: Comparison, level: TestRunLevel, beside: Object) -> None:
    for store in store_layouts(level):
        program = beside.program(store_programs(store.store.name).end_key)
        entries = flows(shop, store)
        assert len(entries) >= 8
        for entry in entries:
            key = values(entry.key)
            table, other, *_ = (one.table for one in store.tables)
            for context, removed in (
                (remove_ended_context(store, table, key), 0),
                (end_context(store, table, key, 1), 0),
                (go_on_context(store, table, key), 0),
                (remove_ended_context(store, table, key), 0),
                (end_context(store, other, key, 0), 0),
                (remove_ended_context(store, table, key), 0),
                (end_context(store, table, key, 0), 0),
                (remove_ended_context(store, table, key), 2),
                (remove_ended_context(store, table, key), 0),
            ):
                assert read_delete(run_syscall(program.fd, context).context) == Deleted(removed=removed, busy=False)
            shop.reference.model.delete_learned(entry.key)
            shop.compare_state()
        assert flows(shop, store) == []


def test_by_slot(shop: Comparison, level: TestRunLevel, beside: Object) -> None:
    for store in store_layouts(level):
        program = beside.program(store_programs(store.store.name).delete_slot)
        for entry in flows(shop, store):
            index, version = place(level, store, entry.key)
            stale = delete_slot_context(index, version + 2)
            assert read_delete(run_syscall(program.fd, stale).context) == Deleted(removed=0, busy=False)
            context = delete_slot_context(index, version)
            assert read_delete(run_syscall(program.fd, context).context) == Deleted(removed=2, busy=False)
            shop.reference.model.delete_learned(entry.key)
            shop.compare_state()
        assert flows(shop, store) == []


def values(key: EntryKey) -> tuple[int, ...]:
    return tuple(match.value for match in key.matches if isinstance(match, Exact))


def place(level: TestRunLevel, store: StoreLayout, key: EntryKey) -> tuple[int, int]:
    """Index and version of the slot that holds a key."""
    for index in range(store.map.max_entries):
        raw = level.map(store.map.name).lookup(struct.pack("<I", index))
        slot = store.decode_slot(raw) if raw else None
        if slot is not None and slot.table.table == key.table and slot.key == values(key):
            return index, slot.head.version
    raise AssertionError(f"no slot holds {key}")
