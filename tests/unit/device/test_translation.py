"""Learned entries of one store as entries of another: which changes they survive, and byte for byte how."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Action, Param, Store
from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import StoreLayout, layout
from compiler.printers.store_programs import BEFORE_TABLES, MAX_PROFILES, argument_bytes, store_programs
from runtime.device.kernel.translation import changed_stores

STORE, NAMES = "connections_ipv6", store_programs("connections_ipv6").before
OF_STORE = ("translate_ipv6", "translate_reply_ipv6")


def laid_out(of: Pipeline) -> StoreLayout:
    return next(store for store in layout(of).stores if store.store.name == STORE)


def with_params(**widths: int) -> Pipeline:
    """Arguments of other widths, new ones behind the others; width 0 for one that goes."""

    def changed(action: Action) -> Action:
        if action.name not in OF_STORE:
            return action
        kept = [replace(one, width_bits=widths.pop(one.name, one.width_bits)) for one in action.params]
        new = [Param(name=name, id=20 + at, width_bits=width) for at, (name, width) in enumerate(widths.items())]
        return replace(action, params=tuple(one for one in (*kept, *new) if one.width_bits))

    whole = pipeline()
    given = dict(widths)
    actions: list[Action] = []
    for action in whole.actions:
        widths = dict(given)
        actions.append(changed(action))
    return replace(whole, actions=tuple(actions))


def with_store(change: dict[str, object]) -> Pipeline:
    def changed(store: Store) -> Store:
        return replace(store, **change) if store.name == STORE else store  # type: ignore[arg-type]

    return replace(pipeline(), stores=tuple(changed(store) for store in pipeline().stores))


def brought(old: StoreLayout, new: StoreLayout, places: bytes, table: int, raw: bytes) -> bytes:
    """What flow_before.h makes of arguments."""
    step = argument_bytes(new)
    chosen = places[table * step : (table + 1) * step]
    return bytes(raw[place - 1] if place else 0 for place in chosen)[: new.arguments.size]


@pytest.mark.parametrize(
    ("widths", "values"),
    [
        ({"weight": 8}, {"weight": 0}),
        ({"service_id": 32}, {}),
        ({"nexthop": 64, "wide": 128}, {"wide": 0}),
        ({"service_id": 0}, {}),
    ],
    ids=["added", "wider", "much wider", "gone"],
)
def test_arguments_go_on_by_their_names(widths: dict[str, int], values: dict[str, int]) -> None:
    before, after = pipeline(), with_params(**widths)
    old, new = laid_out(before), laid_out(after)
    (found,) = changed_stores(before, after).translations
    places = found.constants[NAMES.places]
    assert isinstance(places, bytes)
    for table in old.tables:
        members = table.action.arguments.members
        given = {member.name: (1 << member.width_bits) - 3 - at for at, member in enumerate(members)}
        raw = old.arguments.encode([given[member.name] for member in members])
        got = new.arguments.decode(brought(old, new, places, table.index, raw))
        expected = given | values
        renamed = next(one for one in new.tables if one.table == table.table).action.arguments.members
        assert got == tuple(expected[member.name] for member in renamed)


def test_slots_ways_tables_and_profiles() -> None:
    whole = pipeline()
    store = next(one for one in whole.stores if one.name == STORE)
    numbered = tuple(replace(one, id=MAX_PROFILES - one.id) for one in store.profiles)
    after = with_store({"profiles": numbered, "size": store.size // 4, "ways": 2})
    (found,) = changed_stores(whole, after).translations
    profiles = bytearray(MAX_PROFILES)
    for one in store.profiles:
        profiles[one.id] = MAX_PROFILES - one.id
    old = laid_out(whole)
    assert found.slots == store.size
    assert found.constants[NAMES.slots] == store.size
    assert found.constants[NAMES.ways] == store.ways
    assert found.constants[NAMES.bytes] == old.map.value_size - old.arguments_offset
    assert found.constants[NAMES.profiles] == bytes(profiles)
    assert found.constants[NAMES.tables] == bytes([0, 1, 2, 3, 4, 5]).ljust(BEFORE_TABLES, b"\0")


def test_connections_of_version_9_go_on() -> None:
    """Of a store without what kept fragments, and without profiles of backends that answer by themselves."""
    kept = tuple(table for table in pipeline().tables if not table.name.startswith("fragment"))
    stores = tuple(
        replace(store, profiles=tuple(one for one in store.profiles if not one.name.startswith("direct")))
        for store in pipeline().stores
    )
    before = replace(pipeline(), tables=kept, stores=stores)
    assert {table.table for table in laid_out(before).tables} == {"flow_ipv6", "flow_reverse_ipv6", "flow_quoted_ipv6"}
    found = changed_stores(before, pipeline())
    assert found.losses == ()


def without_a_profile() -> Pipeline:
    store = next(one for one in pipeline().stores if one.name == STORE)
    return with_store({"profiles": store.profiles[:-1], "size": store.size * 2})


def without_the_store() -> Pipeline:
    return replace(pipeline(), stores=tuple(store for store in pipeline().stores if store.name != STORE))


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (with_params(nexthop=8), "argument nexthop of action translate_ipv6 goes from 16 bits to 8"),
        (without_a_profile(), "it has no profile direct_closing any more"),
        (
            replace(pipeline(), stores=tuple(s for s in pipeline().stores if s.name != STORE)),
            "the new pipeline has no such store",
        ),
    ],
    ids=["narrower", "profile", "store"],
)
def test_what_has_no_place(after: Pipeline, reason: str) -> None:
    found = changed_stores(pipeline(), after)
    assert found.translations == ()
    assert found.losses == (f"learned entries of store {STORE} end: {reason}",)


def test_the_same_store_is_gone_on_with() -> None:
    found = changed_stores(pipeline(), replace(pipeline(), version="2"))
    assert (found.translations, found.losses) == ((), ())
