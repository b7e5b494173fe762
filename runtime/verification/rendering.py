"""Packets, outcomes and differences as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from compiler.ir.entries import ActionCall, EntryKey, GroupRef, MemberRef, TableEntry
from compiler.ir.formats import match_to_text, number_to_text
from compiler.ir.interpreter import LearnedEntry, Outcome, Tally, VerdictKind, trace
from compiler.ir.names import Names
from compiler.span import NOWHERE
from runtime.verification.levels import Lookup
from runtime.verification.parting import Parting
from runtime.verification.vector import PacketIn, Step

SHOWN_STEPS = 12
SHOWN_ENTRIES = 3
SHOWN_BYTES = 160


def packet_text(packet: PacketIn) -> str:
    """Two lines: what it is, its bytes."""
    about = f"{packet.about}: " if packet.about else ""
    return f"{about}{Ether(packet.frame).summary()}, by port {packet.port}\n{packet.frame.hex()}"


def outcome_text(outcome: Outcome) -> str:
    """As in `forward to port 17: Ether / IP / TCP ...`, `drop: no_backend`."""
    shown = f": {Ether(outcome.packet).summary()}" if outcome.packet else ""
    match outcome.verdict:
        case VerdictKind.TO_KERNEL:
            return f"to the kernel{shown}"
        case VerdictKind.DROP:
            return f"drop: {outcome.drop_reason}"
        case VerdictKind.PUNT:
            return f"to the controller with {outcome.packet_in}{shown}"
        case VerdictKind.MULTICAST:
            return f"to ports {', '.join(str(copy.port) for copy in outcome.copies)}{shown}"
        case VerdictKind.FORWARD | VerdictKind.REPLY:
            return f"{outcome.verdict.value} to port {outcome.egress_port}{shown}"


def outcome_difference(wanted: Outcome, got: Outcome) -> str:
    """What is not the same, in a line."""
    if (wanted.verdict, wanted.drop_reason) != (got.verdict, got.drop_reason):
        return f"{_verdict(got)} instead of {_verdict(wanted)}"
    parts = [f"port {got.egress_port} instead of {wanted.egress_port}"] if got.egress_port != wanted.egress_port else []
    if got.digests != wanted.digests:
        parts.append(f"digests: {got.digests} instead of {wanted.digests}")
    if got.copies != wanted.copies:
        parts.append(f"copies: {got.copies} instead of {wanted.copies}")
    if got.packet_in != wanted.packet_in:
        parts.append(f"the controller is told {got.packet_in} instead of {wanted.packet_in}")
    if got.packet != wanted.packet:
        parts.append(f"bytes: {bytes_difference(wanted.packet, got.packet)}")
    return "; ".join(parts)


def _verdict(outcome: Outcome) -> str:
    return f"drop ({outcome.drop_reason})" if outcome.verdict is VerdictKind.DROP else outcome.verdict.value


def bytes_difference(wanted: bytes, got: bytes) -> str:
    """Length, the first byte, and the fields as Scapy names them."""
    pairs = enumerate(zip(wanted, got, strict=False))
    at = next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(wanted), len(got)))
    length = f"{len(got)} instead of {len(wanted)}, " if len(got) != len(wanted) else ""
    fields = ", ".join(_field_differences(Ether(wanted), Ether(got)))
    return f"{length}from byte {at} on{f' ({fields})' if fields else ''}"


def _field_differences(wanted: Packet, got: Packet) -> Iterator[str]:
    """Layer by layer, while they are of one kind."""
    for ours, theirs in zip(wanted.iterpayloads(), got.iterpayloads(), strict=False):
        if type(ours) is not type(theirs):
            yield f"{theirs.name} instead of {ours.name}"
            return
        for field in ours.fields_desc:
            before, after = ours.getfieldval(field.name), theirs.getfieldval(field.name)
            if before != after and field.name != "load":
                yield f"{ours.name} {field.name} {after} instead of {before}"


def entry_text(entry: TableEntry, names: Names) -> str:
    """Table, key, action, and the policy line behind it."""
    match entry.action:
        case ActionCall():
            params = names.actions[entry.action.action].params
            values = zip(params, entry.action.arguments, strict=True)
            given = ", ".join(f"{p.name}={number_to_text(value, p.format)}" for p, value in values)
            action = f"{entry.action.action}({given})"
        case MemberRef(member_id=member):
            action = f"member {member}"
        case GroupRef(group_id=group):
            action = f"group {group}"
    source = f"  [{entry.span}]" if entry.span != NOWHERE else ""
    return f"{key_text(entry.key, names)}: {action}{source}"


def key_text(key: EntryKey, names: Names) -> str:
    """As in `table route_ipv4 (network=1, dst=10.0.0.0/8)`."""
    pairs = zip(names.tables[key.table].keys, key.matches, strict=True)
    return f"table {key.table} ({', '.join(f'{k.name}={match_to_text(m, k.format)}' for k, m in pairs)})"


def learned_text(entry: LearnedEntry, names: Names) -> str:
    call = TableEntry(table=entry.table, matches=entry.matches, action=entry.action)
    counted = tally_text(Tally(entry.packets, entry.bytes))
    return f"{entry_text(call, names)} as {entry.profile}, seen at {entry.seen_ms} ms, {counted}"


def tally_text(tally: Tally) -> str:
    return f"{tally.packets} packets, {tally.bytes} bytes"


def trace_lines(steps: Sequence[trace.TraceStep], packet: bytes) -> Iterator[str]:
    """The steps and what came of them."""
    yield from (f"  {step}" for step in steps)
    yield from _bytes_lines(packet)


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    yield f"  {outcome_text(outcome)}"
    yield from _bytes_lines(outcome.packet)


def _bytes_lines(packet: bytes) -> Iterator[str]:
    if packet:
        yield f"  {packet.hex()}"


def parting_lines(
    parting: Parting, level: str, entries: Sequence[TableEntry], names: Names, packet: bytes
) -> Iterator[str]:
    """The last step that both made, then each side from there on.

    `entries` are those that the tables hold, `packet` is what the interpreter makes of it.
    """
    if parting.common:
        yield f"both: {', '.join(_short(lookup) for lookup in parting.common)}"
    if parting.last is not None:
        yield f"the last that both did:\n  {parting.last}"
    yield "interpreter, from there:"
    yield from trace_lines(parting.steps, packet)
    yield f"{level}, from there:"
    asked = next((step for step in parting.steps if isinstance(step, trace.Hit | trace.Missed)), None)
    for number, lookup in enumerate(parting.lookups):
        yield from _lookup_lines(lookup, asked if number == 0 else None, entries, names)


def _short(lookup: Lookup) -> str:
    return f"{lookup.table} {lookup.action or 'miss'}"


def _lookup_lines(
    lookup: Lookup, asked: trace.Hit | trace.Missed | None, entries: Sequence[TableEntry], names: Names
) -> Iterator[str]:
    """A program shows table and action alone: the entry is the one, or one of the few, nearest to what is asked."""
    key = asked.key if asked is not None and asked.table == lookup.table else ()
    wanted = ", ".join(f"{name}={value}" for name, value in key)
    yield f"  {lookup}" + (f" (where the interpreter asks for {wanted})" if wanted else "")
    found = [entry for entry in entries if _may_be(entry, lookup)] if lookup.action is not None else []
    nearest = max((_shared(entry, key, names) for entry in found), default=0)
    found = [entry for entry in found if _shared(entry, key, names) == nearest]
    if len(found) <= SHOWN_ENTRIES:
        yield from (f"    perhaps {entry_text(entry, names)}" for entry in found)


def _shared(entry: TableEntry, key: trace.NamedTexts, names: Names) -> int:
    """How many parts of its key an entry has in common with what is asked."""
    own = zip(names.tables[entry.table].keys, entry.matches, strict=True)
    return len({(part.name, match_to_text(match, part.format)) for part, match in own} & set(key))


def _may_be(entry: TableEntry, lookup: Lookup) -> bool:
    return entry.table == lookup.table and (
        not isinstance(entry.action, ActionCall) or entry.action.action == lookup.action
    )


def done_lines(done: Sequence[Step]) -> Iterator[str]:
    """The last steps, a line each."""
    left_out = len(done) - SHOWN_STEPS
    if left_out > 0:
        yield f"  ({left_out} steps)"
    for step in done[-SHOWN_STEPS:]:
        text = str(step)
        yield f"  {text if len(text) <= SHOWN_BYTES else text[:SHOWN_BYTES] + '...'}"


def accepted_lines(packet: PacketIn) -> Iterator[str]:
    """What the packet's vector accepts, if it says so."""
    if packet.accepted:
        yield "accepted:"
    for accepted in packet.accepted:
        port = "" if accepted.egress_port is None else f" to port {accepted.egress_port}"
        reason = "" if accepted.drop_reason is None else f": {accepted.drop_reason}"
        yield f"  {accepted.verdict.value}{port}{reason}"
        yield from _bytes_lines(accepted.packet or b"")


def learned_lines(
    wanted: Sequence[LearnedEntry], got: Sequence[LearnedEntry], level: str, names: Names
) -> Iterator[str]:
    ours, theirs = ([learned_text(entry, names) for entry in side] for side in (wanted, got))
    return set_lines(ours, theirs, level)


def counter_lines(wanted: Sequence[Tally], got: Sequence[Tally], level: str) -> Iterator[str]:
    ours, theirs = ([f"[{at}]: {tally_text(tally)}" for at, tally in enumerate(side)] for side in (wanted, got))
    return set_lines(ours, theirs, level)


def set_lines(wanted: Sequence[str], got: Sequence[str], level: str) -> Iterator[str]:
    """What only one side has."""
    for who, ours, theirs in (("interpreter", wanted, got), (level, got, wanted)):
        only = [text for text in ours if text not in theirs]
        if only:
            yield f"only {who}:"
            yield from (f"  {text}" for text in only)
    if sorted(wanted) == sorted(got):
        yield "the same, in another order"
