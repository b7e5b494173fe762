"""Statements, for one packet on its way.

`Journey.run` returns the verdict that ended the way, or None when the statements ran to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from compiler.ir.entries import ActionCall, GroupRef, Member, MemberRef
from compiler.ir.expressions import Expr, FieldRef, Random
from compiler.ir.formats import number_to_text
from compiler.ir.interpreter import trace
from compiler.ir.interpreter.evaluation import Scope, digest, evaluate
from compiler.ir.interpreter.learning import Slot, SlotStore
from compiler.ir.interpreter.matching import Row
from compiler.ir.interpreter.model import Model
from compiler.ir.interpreter.packet import Packet
from compiler.ir.interpreter.replication import Copy, clones_of
from compiler.ir.interpreter.rewriting import compute, rewrite
from compiler.ir.seeking import sought
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Clone,
    Count,
    Drop,
    Execute,
    ExecuteDirect,
    Forward,
    If,
    Learn,
    Multicast,
    Pop,
    PopVlan,
    Punt,
    Push,
    PushVlan,
    Reply,
    Rewrite,
    Run,
    Seek,
    SendDigest,
    Statement,
    ToKernel,
    Truncate,
    Verdict,
)
from compiler.ir.tables import Selector, Table
from compiler.span import NOWHERE, InternalError, Span

ETHERTYPE_VLAN = 0x8100


@dataclass(frozen=True, slots=True)
class _Hit:
    """What a lookup found."""

    call: ActionCall
    table: str
    span: Span = NOWHERE
    slot: Slot | None = None
    group_id: int | None = None
    member_id: int | None = None
    row: Row | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDigest:
    """A digest that a packet has sent, with a value for each field, in their order."""

    digest: str
    values: tuple[int, ...]


class Journey:
    """One packet, from the end of the parser to its verdict."""

    def __init__(self, model: Model, packet: Packet, scope: Scope, record: Callable[[trace.TraceStep], None]) -> None:
        self._model = model
        self._names = model.names
        self._packet = packet
        self._scope = scope
        self._record = record
        self._missed: dict[str, tuple[int, ...]] = {}
        """The key with which each table was missed."""
        self._learned: list[Slot] = []
        self._counted: dict[str, int] = {}
        """By store, the id of the member that what the packet learns counts for."""
        self.digests: list[SentDigest] = []
        self.copies: list[Copy] = []
        self._entry: Slot | None = None
        """The learned entry whose action runs."""
        self._row: Row | None = None
        """The entry of another table whose action runs."""

    def run(self, statements: tuple[Statement, ...]) -> Verdict | None:
        for statement in statements:
            verdict = self._step(statement)
            if verdict is not None:
                return verdict
        return None

    def run_control(self, name: str) -> Verdict | None:
        self._record(trace.Ran(control=name))
        return self.run(self._names.controls[name].body)

    def _step(self, statement: Statement) -> Verdict | None:
        match statement:
            case If(condition=condition, then=then, otherwise=otherwise):
                return self.run(then if evaluate(condition, self._scope) else otherwise)
            case Apply():
                return self._apply(statement)
            case Run(control=control):
                return self.run_control(control)
            case Learn():
                return self._learn(statement)
            case Seek():
                return self._seek(statement)
            case Forward() | Reply() | ToKernel() | Drop() | Punt() | Multicast():
                return statement
            case Advance(event=event):
                self._advance(event)
            case SendDigest(digest=digest, values=values):
                self._send(digest, dict(values))
            case Clone(session=session, values=values):
                self._clone(evaluate(session, self._scope), self.said(values))
            case Count(counter=counter, index=index):
                self._count(counter, evaluate(index, self._scope))
            case Execute() | ExecuteDirect():
                self._execute(statement)
            case Assign() | Rewrite():
                self._set(statement)
            case Push() | Pop() | PushVlan() | PopVlan() | Truncate():
                self._reshape(statement)
            case _:
                assert_never(statement)
        return None

    def _apply(self, statement: Apply) -> Verdict | None:
        table = self._names.tables[statement.table]
        key = self._key_now(table)
        hit = self._find_learned(table, key) if table.store is not None else self._find(table, key)
        if hit is None:
            self._missed[table.name] = key
            call = self._default(table)
            self._record(trace.Missed(table=table.name, key=_key_text(table, key), action=call.action))
            self._act(call)
            return self.run(statement.on_miss)
        self._record(self._hit_step(table, key, hit))
        self._act(hit.call, hit.slot, hit.row)
        return self.run(statement.on_hit)

    def _key_now(self, table: Table) -> tuple[int, ...]:
        return tuple(evaluate(key.expr, self._scope) for key in table.keys)

    def _default(self, table: Table) -> ActionCall:
        """What a miss runs; one that a control plane may change counts what it is run for."""
        if table.has_const_default:
            return table.default_call
        row = self._model.match_table(table.name).default
        row.packets += 1
        row.bytes += len(self._packet.received)
        return row.entry.action if isinstance(row.entry.action, ActionCall) else table.default_call

    def _find_learned(self, table: Table, key: tuple[int, ...]) -> _Hit | None:
        store = self._model.store_of(table.name)
        slot = store.find(key)
        if slot is None:
            return None
        store.touch(slot, self._scope.now_ms, len(self._packet.received))
        return _Hit(slot.action, slot.table, slot=slot)

    def _find(self, table: Table, key: tuple[int, ...]) -> _Hit | None:
        row = self._model.match_table(table.name).lookup(key)
        if row is None:
            return None
        hit: _Hit | None = None
        if isinstance(row.entry.action, ActionCall):
            hit = _Hit(row.entry.action, table.name, row.entry.span, row=row)
        if table.selector is not None and not isinstance(row.entry.action, ActionCall):
            reference = row.entry.action
            member = self._given(table.selector, reference)
            if member is not None:
                group_id = reference.group_id if isinstance(reference, GroupRef) else None
                hit = _Hit(member.action, table.name, row.entry.span, group_id=group_id, member_id=member.id, row=row)
        if hit is not None:
            row.see(self._scope.now_ms, len(self._packet.received))
        return hit

    def _given(self, selector: Selector, reference: MemberRef | GroupRef) -> Member | None:
        """The member that the packet gets, and that what it learns counts for."""
        member = self._picked(selector, reference)
        if member is not None and selector.fewest is not None:
            self._counted[selector.fewest.store] = member.id
        return member

    def _picked(self, selector: Selector, reference: MemberRef | GroupRef) -> Member | None:
        selection, turns, fewest = self._model.selection(selector.name), selector.turns, selector.fewest
        if fewest is not None and evaluate(fewest.asked, self._scope):
            counts = self._model.slots_of(fewest.store).counts()
            return selection.pick_fewest(reference, evaluate(Random(width_bits=32), self._scope), counts)
        if turns is not None and evaluate(turns.asked, self._scope):
            return selection.pick_in_turn(reference, evaluate(turns.cell, self._scope))
        return selection.pick(reference, digest(selector.inputs, self._scope))

    def _act(self, call: ActionCall, entry: Slot | None = None, row: Row | None = None) -> None:
        """Run an action: of a learned entry, of one that a control plane wrote, or of neither."""
        action = self._names.actions[call.action]
        self._scope.arguments = dict(zip((p.name for p in action.params), call.arguments, strict=True))
        self._entry, self._row = entry, row
        if self.run(action.body) is not None:
            raise InternalError(f"action {action.name} gives a verdict")
        self._scope.arguments, self._entry, self._row = {}, None, None

    def _learn(self, statement: Learn) -> Verdict | None:
        table = self._names.tables[statement.table]
        key = self._key_now(table) if statement.renews else self._missed.get(table.name)
        if key is None:
            raise InternalError(f"{statement.span}: {table.name} learns a key that it has not missed")
        arguments = tuple(evaluate(argument, self._scope) for argument in statement.arguments)
        call = ActionCall(action=statement.action, arguments=arguments)
        store = self._model.store_of(table.name)
        profile = evaluate(statement.profile, self._scope)
        if statement.renews and (slot := store.renew(table.name, key, call, profile, self._scope.now_ms)) is not None:
            self._record_learned(table, slot, is_renewed=True)
            return None
        learned_before = () if statement.renews else self._learned
        kept = [slot.index for slot in learned_before if self._model.store_of(slot.table) is store]
        counted = self._counted.pop(store.store.name, None) if statement.counted else None
        result = store.learn(table.name, key, call, profile, self._scope.now_ms, kept, counted)
        for slot, why in result.left:
            self._record_eviction(slot, why)
        if result.slot is None:
            self._record(trace.Full(table=table.name, key=_key_text(table, key)))
            if not statement.renews:
                self._unlearn(store)
            return self.run(statement.on_full)
        if not statement.renews:
            self._learned.append(result.slot)
        self._record_learned(table, result.slot, is_renewed=False)
        return None

    def _seek(self, statement: Seek) -> Verdict | None:
        table, target = self._names.tables[statement.table], statement.target
        store, width = self._model.store_of(table.name), target.width_bits
        number = evaluate(Random(width_bits=32), self._scope)
        values = (evaluate(target, self._scope), *sought(number, width, statement.first, statement.tries))
        for tried, value in enumerate(values, 1):
            self._scope.metadata[target.name] = value
            key = self._key_now(table)
            is_free = store.find(key) is None
            if is_free or tried == len(values):
                self._record(trace.Sought(table=table.name, key=_key_text(table, key), is_free=is_free, tried=tried))
            if is_free:
                self._missed[table.name] = key
                return self.run(statement.on_other) if tried > 1 else None
        return self.run(statement.on_none)

    def _record_learned(self, table: Table, slot: Slot, *, is_renewed: bool) -> None:
        self._record(
            trace.Learned(
                table=table.name,
                key=_key_text(table, slot.key),
                action=slot.action.action,
                arguments=self._argument_text(slot.action),
                profile=slot.profile.name,
                slot=slot.index,
                is_renewed=is_renewed,
            )
        )

    def _unlearn(self, store: SlotStore) -> None:
        """What was learned in a store for this packet leaves, since its pair cannot be had."""
        for slot in [slot for slot in self._learned if self._model.store_of(slot.table) is store]:
            store.remove(slot)
            self._learned.remove(slot)
            self._record_eviction(slot, "its pair cannot be learned")

    def _advance(self, event: str) -> None:
        if self._entry is None:
            return
        store = self._model.store_of(self._entry.table)
        for slot, before in store.advance(self._entry, event):
            self._record(trace.Advanced(table=slot.table, event=event, old=before.name, new=slot.profile.name))

    def _send(self, digest: str, values: Mapping[str, Expr]) -> None:
        given = {name: evaluate(value, self._scope) for name, value in values.items()}
        names = [f.name for f in self._names.digests[digest].fields]
        self.digests.append(SentDigest(digest=digest, values=tuple(given.get(name, 0) for name in names)))
        told = tuple((name, str(given.get(name, 0))) for name in names)
        self._record(trace.SentDigest(digest=digest, values=told))

    def said(self, values: tuple[tuple[str, Expr], ...]) -> tuple[int, ...]:
        """What a packet-in says, field by field of the pipeline's `packet_in`."""
        given = {name: evaluate(value, self._scope) for name, value in values}
        return tuple(given.get(name, 0) for name in self._names.packet_in)

    def _clone(self, number: int, said: tuple[int, ...]) -> None:
        session = self._model.replication.session(number)
        made = clones_of(session, self._packet.received, said) if session is not None else ()
        self.copies += made
        self._record(trace.Cloned(session=number, ports=tuple(copy.port for copy in made)))

    def _count(self, counter: str, index: int) -> None:
        self._model.count(counter, index, len(self._packet.received))
        self._record(trace.Counted(counter=counter, index=index))

    def _execute(self, statement: Execute | ExecuteDirect) -> None:
        length, now_ns = len(self._packet.received), self._scope.now_ns
        match statement:
            case Execute(meter=meter, index=index):
                at = evaluate(index, self._scope)
                color, what = self._model.meter(meter).execute(at, length, now_ns), f"{meter}[{at}]"
            case ExecuteDirect():
                if self._row is None or self._row.meter is None:
                    raise InternalError(f"{statement.span}: no entry with a meter is met")
                color, what = self._row.meter.execute(length, now_ns), self._row.entry.table
        self._scope.metadata[statement.target.name] = color
        self._record(trace.Metered(meter=what, color=color.name.lower()))

    def _set(self, statement: Assign | Rewrite) -> None:
        match statement:
            case Assign(target=FieldRef() as target, value=value):
                new = evaluate(value, self._scope)
                self._record_field(target, new)
                self._packet.write(target.header, target.name, new)
            case Assign(target=target, value=value):
                self._scope.metadata[target.name] = evaluate(value, self._scope)
            case Rewrite(changes=changes):
                values = {(c.target.header, c.target.name): evaluate(c.value, self._scope) for c in changes}
                for change in changes:
                    self._record_field(change.target, values[change.target.header, change.target.name])
                rewrite(self._packet, self._names, values)

    def _reshape(self, statement: Push | Pop | PushVlan | PopVlan | Truncate) -> None:
        packet = self._packet
        match statement:
            case Push(headers=headers):
                values = [{n: evaluate(v, self._scope) for n, v in pushed.values} for pushed in headers]
                for pushed, fields in zip(headers, values, strict=True):
                    packet.add(pushed.header, fields)
                for pushed, fields in reversed(tuple(zip(headers, values, strict=True))):
                    checksum = packet.header_type(pushed.header).checksum
                    if checksum is not None and checksum.field not in fields:
                        compute(packet, self._names, pushed.header)
                what = f"push {', '.join(pushed.header for pushed in headers)}"
            case Pop(headers=names):
                for name in names:
                    packet.remove(name)
                what = f"pop {', '.join(names)}"
            case PushVlan(vlan_id=vlan_id):
                number = evaluate(vlan_id, self._scope)
                packet.add("vlan", {"id": number, "type": packet.read("ethernet", "type")})
                packet.write("ethernet", "type", ETHERTYPE_VLAN)
                what = f"push vlan {number}"
            case PopVlan():
                packet.write("ethernet", "type", packet.remove("vlan")["type"])
                what = "pop vlan"
            case Truncate(header=header, keep_bytes=keep_bytes):
                packet.truncate(header, keep_bytes)
                what = f"truncate to {keep_bytes} bytes from {header} on"
        self._record(trace.Reshaped(what=what))

    def _record_field(self, target: FieldRef, new: int) -> None:
        old, form = self._packet.read(target.header, target.name), self._field_format(target)
        if old != new:
            texts = (number_to_text(old, form), number_to_text(new, form))
            self._record(trace.Set(field=f"{target.header}.{target.name}", old=texts[0], new=texts[1]))

    def _field_format(self, target: FieldRef) -> str:
        """How a field is best read: what pseudo headers hold are addresses, 48 bits a MAC address."""
        if target.name in self._packet.header_type(target.header).pseudo_fields:
            return "ipv4" if target.width_bits == 32 else "ipv6"
        return "mac" if target.width_bits == 48 else ""

    def _record_eviction(self, slot: Slot, why: str) -> None:
        key = _key_text(self._names.tables[slot.table], slot.key)
        self._record(trace.Evicted(table=slot.table, key=key, why=why, slot=slot.index))

    def _hit_step(self, table: Table, key: tuple[int, ...], hit: _Hit) -> trace.Hit:
        return trace.Hit(
            table=table.name,
            key=_key_text(table, key),
            action=hit.call.action,
            arguments=self._argument_text(hit.call),
            found_in=hit.table,
            group_id=hit.group_id,
            member_id=hit.member_id,
            owner=hit.row.entry.owner if hit.row is not None else "",
            span=hit.span,
        )

    def _argument_text(self, call: ActionCall) -> trace.NamedTexts:
        params = self._names.actions[call.action].params
        pairs = zip(params, call.arguments, strict=True)
        return tuple((param.name, number_to_text(value, param.format)) for param, value in pairs)


def _key_text(table: Table, key: tuple[int, ...]) -> trace.NamedTexts:
    return tuple((k.name, number_to_text(value, k.format)) for k, value in zip(table.keys, key, strict=True))
