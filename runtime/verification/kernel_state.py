"""What a loaded program shows: the last packet's outcome and look-ups, learned entries, counters, and its flaws.

Reads maps alone; what goes into them is for `kernel_level`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import ActionCall, Exact
from compiler.ir.interpreter import Copy, LearnedEntry, Outcome, SentDigest, Tally, VerdictKind
from compiler.ir.nodes import Pipeline
from compiler.printers.layout import COUNTER, Layout, MapLayout, Slot, StoreLayout
from compiler.printers.layout_replication import MAX_REPLICAS
from compiler.printers.layout_values import action_layout
from compiler.printers.store_programs import store_programs
from runtime.bpf.maps import Map
from runtime.bpf.object import Object
from runtime.bpf.ringbuf import RingReader
from runtime.device.kernel.packetins import PACKET_INS, PacketIn, read_packet_in
from runtime.device.kernel.upcallrings import DIGESTS, read_digest
from runtime.verification.levels import Contradiction, Lookup, ShowsAll
from runtime.verification.offloads import joined
from runtime.verification.wholeness import flaws

TRACE = "trace"
"""The map of look-ups (trace.h)."""
_U32, _U64, _OUTCOME = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("<8I")
_TRACE = struct.Struct("=127I")
"""How many look-ups there were, then of each the table's id and the action's number, 0 for a miss."""
MOST_RECORDS = 300
COPIES = "copies"
"""The map of where copies went (replicate.h)."""
_COPIES = struct.Struct(f"=IH{2 * MAX_REPLICAS}H")
_VERDICTS = (
    VerdictKind.TO_KERNEL,
    VerdictKind.FORWARD,
    VerdictKind.REPLY,
    VerdictKind.DROP,
    VerdictKind.PUNT,
    VerdictKind.MULTICAST,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What the program leaves in its scratch memory of a packet. `tag`: what stands in metadata of the 802.1Q tag."""

    kind: VerdictKind
    egress_port: int
    drop_reason: int
    tag: int


class KernelState(ShowsAll):
    """The reading half of a level. `is_traced`: the program writes its look-ups down."""

    def __init__(self, pipeline: Pipeline, layout: Layout, loaded: Object, *, is_traced: bool) -> None:
        self.pipeline, self.layout = pipeline, layout
        self._object, self._is_traced = loaded, is_traced
        self._packet_ins: RingReader | None = None
        self._copied: list[PacketIn] = []
        self._digests: RingReader | None = None
        self.asked: dict[str, int] = {}
        """How many of an indexed counter someone has looked at."""

    def map(self, name: str) -> Map:
        return self._object.map(name)

    def lookups(self) -> tuple[Lookup, ...] | None:
        if not self._is_traced:
            return None
        count, *words = _TRACE.unpack(self.map(TRACE).lookup(_U32.pack(0)) or b"")
        pairs = zip(words[::2], words[1::2], strict=True)
        return tuple(self._lookup(table, action) for table, action in islice(pairs, count))

    def _lookup(self, table_id: int, number: int) -> Lookup:
        table = next(table for table in self.pipeline.tables if table.id == table_id)
        action = next((a.name for a in self.pipeline.actions if action_layout(a).number == number), None)
        return Lookup(table=table.name, action=action if number else None)

    def flaws(self) -> tuple[str, ...]:
        found: list[str] = []
        for store in self.layout.stores:
            name = store.store.name
            events = store_programs(name).events
            counted = {index: self._event(events, index) for index in range(events.max_entries)}
            with self.map(name).memory() as memory:
                slots = bytes(memory[: store.map.value_size * store.map.max_entries])
                found += flaws(store, slots, counted, self._counts(store))
        return tuple(found)

    def _counts(self, store: StoreLayout) -> dict[int, int] | None:
        """How many entries count for each number of a member, where any does; those with none left out."""
        if store.counts is None:
            return None
        with self.map(store.counts.name).memory() as memory:
            counts = bytes(memory)[: _U64.size * store.counts.max_entries]
        return {number: count for number, (count,) in enumerate(_U64.iter_unpack(counts)) if count}

    def _event(self, events: MapLayout, index: int) -> int:
        held = self.map(events.name)
        raw = held.lookup(_U32.pack(index))
        assert raw is not None
        return sum(_U64.unpack_from(value)[0] for value in held.split_per_cpu(raw))

    def scratch(self, cpu: int) -> bytes:
        """The program's memory for a packet, as the last one on a CPU has left it."""
        scratch = self.map("scratch")
        raw = scratch.lookup(_U32.pack(0))
        assert raw is not None
        return scratch.split_per_cpu(raw)[cpu]

    def read_outcome(self, cpu: int) -> Left:
        """What the program has noted of the last packet on a CPU; test runs and wires do not show it."""
        fields: tuple[int, ...] = _OUTCOME.unpack_from(self.scratch(cpu))
        verdict, egress_port, drop_reason, tag = *fields[:3], fields[7]
        return Left(kind=_VERDICTS[verdict], egress_port=egress_port, drop_reason=drop_reason, tag=tag)

    def outcome(self, left: Left, frame: bytes) -> Outcome:
        """With the bytes that came out; a tag that is in metadata is put in."""
        if left.kind is VerdictKind.PUNT:
            return self._punted()
        if left.kind is VerdictKind.DROP:
            return Outcome(verdict=left.kind, packet=b"", drop_reason=self._reason(left.drop_reason))
        if left.kind is VerdictKind.MULTICAST:
            return Outcome(verdict=left.kind, packet=b"")
        if left.tag:
            frame = frame[:12] + b"\x81\0" + (left.tag & 0xFFFF).to_bytes(2, "big") + frame[12:]
        leaves = left.kind in (VerdictKind.FORWARD, VerdictKind.REPLY)
        return Outcome(verdict=left.kind, packet=frame, egress_port=left.egress_port if leaves else None)

    def sent_digests(self) -> tuple[SentDigest, ...]:
        """Those that the device has not taken yet, which this does."""
        if not self.layout.digests:
            return ()
        if self._digests is None:
            self._digests = RingReader(self.map(DIGESTS))
        read = (read_digest(record, self.layout.digests) for record in self._digests.take(MOST_RECORDS))
        return tuple(SentDigest(digest=self.pipeline.digests[place].name, values=values) for place, values in read)

    def close_rings(self) -> None:
        for ring in (self._packet_ins, self._digests):
            if ring is not None:
                ring.close()

    def _punted(self) -> Outcome:
        """What the device would tell the controller: the one record in the ring."""
        packets = self._take_packets()
        if len(packets) != 1:
            raise Contradiction(f"{len(packets)} packets for the controller, not one")
        packet = packets[0]
        return Outcome(
            verdict=VerdictKind.PUNT,
            packet=_whole(packet),
            drop_reason=self._reason(packet.full),
            packet_in=packet.values,
        )

    def _take_packets(self) -> list[PacketIn]:
        """Those for the controller; the copies that the device would send are kept for `copies`."""
        assert self.layout.packet_in is not None
        if self._packet_ins is None:
            self._packet_ins = RingReader(self.map(PACKET_INS))
        said, records = self.layout.packet_in, self._packet_ins.take(MOST_RECORDS)
        packets = [read_packet_in(record, said) for record in records]
        self._copied += [packet for packet in packets if packet.port]
        return [packet for packet in packets if not packet.port]

    def copies(self, show: Callable[[int, bool], bytes]) -> tuple[Copy, ...]:
        """Copies of the last packet; `show` gives the bytes of one that the program sends: its port, is it a clone."""
        if self.layout.replication is None:
            return ()
        self._take_packets()
        held, found = self.map(COPIES), list[Copy]()
        count, clones, *ports = _COPIES.unpack((held.lookup(_U32.pack(0)) or b"")[: _COPIES.size])
        held.update(_U32.pack(0), bytes(held.details.buffer_size))
        for at, port in enumerate(ports[:count]):
            if self._copied and self._copied[0].port == port:
                packet = self._copied.pop(0)
                said = packet.values if port == CPU_PORT else None
                found.append(Copy(port=port, instance=0, packet=_whole(packet), packet_in=said))
            else:
                found.append(Copy(port=port, instance=0, packet=show(port, at < clones)))
        return tuple(found)

    def as_shown(self, outcome: Outcome) -> Outcome:
        """Nothing in the kernel says which instance a copy is."""
        return replace(outcome, copies=tuple(replace(copy, instance=0) for copy in outcome.copies))

    def _reason(self, number: int) -> str:
        found = next((r.name for r in self.pipeline.drop_reasons if r.id == number), None)
        return found or f"unable ({number})"

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        store = self.layout.store_of(table)
        profiles = {profile.id: profile.name for profile in store.store.profiles}
        found: list[LearnedEntry] = []
        for slot in self._slots(store, store.learned_table(table).index):
            found.append(
                LearnedEntry(
                    table=table,
                    matches=tuple(Exact(value=value) for value in slot.key),
                    action=ActionCall(action=slot.table.action.name, arguments=slot.arguments),
                    profile=profiles[slot.head.profile],
                    seen_ms=slot.head.seen_ms,
                    packets=slot.head.packets,
                    bytes=slot.head.bytes,
                )
            )
        return tuple(found)

    def _slots(self, store: StoreLayout, table: int) -> Iterator[Slot]:
        """Those in use for a table, by its number, in their order. Most of a large store are free, and not decoded."""
        size, table_at = store.map.value_size, store.head_offset + 4
        with self.map(store.map.name).memory() as memory:
            for index, number in enumerate(memory[table_at::size]):
                slot = store.decode_slot(memory[index * size : (index + 1) * size]) if number == table else None
                if slot is not None:
                    yield slot

    def indexed_counters(self, counter: str, indices: range) -> tuple[Tally, ...]:
        self.asked[counter] = max(self.asked.get(counter, 0), indices.stop)
        return tuple(self.tally(self.layout.counter(counter).map, index) for index in indices)

    def tally(self, counters: MapLayout, index: int) -> Tally:
        """The sum over all CPUs."""
        held = self.map(counters.name)
        raw = held.lookup(_U32.pack(index))
        assert raw is not None
        values = [COUNTER.decode(value[: COUNTER.size]) for value in held.split_per_cpu(raw)]
        return Tally(sum(packets for packets, _ in values), sum(count for _, count in values))


def _whole(packet: PacketIn) -> bytes:
    return packet.frames[0] if len(packet.frames) == 1 else joined(packet.frames)
