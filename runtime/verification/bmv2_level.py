"""BMv2 as a level: what the printed P4 does in a switch that nobody here wrote.

Shows less than others (docs/target-semantics.md): where a packet comes out, not whether it was forwarded or answered;
of learned entries neither age nor profile; a tunnel's outer source port and the backend of many are its own choice.
Learns by digest: this level is the control plane, and inserts them before each packet that is *settled*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from finsy.proto import p4r

from compiler.ir.entries import ActionCall, EntryKey, Exact, Group, GroupRef, Member, TableEntry
from compiler.ir.interpreter import LearnedEntry, Outcome, Tally, VerdictKind
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.pipeline.portable import portable
from compiler.printers.p4.v1model import KERNEL_PORT
from compiler.printers.v1model_p4info import v1model_p4info
from runtime.client.plan import Kind
from runtime.verification.levels import COMPARED_INDICES, Lookup
from runtime.verification.offloads import VXLAN_PORT
from runtime.verification.vector import Change, PacketIn, Reload, Step, Sweep, Vector, Write, in_order

DIGEST_TIMEOUT_S = 0.1
OUTER_SOURCE_PORT, OUTER_DESTINATION_PORT = slice(34, 36), slice(36, 38)
SMALLEST_SOURCE_PORT = 0xC000


class Device(Protocol):
    """What `bmv2_switch.Switch` does."""

    def write(self, kind: Kind, entities: Iterable[Change]) -> None: ...

    def exchange(self, port: int, packet: bytes, *, is_dropped: bool = False) -> tuple[int, bytes] | None: ...

    def digests(self, timeout_s: float) -> Iterator[p4r.DigestList]: ...

    def direct_counter(self, entry: TableEntry) -> Tally: ...

    def indexed_counters(self, counter: str, indices: Sequence[int]) -> tuple[Tally, ...]: ...


class Bmv2Level:
    """On a device with digests enabled. A port that it was not started with takes no packet."""

    name = "BMv2"

    def __init__(self, pipeline: Pipeline, device: Device, ports: Iterable[int]) -> None:
        self.pipeline = pipeline
        self._names = Names(pipeline)
        self._device, self._ports = device, frozenset(ports)
        self._entries: dict[EntryKey, TableEntry] = {}
        self._groups: dict[tuple[str, int], Group] = {}
        self._members: dict[tuple[str, int], Member] = {}
        self._learned: dict[EntryKey, TableEntry] = {}
        self._counted: dict[str, tuple[Tally, ...]] = {}
        """What each counter had counted when this began anew."""
        self._drops: dict[int, Tally] = {}

    def clear(self) -> None:
        self.settle()
        self._device.write(Kind.DELETE, self._learned.values())
        self._device.write(Kind.DELETE, [entry for entry in self._entries.values() if self._is_written(entry)])
        self._device.write(Kind.DELETE, [group for group in self._groups.values() if group.members])
        self._device.write(Kind.DELETE, self._members.values())
        for held in (self._learned, self._entries, self._groups, self._members):
            held.clear()
        for counter in self.pipeline.counters:
            count = max(COMPARED_INDICES, len(self._counted.get(counter.name, ())))
            indices = range(min(counter.size, count))
            self._counted[counter.name] = self._device.indexed_counters(counter.name, indices)
        self._drops = self._counted_drops()

    def insert(self, *changes: Change) -> None:
        for change in changes:
            match change:
                case TableEntry():
                    self._entries[change.key] = change
                    if self._is_written(change):
                        self._device.write(Kind.INSERT, [change])
                case Member():
                    self._members[change.selector, change.id] = change
                    self._device.write(Kind.INSERT, [change])
                case Group():
                    self._change_group(change)

    def modify(self, change: Change) -> None:
        match change:
            case TableEntry():
                self.delete(change)
                self.insert(change)
            case Member():
                self._members[change.selector, change.id] = change
                self._device.write(Kind.MODIFY, [change])
            case Group():
                self._change_group(change)

    def delete(self, change: Change) -> None:
        match change:
            case TableEntry():
                held = self._entries[change.key]
                if self._is_written(held):
                    self._device.write(Kind.DELETE, [held])
                del self._entries[change.key]
            case Member():
                self._device.write(Kind.DELETE, [self._members.pop((change.selector, change.id))])
            case Group():
                self._change_group(replace(change, members=()))
                del self._groups[change.selector, change.id]

    def set_time(self, now_ms: int, beyond_ns: int = 0) -> None:
        """Its clock is its own; nothing here depends on it but ages, which the control plane looks after."""

    def sweep(self) -> None:
        raise AssertionError("BMv2 takes no sweep")

    def reload(self, *, is_fitting: bool) -> None:  # noqa: ARG002  the protocol's name
        raise AssertionError("BMv2 has no other program")

    def settle(self) -> None:
        """Insert what the switch has told since."""
        for message in self._device.digests(DIGEST_TIMEOUT_S):
            new = [entry for entry in learned_entries(self._names, message) if entry.key not in self._learned]
            self._device.write(Kind.INSERT, new)
            self._learned.update({entry.key: entry for entry in new})

    def takes(self, step: Step, /) -> bool:
        match step:
            case PacketIn():
                return step.port in self._ports and not step.gso_size
            case Reload() | Sweep():
                return False
            case _:
                return True

    def process(self, packet: PacketIn) -> Outcome:
        seen = self._device.exchange(packet.port, packet.frame)
        if seen is None:
            return Outcome(verdict=VerdictKind.DROP, packet=b"", drop_reason=self._drop_reason())
        port, frame = seen
        if port == KERNEL_PORT:
            return Outcome(verdict=VerdictKind.TO_KERNEL, packet=frame)
        if port == packet.port:  # what is refused counts with the drops
            self._drops = self._counted_drops()
        return self.as_shown(Outcome(verdict=VerdictKind.FORWARD, packet=frame, egress_port=port))

    def lookups(self) -> tuple[Lookup, ...] | None:
        return None

    def flaws(self) -> tuple[str, ...]:
        return ()

    def as_shown(self, outcome: Outcome) -> Outcome:
        if outcome.egress_port is None:
            return outcome
        return replace(outcome, verdict=VerdictKind.FORWARD, packet=_without_source_port(outcome.packet))

    def learned_as_shown(self, entries: tuple[LearnedEntry, ...]) -> tuple[LearnedEntry, ...]:
        return tuple(sorted((replace(e, profile="", seen_ms=0) for e in entries), key=repr))

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        self.settle()
        held = [entry for entry in self._learned.values() if entry.table == table]
        return self.learned_as_shown(tuple(self._as_learned(entry) for entry in held))

    def direct_counter(self, key: EntryKey) -> Tally:
        entry = self._entries[key]
        return self._device.direct_counter(entry) if self._is_written(entry) else Tally(0, 0)

    def indexed_counters(self, counter: str, indices: range) -> tuple[Tally, ...]:
        before = self._counted[counter]
        self._counted[counter] = (*before, *(len(indices) - len(before)) * (Tally(0, 0),))
        found = zip(self._device.indexed_counters(counter, indices), self._counted[counter], strict=False)
        return tuple(_less(now, then) for now, then in found)

    def _is_written(self, entry: TableEntry) -> bool:
        """BMv2 refuses an entry to an empty group; without it the table misses, as the pipeline means it."""
        if not isinstance(entry.action, GroupRef):
            return True
        selector = self._names.tables[entry.table].selector
        assert selector is not None
        return bool(self._groups[selector.name, entry.action.group_id].members)

    def _change_group(self, group: Group) -> None:
        before = self._groups.get((group.selector, group.id), replace(group, members=()))
        if before.members and not group.members:
            self._device.write(Kind.DELETE, self._entries_of(group))
            self._device.write(Kind.DELETE, [before])
        self._groups[group.selector, group.id] = group
        if before.members and group.members:
            self._device.write(Kind.MODIFY, [group])
        elif group.members:
            self._device.write(Kind.INSERT, [group])
            self._device.write(Kind.INSERT, self._entries_of(group))

    def _entries_of(self, group: Group) -> list[TableEntry]:
        tables = {t.name for t in self.pipeline.tables if t.selector is not None and t.selector.name == group.selector}
        to_it = GroupRef(group_id=group.id)
        return [entry for entry in self._entries.values() if entry.table in tables and entry.action == to_it]

    def _drop_reason(self) -> str | None:
        """The one whose counter has gone on since the last drop."""
        seen, self._drops = self._drops, self._counted_drops()
        return next((r.name for r in self.pipeline.drop_reasons if self._drops[r.id] != seen[r.id]), None)

    def _counted_drops(self) -> dict[int, Tally]:
        ids = [reason.id for reason in self.pipeline.drop_reasons]
        return dict(zip(ids, self._device.indexed_counters(self.pipeline.drop_counter, ids), strict=True))

    def _as_learned(self, entry: TableEntry) -> LearnedEntry:
        assert isinstance(entry.action, ActionCall)
        packets, size = self._device.direct_counter(entry)
        return LearnedEntry(
            table=entry.table,
            matches=tuple(match for match in entry.matches if isinstance(match, Exact)),
            action=entry.action,
            profile="",
            seen_ms=0,
            packets=packets,
            bytes=size,
        )


def unplayable(vector: Vector) -> str | None:
    """Why no two targets need agree on a vector that has a choice among backends; None when it has none."""
    written = (step.change for step in vector.steps if isinstance(step, Write))
    for change in (*in_order(vector.entries), *written):
        if isinstance(change, Group) and len(change.members) > 1:
            return f"group {change.id} of {change.selector} has {len(change.members)} members, any of which is right"
    return None


def learned_entries(names: Names, message: p4r.DigestList) -> Iterator[TableEntry]:
    """The entries that digests tell: of each table key, arguments, profile."""
    info = next(d for d in v1model_p4info(portable(names.pipeline)).digests if d.preamble.id == message.digest_id)
    for data in message.data:
        values = iter([int.from_bytes(member.bitstring, "big") for member in data.struct.members])
        for table in portable(names.pipeline).tables:
            if table.store is not None and info.preamble.name == f"learn_{table.store}":
                action = next(ref.name for ref in table.actions if ref.in_entries)
                matches = tuple(Exact(value=next(values)) for _ in table.keys)
                arguments = tuple(next(values) for _ in names.actions[action].params)
                next(values)
                yield TableEntry(
                    table=table.name, matches=matches, action=ActionCall(action=action, arguments=arguments)
                )


def _without_source_port(packet: bytes) -> bytes:
    """Of a tunnel's outer header, as docs/p4.md promises of it only that it is one of the dynamic ports."""
    is_tunnel = packet[12:15] == b"\x08\x00\x45" and packet[23:24] == b"\x11"
    if not is_tunnel or packet[OUTER_DESTINATION_PORT] != VXLAN_PORT.to_bytes(2, "big"):
        return packet
    if int.from_bytes(packet[OUTER_SOURCE_PORT], "big") < SMALLEST_SOURCE_PORT:
        return packet
    return packet[: OUTER_SOURCE_PORT.start] + b"\0\0" + packet[OUTER_SOURCE_PORT.stop :]


def _less(now: Tally, before: Tally) -> Tally:
    return Tally(now.packets - before.packets, now.bytes - before.bytes)
