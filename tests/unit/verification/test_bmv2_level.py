"""BMv2's level over a device that does as BMv2 does, as far as P4Runtime and ports show it.

BMv2 itself is in tests/unit/printers/p4/test_bmv2.py, where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from finsy.proto import p4d, p4r

from compiler.ir.entries import Entries, EntryKey, Group, GroupRef, TableEntry
from compiler.ir.interpreter import NotFound, Tally, VerdictKind, trace
from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.portable import portable
from compiler.printers.p4.v1model import KERNEL_PORT
from compiler.printers.v1model_p4info import v1model_p4info
from runtime.client.plan import Kind
from runtime.verification.bmv2_level import Bmv2Level, unplayable
from runtime.verification.comparison import Comparison
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.shop import CLIENT_PORT, OTHER_PORT, TAGGED_PORT, UPLINK, WEB_1_PORT, device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.vector import Change, PacketIn, Sweep, Vector, Write, WriteKind

SOURCE = pipeline()
NAMES = Names(SOURCE)
PORTS = (UPLINK, CLIENT_PORT, WEB_1_PORT, TAGGED_PORT, OTHER_PORT)
FRAMES = {name: (port, frame) for name, port, frame in vectors()}


def alone(entries: Entries) -> Entries:
    """Every group with its first member only, so that there is no choice."""
    return replace(entries, groups=tuple(replace(group, members=group.members[:1]) for group in entries.groups))


SHOP = alone(device_entries("A"))


class FakeSwitch:
    """The interpreter behind BMv2's manners. `log` has every write; it learns by itself, and notes what it is told."""

    def __init__(self) -> None:
        self.level = InterpreterLevel(SOURCE)
        self.log: list[tuple[Kind, Change]] = []
        self.learned: set[EntryKey] = set()
        self._told: list[p4r.DigestList] = []

    def write(self, kind: Kind, entities: Iterable[Change]) -> None:
        for entity in entities:
            self.log.append((kind, entity))
            if isinstance(entity, TableEntry) and NAMES.tables[entity.table].store is not None:
                self._write_learned(kind, entity)
                continue
            assert not (isinstance(entity, Group) and kind is not Kind.DELETE and not entity.members)
            change = {Kind.INSERT: self.level.insert, Kind.MODIFY: self.level.modify, Kind.DELETE: self.level.delete}
            change[kind](entity)

    def _write_learned(self, kind: Kind, entry: TableEntry) -> None:
        if kind is Kind.INSERT:
            self.learned.add(entry.key)
        else:
            self.learned.discard(entry.key)
            with suppress(NotFound):  # it left with its pair
                self.level.delete(entry)

    def exchange(self, port: int, packet: bytes, *, is_dropped: bool = False) -> tuple[int, bytes] | None:
        outcome = self.level.process(PacketIn(port=port, frame=packet))
        if any(isinstance(step, trace.Learned) for step in outcome.trace):
            self._told += self._digests()
        match outcome.verdict:
            case VerdictKind.DROP:
                return None
            case VerdictKind.TO_KERNEL:
                return KERNEL_PORT, outcome.packet
            case _:
                assert outcome.egress_port is not None
                is_tunnel = outcome.egress_port == UPLINK and len(outcome.packet) > 50
                frame = outcome.packet[:34] + b"\xdd\xdd" + outcome.packet[36:] if is_tunnel else outcome.packet
                return outcome.egress_port, frame

    def _digests(self) -> Iterator[p4r.DigestList]:
        """Of the connection that was learned last; of older ones too, as BMv2 tells what was not acknowledged."""
        for info in v1model_p4info(portable(SOURCE)).digests:
            tables = [t for t in portable(SOURCE).tables if info.preamble.name == f"learn_{t.store}"]
            for halves in zip(*(self.level.learned(table.name) for table in tables), strict=True):
                values = [v for half in halves for v in (*(m.value for m in half.matches), *half.action.arguments, 0)]
                members = [p4d.P4Data(bitstring=value.to_bytes(16, "big")) for value in values]
                data = p4d.P4Data(struct=p4d.P4StructLike(members=members))
                yield p4r.DigestList(digest_id=info.preamble.id, data=[data])

    def digests(self, timeout_s: float) -> Iterator[p4r.DigestList]:
        while self._told:
            yield self._told.pop(0)

    def direct_counter(self, entry: TableEntry) -> Tally:
        return self.level.direct_counter(entry.key)

    def indexed_counters(self, counter: str, indices: Sequence[int]) -> tuple[Tally, ...]:
        return tuple(self.level.model.indexed_counter(counter, index) for index in indices)


def started() -> tuple[FakeSwitch, Comparison]:
    device = FakeSwitch()
    comparison = Comparison([Bmv2Level(SOURCE, device, PORTS)])
    comparison.fill(SHOP)
    return device, comparison


def packet(name: str) -> PacketIn:
    port, frame = FRAMES[name]
    return PacketIn(port=port, frame=frame)


def test_every_vector() -> None:
    _, comparison = started()
    taken = [comparison.process(port, frame) is not None for port, frame in FRAMES.values()]
    assert taken.count(False) == len([port for port, _ in FRAMES.values() if port not in PORTS])
    comparison.compare_state()


def test_settled_packets_come_after_what_was_learned_is_inserted() -> None:
    device, comparison = started()
    comparison.do(packet("syn 0 v4"))
    comparison.do(replace(packet("data v4"), is_settled=False))
    assert device.learned == set()
    comparison.do(packet("data v4"))
    assert {key.table for key in device.learned} == {"flow_ipv4", "flow_reverse_ipv4"}
    assert len(device.learned) == 2


def test_a_new_comparison_begins_with_nothing() -> None:
    device, comparison = started()
    comparison.do(packet("syn 0 v4"))
    comparison.do(packet("no backends, R v4"))
    again = Comparison(comparison.levels)
    assert device.learned == set()
    assert device.level.entries() == ()
    again.fill(SHOP)
    again.do(packet("no backends, R v4"))
    again.do(packet("data v4"))
    again.compare_state()


GROUP = next(group for group in SHOP.groups if group.members)
TO_GROUP = next(
    e for e in SHOP.table_entries if e.table.startswith("backend") and e.action == GroupRef(group_id=GROUP.id)
)
EMPTY = replace(GROUP, members=())


def test_an_entry_to_an_empty_group_is_held_back() -> None:
    device = FakeSwitch()
    level = Bmv2Level(SOURCE, device, PORTS)
    members = [member for member in SHOP.members if member.selector == GROUP.selector]
    level.insert(*members, EMPTY, TO_GROUP)
    assert device.log == [(Kind.INSERT, member) for member in members]
    device.log.clear()
    level.modify(GROUP)
    level.modify(GROUP)
    level.modify(EMPTY)
    level.delete(TO_GROUP)
    assert device.log == [
        (Kind.INSERT, GROUP),
        (Kind.INSERT, TO_GROUP),
        (Kind.MODIFY, GROUP),
        (Kind.DELETE, TO_GROUP),
        (Kind.DELETE, GROUP),
    ]


def test_what_it_cannot_do_is_left_out() -> None:
    _, comparison = started()
    comparison.sweep()
    assert comparison.done == []
    assert comparison.do(replace(packet("data v4"), gso_size=100)) is None
    assert comparison.process(40, FRAMES["data v4"][1]) is None


def test_a_vector_with_a_choice() -> None:
    choice = next(group for group in device_entries("A").groups if len(group.members) == 2)
    told = f"group {choice.id} of {choice.selector} has 2 members, any of which is right"
    assert unplayable(Vector(name="x", entries=device_entries("A"))) == told
    assert unplayable(Vector(name="x", entries=SHOP, steps=(Sweep(),))) is None
    write = Write(kind=WriteKind.MODIFY, change=choice)
    assert unplayable(Vector(name="x", entries=SHOP, steps=(write,))) == told


def test_an_outer_source_port_must_be_a_dynamic_one() -> None:
    """Another would be a fault, so it is shown."""
    level = Bmv2Level(SOURCE, FakeSwitch(), PORTS)
    port, frame = FRAMES["routed v4"]
    outcome = InterpreterLevel(SOURCE)
    outcome.insert(*SHOP.members, *SHOP.groups, *SHOP.table_entries)
    sent = outcome.process(PacketIn(port=port, frame=frame))
    assert level.as_shown(sent).packet[34:36] == b"\0\0"
    low = replace(sent, packet=sent.packet[:34] + b"\x12\x34" + sent.packet[36:])
    assert level.as_shown(low).packet == low.packet
