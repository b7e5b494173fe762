"""What the kernel target writes into maps, read back through the layout."""

from __future__ import annotations

import errno
import struct
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import replace

import pytest

from compiler.ir.entries import (
    ActionCall,
    Exact,
    Group,
    GroupRef,
    Lpm,
    MatchValue,
    Member,
    MemberRef,
    Watch,
    WeightedMember,
)
from compiler.ir.maglev import build_ring
from compiler.ir.nodes import Pipeline
from compiler.printers.layout import GroupSlice, MapLayout, TableLayout
from compiler.printers.layout_tables import table_layout
from compiler.printers.layout_values import action_layout
from runtime.bpf.constants import MapFlag, MapType
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.maps import Map, MapShape
from runtime.device.kernel.countermaps import CounterMap, DirectCounters
from runtime.device.kernel.selectormaps import SelectorMaps
from runtime.device.kernel.sides import Sides
from runtime.device.kernel.tablemaps import TableMap
from runtime.device.records import Tally
from runtime.device.refusals import Code, RefusedError
from runtime.device.undo import UndoLog

pytestmark = pytest.mark.root
NOTHING = ActionCall(action="nothing")
SEND = ActionCall(action="send", arguments=(3, 0x020000000001))


@pytest.fixture
def made() -> Iterator[list[Map]]:
    """Maps that are closed at the end."""
    maps: list[Map] = []
    yield maps
    for one in maps:
        one.close()


def create(made: list[Map], layout: MapLayout) -> Map:
    kind = MapType[layout.kind.name]
    flags = MapFlag.NO_PREALLOC if layout.no_prealloc else MapFlag.NONE
    if layout.mmapable:
        flags |= MapFlag.MMAPABLE
    shape = MapShape(
        name=layout.name[:15],
        type=kind,
        key_size=layout.key_size,
        value_size=layout.value_size,
        max_entries=layout.max_entries,
        flags=flags,
    )
    made.append(Map.create(shape))
    return made[-1]


def laid_out(pipeline: Pipeline, name: str) -> TableLayout:
    actions = {action.name: action_layout(action) for action in pipeline.actions}
    return table_layout(next(table for table in pipeline.tables if table.name == name), actions)


class Held:
    """A table of the pipeline in maps of its own; packets would read what `side` has."""

    def __init__(self, pipeline: Pipeline, name: str, made: list[Map]) -> None:
        self.undo = UndoLog()
        word = MapShape(name="word", type=MapType.ARRAY, key_size=4, value_size=4, max_entries=1)
        made.append(Map.create(word))
        self.word = made[-1]
        self.waits = 0
        self.sides = Sides(self.word, self.undo, self._wait)
        self.layout = laid_out(pipeline, name)
        self.entries = create(made, self.layout.map)
        counters = create(made, self.layout.counters) if self.layout.counters is not None else None
        self.table = TableMap(self.layout, self.entries, counters, None, self.sides, self.undo)

    def _wait(self) -> None:
        """For packets."""
        self.waits += 1

    def commit(self) -> None:
        """Both sides are alike afterwards."""
        self.sides.commit()
        self.sides.settle()

    def value(self, *matches: MatchValue) -> bytes:
        """Of an entry, on the side that packets read."""
        key = self.layout.map.on_side(self.layout.encode_key(matches), self.side)
        return self.entries.lookup(key) or b""

    @property
    def side(self) -> int:
        return int.from_bytes(self.word.lookup(bytes(4)) or b"", sys.byteorder)

    def on_each_side(self) -> list[dict[tuple[MatchValue, ...], tuple[ActionCall, int] | None]]:
        """What a map without places of its own holds, by side."""
        at = self.layout.map.side_at
        assert at is not None
        found = [(key[at], key, value) for key, value in self.entries.items()]
        decoded = self.layout.decode_key, self.layout.decode_value
        return [{decoded[0](key): decoded[1](value) for on, key, value in found if on == side} for side in (0, 1)]


def test_entries_of_a_hash(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "exact", made)
    table, one, other = held.table, (Exact(value=1), Exact(value=2)), (Exact(value=3), Exact(value=4))
    table.insert(one, SEND)
    table.insert(other, NOTHING)
    assert held.on_each_side() == [{}, {}]
    held.commit()
    assert held.on_each_side() == [{one: (SEND, 1), other: (NOTHING, 2)}] * 2
    table.modify(one, NOTHING)
    held.commit()
    assert held.layout.decode_value(held.value(*one)) == (NOTHING, 1)
    table.set_tally(one, Tally(5, 6))
    assert table.tallies([other, one]) == [Tally(0, 0)] * 2
    held.commit()
    assert table.tallies([other, one]) == [Tally(0, 0), Tally(5, 6)]
    table.delete(one)
    held.commit()
    assert held.on_each_side() == [{other: (NOTHING, 2)}] * 2
    table.insert(one, SEND)
    assert table.tallies([one]) == [Tally(0, 0)]


def test_what_is_undone_was_never_there(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "exact", made)
    table, one, other = held.table, (Exact(value=1), Exact(value=2)), (Exact(value=3), Exact(value=4))
    table.insert(one, SEND)
    held.commit()
    table.set_tally(one, Tally(5, 6))
    held.commit()
    table.delete(one)
    table.insert(other, SEND)
    table.insert(one, NOTHING)
    table.modify(one, SEND)
    table.set_tally(one, Tally(7, 8))
    held.undo.back_to(0)
    side = held.side
    held.commit()
    assert (held.side, held.on_each_side(), table.tallies([one])) == (side, [{one: (SEND, 1)}] * 2, [Tally(5, 6)])


def test_packets_see_a_batch_when_it_is_whole(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "exact", made)
    table, one, other = held.table, (Exact(value=1), Exact(value=2)), (Exact(value=3), Exact(value=4))
    table.insert(one, SEND)
    held.commit()
    side = held.side
    table.delete(one)
    table.insert(other, NOTHING)
    assert held.side == side
    held.sides.commit()
    assert held.side == 1 - side
    held.sides.settle()
    assert held.on_each_side() == [{other: (NOTHING, 2)}] * 2


NEW = {
    "exact": (Exact(value=1), Exact(value=2)),
    "lpm": (Exact(value=1), Lpm(value=0x0A000000, prefix_len=8)),
}


@pytest.mark.parametrize("name", NEW)
def test_one_new_entry_waits_for_no_packet(pipeline: Pipeline, made: list[Map], name: str) -> None:
    held = Held(pipeline, name, made)
    held.table.insert(NEW[name], SEND)
    held.sides.commit()
    first, second = held.on_each_side()
    assert (first, len(second), held.sides.lag, held.waits) == (second, 1, 0, 0)
    held.table.modify(NEW[name], NOTHING)
    held.commit()
    assert held.waits == 1
    held.table.delete(NEW[name])
    held.commit()
    assert (held.on_each_side(), held.waits) == ([{}, {}], 2)


def test_two_new_entries_wait(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "exact", made)
    held.table.insert((Exact(value=1), Exact(value=2)), SEND)
    held.table.insert((Exact(value=3), Exact(value=4)), SEND)
    held.commit()
    assert held.waits == 1


class Rests:
    """What is given back, and how many times packets were waited for when it was released."""

    def __init__(self, held: Held) -> None:
        self.held, self.released_after = held, list[int]()

    def seal(self) -> None: ...

    def release(self) -> None:
        self.released_after.append(self.held.waits)


def test_what_rests_is_not_released_before_packets_were_waited_for(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "exact", made)
    rests = Rests(held)
    held.sides.add_resting(rests)
    held.table.insert((Exact(value=1), Exact(value=2)), SEND)
    held.sides.commit()
    held.sides.commit()  # of nothing
    assert rests.released_after == []
    held.sides.tick()
    held.sides.settle()
    assert rests.released_after == [1]


def test_a_map_that_is_full_changes_nothing(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "exact", made)
    for number in range(4):
        held.table.insert((Exact(value=number), Exact(value=0)), NOTHING)
    held.commit()
    before, side = held.on_each_side(), held.side
    with pytest.raises(RefusedError) as counters:
        held.table.insert((Exact(value=9), Exact(value=0)), NOTHING)
    assert (counters.value.code, counters.value.text) == (
        Code.RESOURCE_EXHAUSTED,
        "table exact: all 4 direct counters are taken",
    )
    other = tuple(held.layout.encode_key((Exact(value=number), Exact(value=1))) for number in range(5))
    spare = held.sides.add("table exact", held.layout.map, held.entries)
    for key in other:
        held.sides.write(spare, key, bytes(held.layout.map.value_size))
    with pytest.raises(RefusedError) as full:
        held.commit()
    assert (full.value.code, full.value.text) == (Code.RESOURCE_EXHAUSTED, "table exact: the kernel's map is full")
    held.undo.back_to(0)
    held.commit()
    assert (held.on_each_side(), held.side) == (before, side)


def test_prefixes(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "lpm", made)
    keys = [(Exact(value=1), Lpm(value=0x0A000000, prefix_len=8)), (Exact(value=1), Lpm(value=0, prefix_len=0))]
    for key in keys:
        held.table.insert(key, SEND)
    held.commit()
    assert held.on_each_side() == [dict.fromkeys(keys, (SEND, 0))] * 2
    assert held.layout.decode_value(held.value(Exact(value=1), Lpm(value=0x0A010203, prefix_len=32))) == (SEND, 0)
    assert held.value(Exact(value=2), Lpm(value=0x0A010203, prefix_len=32)) == b""


@pytest.mark.parametrize("name", ["exact", "lpm"])
def test_many_entries_at_once(pipeline: Pipeline, made: list[Map], name: str) -> None:
    """In a hash with counters and in a trie; counters that are given back begin at zero. Undone, all is as before."""
    held = Held(pipeline, name, made)
    table, layout = held.table, held.layout
    matches = [_numbered(name, number) for number in range(3)]
    keys = [layout.encode_key(one) for one in matches]
    counted = [1, 2, 3] if layout.counters else [0, 0, 0]
    assert table.insert_many(keys, [SEND, NOTHING, SEND]) == 3
    held.commit()
    first = dict(zip(matches, zip([SEND, NOTHING, SEND], counted, strict=True), strict=True))
    assert held.on_each_side() == [first] * 2
    table.modify_many(keys[:2], [NOTHING, SEND])
    table.delete_many(keys[:1])
    held.undo.back_to(0)
    held.commit()
    assert held.on_each_side() == [first] * 2
    table.modify_many(keys[:2], [NOTHING, SEND])
    table.delete_many(keys[:1])
    held.commit()
    assert held.on_each_side() == [{matches[1]: (SEND, counted[1]), matches[2]: (SEND, counted[2])}] * 2
    assert table.insert_many(keys[:1], [SEND]) == 1
    held.commit()
    assert table.tallies(matches) == [Tally(0, 0)] * 3


def test_many_entries_until_their_counters_are_taken(pipeline: Pipeline, made: list[Map]) -> None:
    held = Held(pipeline, "exact", made)
    keys = [held.layout.encode_key((Exact(value=number), Exact(value=0))) for number in range(6)]
    assert held.table.insert_many(keys, [NOTHING] * 6) == 4
    held.commit()
    assert {value[1] for value in held.on_each_side()[0].values() if value is not None} == {1, 2, 3, 4}
    held.table.delete_many(keys[:1])
    held.commit()
    assert held.table.insert_many(keys[4:], [NOTHING] * 2) == 1


def _numbered(name: str, number: int) -> tuple[MatchValue, ...]:
    return Exact(value=number), Exact(value=1) if name == "exact" else Lpm(value=0x0A000000, prefix_len=8)


class Selected:
    """Table `spread`, an array by a key of 12 bits, its selector, and what a packet would find."""

    def __init__(self, pipeline: Pipeline, made: list[Map], *, is_shared: bool = True) -> None:
        """`is_shared`: the device writes the ring as memory, which one of a program compiled before does not let it."""
        self.held = Held(pipeline, "spread", made)
        self.layout, self.undo, self.commit = self.held.layout, self.held.undo, self.held.commit
        assert self.layout.selector is not None
        self.selector = self.layout.selector
        self.ring = create(made, replace(self.selector.ring, mmapable=is_shared))
        self.members = create(made, self.selector.members)
        self.down: set[int] = set()
        self.maps = SelectorMaps(
            self.selector, self.ring, self.members, self.held.table, self.held.sides, self.undo, self.down
        )

    def slice_of(self, a: int) -> GroupSlice:
        """As packets see it when the batch is over."""
        self.commit()
        return self.layout.decode_group(self.held.value(Exact(value=a)))

    def actions(self, a: int) -> list[ActionCall]:
        """The action of every slot of the entry's ring, in order."""
        used = self.slice_of(a)
        found: list[ActionCall] = []
        for slot in range(used.offset, used.offset + used.size):
            place = self.ring.lookup(struct.pack("=I", slot)) or b""
            decoded = self.selector.member.decode(self.members.lookup(place) or b"")
            assert decoded is not None
            found.append(decoded[0])
        return found


def call(port: int) -> ActionCall:
    return ActionCall(action="send", arguments=(port, 0))


def member(number: int, port: int) -> Member:
    return Member(selector="hops", id=number, action=call(port))


def group(number: int, *weights: tuple[int, int]) -> Group:
    members = tuple(WeightedMember(member_id=m, weight=w) for m, w in weights)
    return Group(selector="hops", id=number, members=members)


@pytest.fixture(params=[True, False], ids=["shared", "not shared"])
def selected(pipeline: Pipeline, made: list[Map], request: pytest.FixtureRequest) -> Generator[Selected]:
    found = Selected(pipeline, made, is_shared=request.param)
    yield found
    found.maps.close()


def test_a_group_is_a_maglev_ring(selected: Selected) -> None:
    maps = selected.maps
    for number in (1, 2):
        maps.insert_member(member(number, 10 + number))
    maps.insert_group(group(5, (1, 1), (2, 3)))
    maps.insert_entry((Exact(value=7),), GroupRef(group_id=5))
    assert selected.actions(7) == [call(10 + number) for number in build_ring([(1, 1), (2, 3)])]


def test_many_members_come_as_one_by_one(selected: Selected) -> None:
    """Those of a batch that fails have gone, and as many as there are places for are told."""
    maps, most = selected.maps, selected.selector.members.max_entries
    assert maps.insert_members([member(number, 10 + number) for number in (1, 2)]) == 2
    selected.undo.back_to(0)
    assert maps.insert_members([member(number, 20 + number) for number in (1, 2, 3)]) == 3
    maps.insert_group(group(5, (1, 1), (3, 1)))
    maps.insert_entry((Exact(value=7),), GroupRef(group_id=5))
    assert selected.actions(7) == [call(20 + number) for number in build_ring([(1, 1), (3, 1)])]
    left = maps.insert_members([member(number, 1) for number in range(4, most + 9)])
    assert most - 5 <= left <= most - 3
    maps.modify_group(group(5, (2, 1)))
    assert set(selected.actions(7)) == {call(22)}


def watching(number: int) -> Group:
    """Members 1 and 2, which watch ports 11 and 12."""
    members = tuple(WeightedMember(member_id=m, watch=Watch(port=10 + m)) for m in (1, 2))
    return Group(selector="hops", id=number, members=members)


def test_a_group_follows_ports_on_another_slice(selected: Selected) -> None:
    maps = selected.maps
    for number in (1, 2):
        maps.insert_member(member(number, 10 + number))
    maps.insert_group(watching(5))
    maps.insert_group(group(6, (1, 1), (2, 1)))
    for a, number in ((7, 5), (8, 6)):
        maps.insert_entry((Exact(value=a),), GroupRef(group_id=number))
    before, other = selected.slice_of(7), selected.slice_of(8)
    actions = selected.actions(7)
    assert maps.groups_that_watch({11}) == [watching(5)]
    assert maps.groups_that_watch({13}) == []
    selected.down.add(11)
    maps.rebuild_group(5)
    assert selected.actions(7) == [call(12)] * 251
    assert selected.slice_of(7).offset != before.offset
    selected.down.add(12)
    maps.rebuild_group(5)
    assert selected.slice_of(7).size == 0
    selected.down.clear()
    maps.rebuild_group(5)
    assert selected.actions(7) == actions
    assert selected.slice_of(8) == other


def test_a_group_follows_ports_where_there_is_no_room(selected: Selected) -> None:
    """Its own slice is overwritten: a packet reads one slot of it."""
    maps = selected.maps
    for number in (1, 2):
        maps.insert_member(member(number, 10 + number))
    maps.insert_group(watching(5))
    maps.insert_entry((Exact(value=7),), GroupRef(group_id=5))
    number = 100
    while maps.free_slots >= 251:
        maps.insert_group(group(number, (1, 1)))
        number += 1
    before, actions = selected.slice_of(7), selected.actions(7)
    for down, wanted in (({12}, [call(11)] * 251), (set[int](), actions)):
        selected.down.clear()
        selected.down |= down
        maps.rebuild_group(5)
        assert selected.actions(7) == wanted
        assert selected.slice_of(7) == before


def test_a_changed_member_moves_with_all_its_rings(selected: Selected) -> None:
    maps = selected.maps
    for number in (1, 2):
        maps.insert_member(member(number, 10 + number))
    maps.insert_group(group(5, (1, 1), (2, 1)))
    maps.insert_group(group(6, (2, 1)))
    for a, reference in ((7, GroupRef(group_id=5)), (8, GroupRef(group_id=6)), (9, MemberRef(member_id=1))):
        maps.insert_entry((Exact(value=a),), reference)
    before, untouched = selected.slice_of(7), selected.slice_of(8)
    maps.modify_member(member(1, 99))
    assert selected.slice_of(7).offset != before.offset
    assert selected.slice_of(8) == untouched
    assert Counter(c.arguments[0] for c in selected.actions(7)).keys() == {99, 12}
    assert selected.actions(9) == [call(99)]
    maps.modify_group(group(5, (2, 1)))
    assert set(selected.actions(7)) == {call(12)}


def test_an_entry_that_names_its_member_again(selected: Selected) -> None:
    maps, alone = selected.maps, MemberRef(member_id=1)
    maps.insert_member(member(1, 11))
    maps.insert_entry((Exact(value=7),), alone)
    maps.modify_entry((Exact(value=7),), alone)
    selected.commit()
    maps.modify_member(member(1, 12))
    assert selected.actions(7) == [call(12)]
    maps.delete_entry((Exact(value=7),))
    maps.delete_member(1)
    selected.commit()
    assert maps.free_slots == selected.selector.ring.max_entries


def test_a_member_that_no_entry_could_name(selected: Selected, monkeypatch: pytest.MonkeyPatch) -> None:
    maps, alone = selected.maps, MemberRef(member_id=1)

    def full(*_: object) -> None:
        raise RefusedError(Code.RESOURCE_EXHAUSTED, "full")

    maps.insert_member(member(1, 11))
    with monkeypatch.context() as patched:
        patched.setattr(TableMap, "insert", full)
        mark = selected.undo.mark
        with pytest.raises(RefusedError):
            maps.insert_entry((Exact(value=7),), alone)
        selected.undo.back_to(mark)
    maps.delete_member(1)
    maps.insert_member(member(1, 12))
    maps.insert_entry((Exact(value=7),), alone)
    assert selected.actions(7) == [call(12)]


def test_an_empty_group_is_a_miss(selected: Selected) -> None:
    maps = selected.maps
    maps.insert_group(group(5))
    maps.insert_entry((Exact(value=7),), GroupRef(group_id=5))
    assert selected.slice_of(7).size == 0
    maps.insert_member(member(1, 11))
    maps.modify_group(group(5, (1, 1)))
    assert set(selected.actions(7)) == {call(11)}
    maps.delete_entry((Exact(value=7),))
    assert selected.slice_of(7) == GroupSlice(offset=0, size=0)


def test_everything_comes_back(selected: Selected) -> None:
    maps, slots = selected.maps, selected.selector.ring.max_entries
    for _ in range(3):
        for number in range(1, 5):
            maps.insert_member(member(number, number))
        maps.insert_group(group(5, (1, 1), (2, 1)))
        maps.insert_entry((Exact(value=7),), GroupRef(group_id=5))
        maps.insert_entry((Exact(value=8),), MemberRef(member_id=3))
        maps.modify_entry((Exact(value=8),), GroupRef(group_id=5))
        for a in (7, 8):
            maps.delete_entry((Exact(value=a),))
        maps.delete_group(5)
        for number in range(1, 5):
            maps.delete_member(number)
        selected.commit()
    assert maps.free_slots == slots


def test_a_group_that_is_changed_twice_in_a_batch(selected: Selected) -> None:
    maps, free = selected.maps, selected.maps.free_slots
    for number in (1, 2, 3):
        maps.insert_member(member(number, 10 + number))
    maps.insert_group(group(5, (1, 1)))
    maps.insert_entry((Exact(value=7),), GroupRef(group_id=5))
    maps.modify_group(group(5, (1, 1), (2, 1)))
    maps.modify_group(group(5, (2, 1), (3, 1)))
    assert selected.actions(7) == [call(10 + number) for number in build_ring([(2, 1), (3, 1)])]
    selected.commit()
    assert maps.free_slots == free - 251


def test_a_map_of_members_that_is_full_fails_the_batch(selected: Selected, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written when all else is, and packets have not turned yet."""
    maps = selected.maps
    maps.insert_member(member(1, 11))
    maps.insert_entry((Exact(value=7),), MemberRef(member_id=1))
    before = selected.slice_of(7)

    def full(*_: object) -> None:
        raise KernelRefusal(errno.ENOMEM, "update map members")

    maps.modify_member(member(1, 12))
    with monkeypatch.context() as patched:
        patched.setattr(Map, "update_batch", full)
        with pytest.raises(RefusedError) as refused:
            selected.commit()
        selected.undo.back_to(0)
    assert refused.value.code is Code.RESOURCE_EXHAUSTED
    assert (selected.slice_of(7), selected.actions(7)) == (before, [call(11)])
    maps.modify_member(member(1, 13))
    assert selected.actions(7) == [call(13)]


def test_a_batch_that_fails_in_its_midst_leaves_what_was(selected: Selected) -> None:
    maps = selected.maps
    for number in (1, 2):
        maps.insert_member(member(number, 10 + number))
    for number in (5, 6):
        maps.insert_group(group(number, (1, 1)))
        maps.insert_entry((Exact(value=number),), GroupRef(group_id=number))
    before, free = [selected.slice_of(number) for number in (5, 6)], maps.free_slots
    mark = selected.undo.mark
    maps.modify_group(group(5, (2, 1)))
    maps.modify_member(member(1, 99))
    with pytest.raises(RefusedError):
        maps.insert_group(group(7, (2, 1)))
    selected.undo.back_to(mark)
    assert [selected.slice_of(number) for number in (5, 6)] == before
    assert selected.actions(5) == selected.actions(6) == [call(11)] * 251
    selected.commit()
    assert maps.free_slots == free
    maps.modify_group(group(6, (1, 1), (2, 1)))
    assert selected.actions(6) == [call(10 + number) for number in build_ring([(1, 1), (2, 1)])]


def test_rings_that_rest_are_waited_for_where_there_is_no_other(
    pipeline: Pipeline, made: list[Map], selected: Selected
) -> None:
    """Also behind one new entry of another table, which waits for no packet, so that nothing is released by itself."""
    maps, held, layout = selected.maps, selected.held, laid_out(pipeline, "exact")
    counters = create(made, layout.counters) if layout.counters is not None else None
    beside = TableMap(layout, create(made, layout.map), counters, None, held.sides, held.undo)
    fitting = selected.selector.ring.max_entries // 251
    maps.insert_member(member(1, 11))
    for number in range(1, fitting + 1):
        maps.insert_group(group(number, (1, 1)))
    beside.insert((Exact(value=1), Exact(value=2)), SEND)
    held.sides.commit()
    for number in range(1, fitting + 1):
        maps.delete_group(number)
    held.sides.commit()
    assert held.waits == 0
    for number in range(1, fitting + 1):
        maps.insert_group(group(number, (1, 1)))
    assert held.waits == 1


def test_full_rings_are_named_and_nothing_changes(selected: Selected) -> None:
    maps = selected.maps
    maps.insert_member(member(1, 11))
    fitting = selected.selector.ring.max_entries // 251
    for number in range(1, fitting + 1):
        maps.insert_group(group(number, (1, 1)))
    left, mark = maps.free_slots, selected.undo.mark
    with pytest.raises(RefusedError) as refused:
        maps.insert_group(group(fitting + 1, (1, 1)))
    assert (refused.value.code, refused.value.text) == (
        Code.RESOURCE_EXHAUSTED,
        f"action profile hops: its rings are full: 251 slots are needed in one piece, {left} of 1024 are free",
    )
    with pytest.raises(RefusedError):
        maps.modify_member(member(1, 12))
    selected.undo.back_to(mark)
    maps.insert_entry((Exact(value=7),), GroupRef(group_id=1))
    assert set(selected.actions(7)) == {call(11)}
    assert maps.free_slots == left


def test_indexed_counters(made: list[Map]) -> None:
    shape = MapShape(name="cells", type=MapType.PERCPU_ARRAY, key_size=4, value_size=16, max_entries=200)
    made.append(Map.create(shape))
    counters, undo = CounterMap(made[-1]), UndoLog()
    counters.replace(0, 200, Tally(1, 2))
    counters.write(150, Tally(7, 8))
    assert counters.read_many(range(149, 152)) == [Tally(1, 2), Tally(7, 8), Tally(1, 2)]
    whole = counters.read_many(range(200))
    assert (whole[150], sum(t.packets for t in whole)) == (Tally(7, 8), 206)
    direct = DirectCounters(CounterMap(made[-1]), "t", undo)
    assert [direct.take() for _ in range(199)] == list(range(1, 200))
    with pytest.raises(RefusedError, match="table t: all 199 direct counters are taken"):
        direct.take()
    direct.give_back(150)
    assert direct.take() == 150
    undo.finish()
    assert counters.read(150) == Tally(0, 0)
