"""The printed C in the kernel, in the shape of the interpreter: entries in, packets through, outcomes and state out.

Each packet is a BPF_PROG_TEST_RUN with the clock of the test. What the kernel does not show of a test run (where a
packet went, why it was dropped, the VLAN tag in metadata) is read from the program's scratch memory.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import TracebackType

from compiler.ir.entries import ActionCall, EntryKey, Exact, Group, GroupRef, Member, MemberRef, TableEntry
from compiler.ir.interpreter import LearnedEntry, Outcome, Tally, VerdictKind
from compiler.ir.maglev import build_ring
from compiler.ir.nodes import Pipeline
from compiler.printers.ebpf.printing import print_c
from compiler.printers.layout import COUNTER, GroupSlice, Layout, MapLayout, TableLayout, layout
from runtime.bpf.attach import Attachment
from runtime.bpf.maps import Map
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.testrun import SkbContext, pinned_to_cpu, run_skb, run_xdp
from runtime.build import Hook, compile_source

RING_SLOTS = 1 << 16
LOOPBACK = 1
FIRST_IFINDEX = 1000
_U32, _OUTCOME = struct.Struct("<I"), struct.Struct("<8I")
_VERDICTS = (VerdictKind.TO_KERNEL, VerdictKind.FORWARD, VerdictKind.REPLY, VerdictKind.DROP)
_CODES = {
    Hook.TC: {VerdictKind.TO_KERNEL: -1, VerdictKind.FORWARD: 7, VerdictKind.REPLY: 7, VerdictKind.DROP: 2},
    Hook.XDP: {VerdictKind.TO_KERNEL: 2, VerdictKind.FORWARD: 4, VerdictKind.REPLY: 3, VerdictKind.DROP: 1},
}
"""TCX_NEXT, TC_ACT_REDIRECT, TC_ACT_SHOT; XDP_PASS, XDP_REDIRECT, XDP_TX, XDP_DROP."""


def small(pipeline: Pipeline, slots: int = 64) -> Pipeline:
    """The pipeline with stores of so few slots that tests read them at once, and fill them."""
    return replace(pipeline, stores=tuple(replace(store, size=slots) for store in pipeline.stores))


@cache
def compiled(pipeline: Pipeline, hook: Hook) -> bytes:
    return compile_source(print_c(pipeline), hook)


@dataclass(slots=True)
class _Row:
    """Where an entry's counter is."""

    counter: int


@dataclass(slots=True)
class _Selector:
    """What a selector's maps hold: indices of members, and groups as they were given."""

    index: dict[int, int] = field(default_factory=dict[int, int])
    groups: dict[int, Group] = field(default_factory=dict[int, Group])
    used: int = 0
    """Slots of the ring in use."""


class Kernel:
    """A loaded program with its maps. Close it, or use it as a context."""

    def __init__(
        self,
        pipeline: Pipeline,
        hook: Hook,
        *,
        clock: Callable[[], int],
        hash_seed: int,
        flags: Mapping[str, int] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.hook = hook
        self.layout: Layout = layout(pipeline)
        self._clock = clock
        sizes = {t.selector.ring.name: RING_SLOTS for t in self.layout.tables if t.selector is not None}
        settings = LoadSettings(
            name="difftest",
            max_entries=sizes,
            constants={"hash_seed": hash_seed, "test_mode": 1, **(flags or {})},
        )
        self._object = load(compiled(pipeline, hook), settings)
        self.program = self._object.program(hook.value)
        self.attached: list[Attachment] = []
        """What a test has attached; taken off when this is closed."""
        self._rows: dict[str, dict[bytes, _Row]] = defaultdict(dict)
        self._selectors: dict[str, _Selector] = defaultdict(_Selector)
        self._ports: set[int] = set()

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for attachment in self.attached:
            attachment.close()
        self._object.close()

    @property
    def instruction_bytes(self) -> int:
        """Bytes of the program after the verifier took dead code out."""
        return self.program.stats.xlated_bytes

    def map(self, name: str) -> Map:
        return self._object.map(name)

    def insert(self, *changes: TableEntry | Member | Group) -> None:
        """Add what is new; nothing is checked."""
        for change in changes:
            match change:
                case TableEntry():
                    self._insert_entry(change)
                case Member():
                    self._insert_member(change)
                case Group():
                    self._selectors[change.selector].groups[change.id] = change

    def _insert_entry(self, entry: TableEntry) -> None:
        table = self.layout.table(entry.table)
        rows, key = self._rows[entry.table], table.encode_key(entry.matches)
        row = rows.setdefault(key, _Row(len(rows) + 1 if table.counters else 0))
        if table.selector is None:
            assert isinstance(entry.action, ActionCall)
            value = table.encode_value(entry.action, row.counter)
        else:
            value = table.encode_group(self._slice(table, entry.action, row.counter))
        self.map(table.map.name).update(key, value)

    def _insert_member(self, member: Member) -> None:
        selector = next(t.selector for t in self.layout.tables if t.selector and t.selector.name == member.selector)
        held = self._selectors[member.selector]
        index = held.index.setdefault(member.id, len(held.index))
        self.map(selector.members.name).update(_U32.pack(index), selector.member.encode(member.action))

    def _slice(self, table: TableLayout, action: ActionCall | MemberRef | GroupRef, counter: int) -> GroupSlice:
        """Write the ring of an entry's group or member."""
        assert table.selector is not None
        held, ring = self._selectors[table.selector.name], self.map(table.selector.ring.name)
        match action:
            case GroupRef(group_id=group_id):
                members = build_ring([(m.member_id, m.weight) for m in held.groups[group_id].members])
            case MemberRef(member_id=member_id):
                members = (member_id,)
            case ActionCall():
                raise AssertionError("a table with a selector has no actions of its own")
        offset = held.used
        for at, member in enumerate(members, offset):
            ring.update(_U32.pack(at), _U32.pack(held.index[member]))
        held.used += len(members)
        return GroupSlice(offset=offset, size=len(members), counter=counter)

    def process(self, port: int, frame: bytes) -> Outcome:
        """As `Interpreter.process`, without a trace."""
        self.map("test_clock").update(_U32.pack(0), struct.pack("<Q", self._clock()))
        self.add_port(port)
        with pinned_to_cpu() as cpu:
            if self.hook is Hook.TC:
                ran = run_skb(self.program.fd, frame, SkbContext(ingress_ifindex=FIRST_IFINDEX + port))
            else:
                self.map("port_of_ifindex").update(_U32.pack(LOOPBACK), _U32.pack(port))
                ran = run_xdp(self.program.fd, frame)
            scratch = self._scratch(cpu)
        return self._outcome(ran.verdict, ran.frame, scratch)

    def add_port(self, port: int) -> None:
        """Put an interface behind a port; ports that packets come in by have one anyway."""
        if port in self._ports:
            return
        self._ports.add(port)
        if self.hook is Hook.TC:
            self.map("port_of_ifindex").update(_U32.pack(FIRST_IFINDEX + port), _U32.pack(port))
            kind = 1 + port % 2
            self.map("egress").update(_U32.pack(port), struct.pack("<2I", FIRST_IFINDEX + port, kind))
        else:
            self.map("egress_xdp").update(_U32.pack(port), _U32.pack(LOOPBACK))

    def _scratch(self, cpu: int) -> bytes:
        scratch = self.map("scratch")
        raw = scratch.lookup(_U32.pack(0))
        assert raw is not None
        return scratch.split_per_cpu(raw)[cpu]

    def _outcome(self, code: int, frame: bytes, scratch: bytes) -> Outcome:
        fields: tuple[int, ...] = _OUTCOME.unpack_from(scratch)
        verdict, egress_port, drop_reason, tag = *fields[:3], fields[7]
        kind = _VERDICTS[verdict]
        if kind is VerdictKind.FORWARD:
            self._expect_port(egress_port, code)
        else:
            assert code == _CODES[self.hook][kind], (kind, code)
        if kind is VerdictKind.DROP:
            return Outcome(verdict=kind, packet=b"", drop_reason=self._reason(drop_reason))
        if tag:
            frame = frame[:12] + b"\x81\0" + (tag & 0xFFFF).to_bytes(2, "big") + frame[12:]
        leaves = kind in (VerdictKind.FORWARD, VerdictKind.REPLY)
        return Outcome(verdict=kind, packet=frame, egress_port=egress_port if leaves else None)

    def _expect_port(self, port: int, code: int) -> None:
        """A port that no test has made yet has no interface; then the packet is dropped, and the outcome still told."""
        dropped = _CODES[self.hook][VerdictKind.DROP]
        assert code == (_CODES[self.hook][VerdictKind.FORWARD] if port in self._ports else dropped), (port, code)

    def _reason(self, number: int) -> str:
        found = next((r.name for r in self.pipeline.drop_reasons if r.id == number), None)
        return found or f"unable ({number})"

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        """As `Model.learned`."""
        store = self.layout.store_of(table)
        profiles = {profile.id: profile.name for profile in store.store.profiles}
        found: list[LearnedEntry] = []
        memory = self.map(store.map.name).memory()
        size = store.map.value_size
        for at in range(0, store.map.max_entries * size, size):
            slot = store.decode_slot(memory[at : at + size])
            if slot is not None and slot.table.table == table:
                head = slot.head
                found.append(
                    LearnedEntry(
                        table=table,
                        matches=tuple(Exact(value=value) for value in slot.key),
                        action=ActionCall(action=slot.table.action.name, arguments=slot.arguments),
                        profile=profiles[head.profile],
                        seen_ms=head.seen_ms,
                        packets=head.packets,
                        bytes=head.bytes,
                    )
                )
        memory.close()
        return tuple(found)

    def direct_counter(self, key: EntryKey) -> Tally:
        """As `Model.direct_counter`, of a table that is not learned."""
        table = self.layout.table(key.table)
        assert table.counters is not None
        return self._tally(table.counters, self._rows[key.table][table.encode_key(key.matches)].counter)

    def indexed_counter(self, counter: str, index: int) -> Tally:
        return self._tally(self.layout.counter(counter).map, index)

    def tallies(self, counter: str, indices: Iterable[int]) -> tuple[Tally, ...]:
        return tuple(self.indexed_counter(counter, index) for index in indices)

    def _tally(self, counters: MapLayout, index: int) -> Tally:
        held = self.map(counters.name)
        raw = held.lookup(_U32.pack(index))
        assert raw is not None
        values = [COUNTER.decode(value[: COUNTER.size]) for value in held.split_per_cpu(raw)]
        return Tally(sum(packets for packets, _ in values), sum(count for _, count in values))
