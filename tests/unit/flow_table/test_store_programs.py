"""Contexts and names of a store's programs."""

from __future__ import annotations

import struct

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import layout
from compiler.printers.store_programs import (
    MAX_PROFILES,
    Deleted,
    delete_slot_context,
    end_context,
    event_name,
    go_on_context,
    read_delete,
    read_sweep,
    remove_ended_context,
    store_programs,
    sweep_context,
)


def test_names_follow_the_store() -> None:
    names = store_programs("connections_ipv4")
    assert (names.sweep, names.end_key, names.delete_slot) == (
        "connections_ipv4_sweep",
        "connections_ipv4_end_key",
        "connections_ipv4_delete_slot",
    )
    assert (names.events.name, names.events.max_entries) == ("connections_ipv4_events", 15)


def test_events_have_names_for_people() -> None:
    assert [event_name(index) for index in range(9)] == [
        "learned",
        "withdrawn",
        "expired",
        "duplicate",
        "deleted",
        "full",
        "evicted_expired",
        "evicted_rank_0",
        "evicted_rank_1",
    ]


def test_a_sweep_goes_out_with_a_range_and_comes_back_with_counts() -> None:
    context = sweep_context(64, 32)
    assert struct.unpack_from("<II", context) == (64, 32)
    counts = range(2 * MAX_PROFILES)
    swept = read_sweep(struct.pack(f"<IIII{2 * MAX_PROFILES}I", 64, 32, 96, 1, *counts))
    assert (swept.next_slot, swept.busy) == (96, 1)
    assert (swept.live, swept.removed) == (tuple(counts[:MAX_PROFILES]), tuple(counts[MAX_PROFILES:]))


def test_a_slot_is_deleted_by_the_version_that_was_read() -> None:
    assert delete_slot_context(7, 12) == struct.pack("<IIII", 7, 12, 0, 0)


@pytest.mark.parametrize("table", ["flow_ipv4", "flow_ipv6"])
def test_an_entry_ends_by_the_words_of_its_key(table: str) -> None:
    store = layout(pipeline()).store_of(table)
    key = tuple(range(1, 1 + len(store.key_widths)))
    context = end_context(store, table, key, 1)
    assert store.decode_key(context[: 8 * store.key_words]) == key
    assert context[8 * store.key_words :] == bytes((0, 0x80, 1)).ljust(16, b"\0")
    assert go_on_context(store, table, key)[8 * store.key_words :] == bytes((0, 0, 1)).ljust(16, b"\0")
    assert remove_ended_context(store, table, key)[8 * store.key_words :] == bytes((1, 0, 1)).ljust(16, b"\0")
    assert read_delete(context) == Deleted(removed=0, busy=False)
    assert read_delete(context[:-8] + struct.pack("<II", 2, 1)) == Deleted(removed=2, busy=True)
    with pytest.raises(ValueError, match="does not fit a key field of connections_ipv"):
        end_context(store, table, (*key[:-1], 1 << 16), 0)
