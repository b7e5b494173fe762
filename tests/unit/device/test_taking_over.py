"""An instance over the maps that another one has left: what is right stays, what is not is found, said and mended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.ir.entries import ActionCall, EntryKey
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from compiler.printers.bundle import Bundle
from compiler.printers.layout import GroupSlice, layout
from runtime.bpf.chains import Hook
from runtime.bpf.constants import MapFlag, MapType
from runtime.bpf.maps import Map, MapShape
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import SkbContext, run_skb
from runtime.device.journal.replay import carry, replayed
from runtime.device.kernel.indexpins import index_maps
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.device.kernel.predecessor import Predecessor
from runtime.device.kernel.sides import SIDE_MAP
from runtime.device.loaded import Loaded, loaded
from runtime.device.records import Tally
from runtime.device.target import UnderWay
from runtime.verification.kernel_level import compiled
from tests.pipelines.acl import acl_pipeline

pytestmark = pytest.mark.root
PORT, IFINDEX = 1, 1001
METERED = Path(__file__).parents[2] / "conformance" / "pipelines" / "metered.ir"


class Device:
    """A pipeline in the kernel that packets would pass, and what was written into it."""

    def __init__(self, source: Pipeline) -> None:
        self.source = source
        self._elf = compiled(source, Hook.TC)
        self._open: list[KernelInstance] = []
        self.object = load(self._elf)
        instance = self._instance(takes_over=False)
        instance.write_initial()
        self.held: Loaded = loaded(p4r.ForwardingPipelineConfig(), source, instance)
        instance.activate()

    def _instance(self, *, takes_over: bool) -> KernelInstance:
        maps = self.object.sharable

        def load_variant(flags: Mapping[str, int]) -> Object:
            return load(self._elf, LoadSettings(constants=dict(flags), reuse=maps))

        self.indices = index_maps(self.source)
        made = KernelInstance(
            self.source, self.object, 0, load_variant, lambda _: None, indices=self.indices, takes_over=takes_over
        )
        self._open.append(made)
        return made

    def write(self, *updates: str) -> None:
        """Each is the kind and the entity."""
        _apply(self.held, updates)

    def again(self, *under_way: str) -> list[str]:
        """As after a kill: what is said of the maps, and both sides are as they should be.

        `under_way`: updates of a batch that was intended, and of which packets have seen nothing.
        """
        before = self.object
        maps = Predecessor(pipeline=self.source, maps=before.maps).own()
        assert maps is not None
        maps |= {name: before.map(name) for name in (DIRECT, OTHER)}
        self.object = load(self._elf, LoadSettings(reuse={name: held.fd for name, held in maps.items()}))
        noted = self.indices
        instance = self._instance(takes_over=True)
        instance.follow(Predecessor(pipeline=self.source, maps={**before.maps, **noted}))
        instance.write_initial()
        self.held = self.held.moved_to(instance)
        batch = UnderWay(finish=partial(_apply, self.held, under_way), tables=frozenset({"spread"}))
        found = instance.adopt(self.held.contents, batch if under_way else None)
        instance.activate()
        self.settle()
        return [one.text for one in found]

    def reconcile(self, source: Pipeline) -> None:
        """As RECONCILE_AND_COMMIT does with a pipeline that may be another one."""
        before, self.source, self._elf = self.source, source, compiled(source, Hook.TC)
        predecessor = Predecessor(pipeline=before, maps={**self.object.maps, **self.indices})
        shared = predecessor.shared_with(source) | {name: self.map(name) for name in (DIRECT, OTHER)}
        self.object = load(self._elf, LoadSettings(reuse={name: held.fd for name, held in shared.items()}))
        instance = self._instance(takes_over=False)
        instance.follow(predecessor)
        instance.write_initial()
        made = replayed(p4r.ForwardingPipelineConfig(), Bundle(pipeline=source), "")
        assert carry(self.held, made) == []
        instance.adopt(made.loaded.contents)
        self.held = made.loaded.moved_to(instance)
        instance.activate()
        self.settle()

    def settle(self) -> None:
        """Both sides hold the same."""
        while self.held.instance.lag:
            self.held.instance.tick()

    def map(self, name: str) -> Map:
        return self.object.maps[name]

    def everything(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Whatever packets read."""
        plan = layout(self.source)
        names = [held.name for table in plan.tables for held in table.maps]
        names += [meter.configs.name for meter in plan.meters]
        names += [
            part.name
            for table in plan.tables
            if table.selector
            for part in (table.selector.ring, table.selector.members)
        ]
        return {name: sorted(self.map(name).items()) for name in (*names, SIDE_MAP)}

    def arguments(self) -> list[int]:
        """What packets meet as the arguments of the entries of `acl`, sorted."""
        found = layout(self.source).table("acl")
        entries = Predecessor(pipeline=self.source, maps=self.object.maps).entries(found)
        decoded = [found.decode_value(value) for value in entries.values()]
        return sorted(one[0].arguments[0] for one in decoded if one is not None)

    @property
    def side(self) -> int:
        """The one that packets read."""
        return int.from_bytes(self.map(SIDE_MAP).lookup(bytes(4)) or b"", sys.byteorder)

    def slices(self, table: str) -> dict[bytes, GroupSlice]:
        """Of the entries of a table with a selector, by key."""
        found = layout(self.source).table(table)
        entries = Predecessor(pipeline=self.source, maps=self.object.maps).entries(found)
        return {key: found.decode_group(value) for key, value in entries.items()}

    def actions(self, used: GroupSlice) -> set[int]:
        """The first arguments of the members in a slice of `spread`."""
        selector = layout(self.source).table("spread").selector
        assert selector is not None
        ring, members = self.map(selector.ring.name), self.map(selector.members.name)
        places = {ring.lookup((used.offset + at).to_bytes(4, "little")) for at in range(used.size)}
        found = [selector.member.decode(members.lookup(place or b"") or b"") for place in places]
        return {one[0].arguments[0] for one in found if one is not None}

    def send(self, length: int) -> None:
        run_skb(self.object.program(Hook.TC.value).fd, bytes(length), SkbContext(ingress_ifindex=IFINDEX))

    def colors(self, key: EntryKey) -> tuple[list[int], list[int]]:
        """How many packets the meter of an entry and cell 1 of `line` have called green, yellow and red."""
        instance = self.held.instance
        (direct,), (cell,) = instance.direct_meter_tallies("two", [key]), instance.meter_tallies("line", 1, 1)
        return [one.packets for one in direct], [one.packets for one in cell]

    def close(self) -> None:
        for one in self._open:
            one.close()


def _apply(held: Loaded, updates: Sequence[str]) -> None:
    given: list[p4r.Update] = []
    for text in updates:
        kind, entity = text.split(maxsplit=1)
        given.append(p4r.Update(type=p4r.Update.Type.Value(kind), entity=text_format.Parse(entity, p4r.Entity())))
    assert held.writer.apply_all(given) == [None] * len(given)


@pytest.fixture
def made() -> Iterator[Callable[[Pipeline], Device]]:
    """Makes devices, which are closed at the end."""
    devices: list[Device] = []

    def make(source: Pipeline) -> Device:
        devices.append(Device(source))
        return devices[-1]

    yield make
    for one in devices:
        one.close()


def acl(number: int, priority: int, out: int = 7) -> str:
    return (
        f"table_entry {{ table_id: 0x02000001 priority: {priority} match {{ field_id: 4 range {{ "
        f'low: "\\x00\\x{number:02x}" high: "\\x00\\x{number:02x}" }} }} '
        f'match {{ field_id: 1 exact {{ value: "\\x01" }} }} '
        f'action {{ action {{ action_id: 0x01000001 params {{ param_id: 1 value: "\\x{out:02x}" }} }} }} }}'
    )


def member(number: int, out: int) -> str:
    return (
        f"action_profile_member {{ action_profile_id: 0x11000001 member_id: {number} "
        f'action {{ action_id: 0x01000004 params {{ param_id: 1 value: "\\x{out:02x}" }} }} }}'
    )


def group(number: int, *members: int) -> str:
    held = " ".join(f"members {{ member_id: {one} weight: 1 }}" for one in members)
    return f"action_profile_group {{ action_profile_id: 0x11000001 group_id: {number} {held} }}"


def spread(bits: int, action: str) -> str:
    return (
        f'table_entry {{ table_id: 0x02000002 priority: 1 match {{ field_id: 1 ternary {{ value: "\\x{bits:02x}" '
        f'mask: "\\x0f" }} }} action {{ {action} }} }}'
    )


@pytest.fixture
def filled(made: Callable[[Pipeline], Device]) -> Device:
    """With entries of several masks, members of like actions, groups, and an entry that leads to a member."""
    device = made(acl_pipeline())
    device.write(*(f"INSERT {acl(number, number)}" for number in range(1, 9)))
    device.write(f"INSERT {member(5, 1)}", f"INSERT {member(3, 2)}", f"INSERT {member(4, 2)}")
    device.write(f"INSERT {group(1, 3, 4)}", f"INSERT {group(2, 5, 4)}")
    device.write(
        f"INSERT {spread(1, 'action_profile_group_id: 2')}", f"INSERT {spread(2, 'action_profile_group_id: 1')}"
    )
    device.write(
        f"INSERT {spread(3, 'action_profile_member_id: 5')}", f"INSERT {spread(4, 'action_profile_group_id: 2')}"
    )
    device.write(f"DELETE {acl(3, 3)}", f"MODIFY {member(3, 9)}")
    device.settle()
    return device


def test_what_is_right_is_left_as_it_is(filled: Device) -> None:
    before = filled.everything()
    for _ in range(2):
        assert filled.again() == []
        assert filled.everything() == before
    filled.write(f"INSERT {acl(3, 3)}", f"INSERT {member(6, 6)}", f"MODIFY {group(1, 3, 6)}", f"INSERT {group(9, 5)}")
    filled.settle()
    assert filled.again() == []


def test_entries_that_were_changed_by_hand(filled: Device) -> None:
    """One is gone, one has another argument, one is there that nobody wrote."""
    before = filled.everything()
    table, held = layout(filled.source).table("acl"), filled.map("acl")
    keys = sorted(key for key, _ in before["acl"] if table.map.off_side(key)[1] == filled.side)
    values = dict(before["acl"])
    held.delete(keys[0])
    held.update(keys[1], values[keys[1]][:16] + b"\x63" + values[keys[1]][17:])
    held.update(
        keys[2][:4] + b"\x55" + keys[2][5:], values[keys[2]][:4] + b"\x3c\0\0\0" + b"\x01" * 8 + values[keys[2]][16:]
    )
    assert filled.again() == [
        f"table acl: 1 that the journal has and the kernel had not: {shown(1)}",
        f"table acl: 1 that were not as the journal has them: {shown(2)}",
        "table acl: 1 that the kernel had and the journal has not: an unknown one",
    ]
    assert [len(held) for held in filled.everything().values()] == [len(held) for held in before.values()]
    assert filled.again() == []


def shown(number: int) -> str:
    return f"port=0x1, address=0x0/0, wide=0x0&0x0, number={number:#x}..{number:#x}, kind=* priority {number}"


def test_a_batch_that_was_under_way_is_no_finding(filled: Device) -> None:
    """What somebody has changed beside it is one, also where the batch changes it again."""
    batch = (f"INSERT {acl(3, 3)}", f"DELETE {acl(8, 8)}", f"MODIFY {acl(7, 7, 9)}", f"MODIFY {group(1, 3)}")
    assert filled.again(*batch) == []
    assert filled.again() == []
    assert filled.arguments() == [7, 7, 7, 7, 7, 7, 9]
    before = filled.everything()
    table, held = layout(filled.source).table("acl"), filled.map("acl")
    for key, value in before["acl"]:
        side = table.map.off_side(key)[1]
        if side == filled.side and value[16:17] == b"\x09":
            held.update(key, value[:16] + b"\x63" + value[17:])
    assert filled.again(f"MODIFY {acl(7, 7, 8)}", f"MODIFY {acl(1, 1, 8)}") == [
        f"table acl: 1 that were not as the journal has them: {shown(7)}",
    ]
    assert filled.arguments() == [7, 7, 7, 7, 7, 8, 8]
    assert filled.again() == []


def test_many_are_counted_and_some_are_named(filled: Device) -> None:
    before = filled.everything()
    table = layout(filled.source).table("acl")
    for key, _ in before["acl"]:
        if table.map.off_side(key)[1] == filled.side:
            filled.map("acl").delete(key)
    (said,) = filled.again()
    assert said.startswith("table acl: 7 that the journal has and the kernel had not: port=")
    assert said.endswith("; and 4 more")
    assert said.count("priority") == 3
    assert [len(held) for held in filled.everything().values()] == [len(held) for held in before.values()]
    assert filled.again() == []


def test_a_side_that_a_batch_was_being_written_to(filled: Device) -> None:
    """Nothing is said of it: packets have not seen it."""
    before = filled.everything()
    table = layout(filled.source).table("acl")
    for key, value in before["acl"]:
        if table.map.off_side(key)[1] != filled.side:
            filled.map("acl").update(key, bytes(len(value)))
    assert filled.again() == []
    assert filled.everything() | {SIDE_MAP: before[SIDE_MAP]} == before


def test_a_ring_that_was_changed_by_hand(filled: Device) -> None:
    """It is written anew elsewhere, and entries are led there in one step."""
    table = layout(filled.source).table("spread")
    assert table.selector is not None
    first = min(used.offset for used in filled.slices("spread").values() if used.size > 1)
    filled.map(table.selector.ring.name).update(first.to_bytes(4, "little"), b"\x3f\0\0\0")
    assert len(filled.again()) == 1
    assert first not in {used.offset for used in filled.slices("spread").values()}
    after = filled.everything()
    assert filled.again() == []
    assert filled.everything() == after


def test_a_member_that_was_changed_by_hand(filled: Device) -> None:
    """All that have it get another ring; packets meet the old one until then."""
    table = layout(filled.source).table("spread")
    assert table.selector is not None
    held = filled.map(table.selector.members.name)
    wrong = table.selector.member.encode(ActionCall(action="pick", arguments=(99,)))
    for key, value in list(held.items()):
        if any(value):
            held.update(key, wrong)
    (said,) = filled.again()
    assert said.startswith("table spread: 4 that were not as the journal has them: ")
    for used in filled.slices("spread").values():
        assert filled.actions(used) <= {1, 2, 9}
    assert filled.again() == []


def test_slices_that_nobody_could_have_written(filled: Device) -> None:
    """What leads beyond the ring, and what two have, is nobody's."""
    table = layout(filled.source).table("spread")
    slices = filled.slices("spread")
    (one, two, *_) = sorted(slices)
    beyond = GroupSlice(offset=1 << 31, size=251, counter=slices[one].counter, rank=slices[one].rank)
    overlapping = GroupSlice(offset=slices[two].offset + 1, size=251, counter=1, rank=slices[two].rank)
    filled.map("spread").update(table.map.on_side(one, filled.side), table.encode_group(beyond))
    filled.map("spread").update(table.map.on_side(two, filled.side), table.encode_group(overlapping))
    (said,) = filled.again()
    assert said.startswith("table spread: 2 that were not as the journal has them: ")
    for used in filled.slices("spread").values():
        assert filled.actions(used) <= {1, 2, 9}
    assert filled.again() == []


def test_counters_of_entries_that_others_hide_go_on(filled: Device) -> None:
    """Of several at one place packets meet the first alone; the others are in no map that they read."""
    filled.write(
        *(f"INSERT {acl(1, priority)}" for priority in (20, 30)), f"INSERT {acl(2, 40)}", f"DELETE {acl(2, 40)}"
    )
    codec = filled.held.schema.tables[0x02000001]
    keys = [codec.entry_key(key) for key in filled.held.contents.tables["acl"].rows]
    for key in keys:
        filled.held.instance.set_direct_tally(key, Tally(key.priority, 0))
    filled.held.instance.commit()
    wanted = [Tally(key.priority, 0) for key in keys]
    for _ in range(2):
        assert filled.again() == []
        assert filled.held.instance.direct_tallies("acl", keys) == wanted
    filled.reconcile(filled.source)
    assert filled.held.instance.direct_tallies("acl", keys) == wanted
    filled.write(f"DELETE {acl(1, 30)}")
    filled.write(f"INSERT {acl(1, 30)}")
    assert filled.again() == []
    again = [Tally(0, 0) if key.priority == 30 else tally for key, tally in zip(keys, wanted, strict=True)]
    assert filled.held.instance.direct_tallies("acl", keys) == again


def test_direct_counters_go_on(filled: Device) -> None:
    codec = filled.held.schema.tables[0x02000001]
    keys = [codec.entry_key(key) for key in filled.held.contents.tables["acl"].rows]
    tallies = [Tally(at + 1, 2 * at) for at in range(len(keys))]
    for key, tally in zip(keys, tallies, strict=True):
        filled.held.instance.set_direct_tally(key, tally)
    filled.held.instance.commit()
    assert filled.again() == []
    assert filled.held.instance.direct_tallies("acl", keys) == tallies


@pytest.fixture
def metered(made: Callable[[Pipeline], Device]) -> Device:
    """Entries with meters and last hits, and cells of an indexed meter; packets come in by port 1."""
    device = made(check(from_text(METERED.read_text())))
    Interfaces(device.map(DIRECT), device.map(OTHER)).put(IFINDEX, PORT)
    two = (
        'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\x01" } } idle_timeout_ns: 1000000000 '
        "action { action { action_id: 0x01000001 } } meter_config { cir: 1 cburst: 1500 pir: 1 pburst: 1500 } }"
    )
    line = "meter_entry { meter_id: 0x14000001 index { index: 1 } config { cir: 1 cburst: 1400 pir: 1 pburst: 1400 } }"
    device.write(f"INSERT {two}", f"MODIFY {line}")
    device.settle()
    return device


def test_meters_and_last_hits_go_on(metered: Device) -> None:
    """A thousand bytes have been sent: another thousand are too many, whoever runs the device."""
    held = metered.held
    key = held.schema.tables[0x02000001].entry_key(next(iter(held.contents.tables["two"].rows)))
    metered.send(1000)
    assert metered.colors(key) == ([1, 0, 0], [1, 0, 0])
    seen = metered.map("two_seen")
    seen.update(b"\1\0\0\0", bytes(8))  # long ago
    for times in (1, 2, 3):
        assert metered.again() == []
        assert metered.held.instance.idle_ms("two", [key]) > [1000]
        metered.send(1000)
        assert metered.colors(key) == ([1, 0, times], [1, 0, times])
        assert metered.held.instance.idle_ms("two", [key]) < [1000 * 3600]
        metered.map("two_seen").update(b"\1\0\0\0", bytes(8))


def test_a_configuration_of_a_meter_that_was_changed_by_hand(metered: Device) -> None:
    before = metered.everything()
    config = layout(metered.source).meter("line").configs
    held = metered.map(config.name)
    values = dict(held.items())
    cell = config.on_side(b"\1\0\0\0", metered.side)
    held.update(cell, values[cell][:24] + (10**9).to_bytes(8, "little") + values[cell][32:])
    held.update(config.on_side(b"\5\0\0\0", metered.side), values[cell])
    assert metered.again() == [
        "meter line: 1 that were not as the journal has them: cell 1",
        "meter line: 1 that the kernel had and the journal has not: cell 5",
    ]
    assert {name for name, held in metered.everything().items() if held != before[name]} <= {config.name, SIDE_MAP}
    for index in (0, 5):
        assert held.lookup(config.on_side(index.to_bytes(4, "little"), metered.side)) == bytes(config.value_size)


@pytest.mark.parametrize("size", [20, 10, 40])
def test_a_pipeline_with_other_sizes(metered: Device, size: int) -> None:
    """Tokens, last hits and counters stay with their entries, whichever index these have; cells that are left stay."""
    metered.held.instance.set_tallies("dropped", 0, 4, Tally(3, 4))
    other = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\x%02x" } } %s }'
    action = "action { action { action_id: 0x01000001 } }"
    for number in range(2, 20):
        metered.write(f"INSERT {other % (number, action)}")
    for number in range(2, 17):
        metered.write(f"DELETE {other % (number, '')}")
    metered.settle()
    codec = metered.held.schema.tables[0x02000001]
    keys = [codec.entry_key(key) for key in metered.held.contents.tables["two"].rows]
    for at, key in enumerate(keys):
        metered.held.instance.set_direct_tally(key, Tally(at + 5, at))
    metered.held.instance.commit()
    metered.send(1000)
    assert metered.colors(keys[0]) == ([1, 0, 0], [1, 0, 0])
    metered.map("two_seen").update(b"\1\0\0\0", bytes(8))
    whole = metered.source
    tables = tuple(replace(table, size=size) if table.name == "two" else table for table in whole.tables)
    counters = tuple(replace(counter, size=size // 5) for counter in whole.counters)
    meters = tuple(replace(meter, size=size // 5) if meter.name == "line" else meter for meter in whole.meters)
    metered.reconcile(replace(whole, tables=tables, counters=counters, meters=meters, version="2"))
    instance = metered.held.instance
    assert instance.idle_ms("two", keys[:1]) > [1000]
    metered.send(1000)
    assert metered.colors(keys[0]) == ([1, 0, 1], [1, 0, 1])
    assert [one.packets for one in instance.direct_tallies("two", keys)] == [7, 6, 7, 8]
    kept = min(4, size // 5)
    assert instance.tallies("dropped", 0, size // 5) == [Tally(3, 4)] * kept + [Tally()] * (size // 5 - kept)
    assert metered.again() == []
    assert [one.packets for one in metered.held.instance.direct_tallies("two", keys)] == [7, 6, 7, 8]


def test_an_array_that_cannot_be_one_of_an_array_of_maps_is_not_gone_on_with(filled: Device) -> None:
    """As one left by a device whose programs named each map: it can be read, but is made anew."""
    ring = layout(filled.source).table("spread").selector
    assert ring is not None
    made_so = filled.map(ring.ring.name).details
    shape = MapShape(
        name="plain", type=MapType.ARRAY, key_size=4, value_size=4, max_entries=made_so.max_entries, flags=MapFlag.NONE
    )
    with Map.create(shape) as plain:
        maps = {**filled.object.maps, ring.ring.name: plain}
        assert Predecessor(pipeline=filled.source, maps=maps).own() is None
    assert Predecessor(pipeline=filled.source, maps=filled.object.maps).own() is not None
