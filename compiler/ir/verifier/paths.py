"""Last pass: what holds on the paths that packets take through controls, tables and actions.

The state of all packets that reach a point is the set of header combinations they may have (`World`s), and what may
have happened to some of them. Conditions on validity split the worlds; conditions on values do not, so a header must be
valid whatever the values are. Operands are all read: `&` does not protect its right side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from compiler.diagnostic import Report
from compiler.ir.expressions import (
    Binary,
    Concat,
    Const,
    Expr,
    Extend,
    FieldRef,
    Hash,
    IsValid,
    MetaRef,
    NetworkLength,
    Not,
    Now,
    Operator,
    ParamRef,
    Peek,
    Random,
    Slice,
)
from compiler.ir.headers import ACCEPT
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
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
)
from compiler.ir.verifier import codes
from compiler.ir.verifier.parsing import World, parsed_worlds, walk
from compiler.span import Span


@dataclass(frozen=True, slots=True)
class _State:
    """What is known at a point. All but `worlds` says what may have happened, on one path at least."""

    worlds: frozenset[World]
    is_modified: bool = False
    missed: frozenset[str] = frozenset()
    learned: frozenset[str] = frozenset()
    renewed: frozenset[str] = frozenset()

    def join(self, other: _State | None) -> _State:
        if other is None:
            return self
        return _State(
            self.worlds | other.worlds,
            self.is_modified or other.is_modified,
            self.missed | other.missed,
            self.learned | other.learned,
            self.renewed | other.renewed,
        )


def _join(first: _State | None, second: _State | None) -> _State | None:
    return second if first is None else first.join(second)


def check_paths(pipeline: Pipeline, report: Report) -> None:
    names = Names(pipeline)
    paths = _Paths(names, report)
    for name, world in walk(names):
        if name != ACCEPT:
            state = names.states[name]
            after = world | {state.extract} if state.extract is not None else world
            for expr in state.select:
                paths.check_reads(expr, _State(frozenset({after})), state.span)
    main = names.controls[pipeline.main]
    end = paths.run(main.body, _State(parsed_worlds(names)))
    if end is not None:
        paths.check_untouched(end, main.span, "the end of the pipeline")


@dataclass(frozen=True, slots=True)
class _Paths:
    names: Names
    report: Report

    def run(self, statements: tuple[Statement, ...], state: _State | None) -> _State | None:
        """The state behind the statements; None when every path has ended."""
        for statement in statements:
            if state is None:
                message = f"no path reaches this {type(statement).__name__}"
                self.report.add(codes.UNREACHABLE, statement.span, message)
                return None
            state = self._step(statement, state)
        return state

    def _step(self, statement: Statement, state: _State) -> _State | None:
        match statement:
            case If():
                return self._if(statement, state)
            case Apply():
                return self._apply(statement, state)
            case Run(control=control):
                return self.run(self.names.controls[control].body, state)
            case Learn():
                return self._learn(statement, state)
            case Seek(table=table, on_other=on_other, on_none=on_none):
                for key in self.names.tables[table].keys:
                    self.check_reads(key.expr, state, statement.span)
                found = replace(state, missed=state.missed | {table})
                return _join(found.join(self.run(on_other, found)), self.run(on_none, state))
            case Assign(target=target, value=value):
                self.check_reads(value, state, statement.span)
                if isinstance(target, MetaRef):
                    return state
                self.check_reads(target, state, statement.span)
                return replace(state, is_modified=True)
            case Rewrite(changes=changes):
                for change in changes:
                    self.check_reads(change.value, state, statement.span)
                    self.check_reads(change.target, state, statement.span)
                return replace(state, is_modified=True)
            case Push() | Pop() | PushVlan() | PopVlan() | Truncate():
                return self._reshape(statement, state)
            case Count(index=expr) | Execute(index=expr):
                self.check_reads(expr, state, statement.span)
                return state
            case Advance() | ExecuteDirect():
                return state
            case Forward(port=expr):
                self.check_reads(expr, state, statement.span)
                return None
            case Punt(values=values) | SendDigest(values=values):
                for _, value in values:
                    self.check_reads(value, state, statement.span)
                return None if isinstance(statement, Punt) else state
            case Multicast(group=expr, values=values):
                for value in (expr, *(said for _, said in values)):
                    self.check_reads(value, state, statement.span)
                return None
            case Clone(session=expr, values=values):
                for value in (expr, *(said for _, said in values)):
                    self.check_reads(value, state, statement.span)
                self._check_unchanged(state, statement.span)
                return state
            case ToKernel():
                self.check_untouched(state, statement.span, "ToKernel")
                return None
            case Reply() | Drop():
                return None
            case _:
                assert_never(statement)

    def check_untouched(self, state: _State, span: Span, what: str) -> None:
        if state.is_modified:
            self.report.add(codes.MODIFIED_TO_KERNEL, span, f"a packet that may have been changed reaches {what}")

    def _check_unchanged(self, state: _State, span: Span) -> None:
        if state.is_modified:
            message = "a packet that may have been changed is cloned"
            hint = "a clone is the packet as it came: clone it before anything of it changes"
            self.report.add(codes.MODIFIED_CLONE, span, message, hint=hint)

    def check_reads(self, expr: Expr, state: _State, span: Span) -> None:
        """Every header that the expression reads is valid in all worlds."""
        place = expr.span if expr.span.line else span
        match expr:
            case FieldRef(header=header, name=name):
                self._require({header}, state, place, f"{header}.{name} is used")
            case NetworkLength():
                self._require({"ipv4", "ipv6"}, state, place, "the length of the IP packet is used")
            case Not(operand=operand) | Slice(operand=operand) | Extend(operand=operand):
                self.check_reads(operand, state, span)
            case Binary(left=left, right=right):
                self.check_reads(left, state, span)
                self.check_reads(right, state, span)
            case Concat(parts=parts) | Hash(inputs=parts):
                for part in parts:
                    self.check_reads(part, state, span)
            case Const() | MetaRef() | ParamRef() | IsValid() | Now() | Random() | Peek():
                pass
            case _:
                assert_never(expr)

    def _require(self, headers: set[str], state: _State, span: Span, what: str) -> None:
        """One of the headers is valid in each world."""
        without = [world for world in state.worlds if not world & headers]
        if without:
            example = " ".join(sorted(min(without, key=lambda w: (len(w), sorted(w))), key=self._place)) or "no header"
            message = f"{what} where {' and '.join(sorted(headers))} may not be valid"
            self.report.add(codes.INVALID_HEADER, span, message, expected=f"not with: {example}")

    def _place(self, header: str) -> int:
        return self.names.header_order[header]

    def _if(self, statement: If, state: _State) -> _State | None:
        self.check_reads(statement.condition, state, statement.span)
        truths = {world: _truth(statement.condition, world) for world in state.worlds}
        yes = frozenset(world for world, truth in truths.items() if truth is not False)
        no = frozenset(world for world, truth in truths.items() if truth is not True)
        then = self.run(statement.then, replace(state, worlds=yes)) if yes else None
        otherwise = self.run(statement.otherwise, replace(state, worlds=no)) if no else None
        return _join(then, otherwise)

    def _apply(self, statement: Apply, state: _State) -> _State | None:
        table = self.names.tables[statement.table]
        if statement.rarely is not None:
            self.check_reads(statement.rarely, state, statement.span)
        for expr in (*(key.expr for key in table.keys), *(table.selector.exprs if table.selector else ())):
            self.check_reads(expr, state, statement.span)
        hit = self._act(self._entry_actions(table.name), state)
        miss = self._act(table.default_actions, state)
        miss = replace(miss, missed=miss.missed | {table.name}) if miss is not None else None
        return _join(
            self.run(statement.on_hit, hit) if hit is not None else None,
            self.run(statement.on_miss, miss) if miss is not None else None,
        )

    def _entry_actions(self, table_name: str) -> tuple[str, ...]:
        """What a hit may run: a learned table finds entries of the other tables of its store as well."""
        table = self.names.tables[table_name]
        tables = [table] if table.store is None else [t for t in self.names.pipeline.tables if t.store == table.store]
        return tuple(dict.fromkeys(ref.name for t in tables for ref in t.actions if ref.in_entries))

    def _act(self, actions: Iterable[str], state: _State) -> _State | None:
        after: _State | None = None
        for name in actions:
            after = _join(after, self.run(self.names.actions[name].body, state))
        return after

    def _learn(self, statement: Learn, state: _State) -> _State | None:
        for expr in (*statement.arguments, statement.profile):
            self.check_reads(expr, state, statement.span)
        if statement.renews:
            for key in self.names.tables[statement.table].keys:
                self.check_reads(key.expr, state, statement.span)
            renewed = replace(state, renewed=state.renewed | {statement.table})
            return renewed.join(self.run(statement.on_full, renewed))
        if statement.table not in state.missed:
            message = f"table {statement.table} learns where no path has missed it"
            self.report.add(codes.NOT_MISSED, statement.span, message)
        self._check_pair(statement, state)
        full = self.run(statement.on_full, state)
        return replace(state, learned=state.learned | {statement.table}).join(full)

    def _check_pair(self, statement: Learn, state: _State) -> None:
        store = self.names.tables[statement.table].store
        others = {name for name in state.learned if self.names.tables[name].store == store}
        if statement.table in others or len(others) > 1:
            message = f"a packet may learn {', '.join(sorted(others))} and then {statement.table}"
            expected = "at most two entries of a store, in two tables"
            self.report.add(codes.BAD_PAIR, statement.span, message, expected=expected)
        before = {name for name in state.renewed if self.names.tables[name].store == store}
        if before:
            message = (
                f"table {statement.table} learns behind {', '.join(sorted(before))}, which is renewed in its store"
            )
            self.report.add(codes.BAD_PAIR, statement.span, message, expected="the pair first")

    def _reshape(self, statement: Push | Pop | PushVlan | PopVlan | Truncate, state: _State) -> _State:
        span = statement.span
        match statement:
            case Push(headers=headers):
                for pushed in headers:
                    for _, value in pushed.values:
                        self.check_reads(value, state, span)
                worlds = self._push(tuple(pushed.header for pushed in headers), state, span)
            case Pop(headers=headers):
                worlds = self._pop(headers, state, span)
            case PushVlan(vlan_id=vlan_id):
                self.check_reads(vlan_id, state, span)
                self._require({"ethernet"}, state, span, "a tag is put behind the Ethernet header")
                worlds = self._push(("vlan",), state, span)
            case PopVlan():
                self._require({"ethernet"}, state, span, "a tag is taken from behind the Ethernet header")
                self._require({"vlan"}, state, span, "the tag is taken")
                worlds = frozenset(world - {"vlan"} for world in state.worlds)
            case Truncate(header=header, keep_bytes=keep_bytes):
                self._require({header}, state, span, "the packet is cut")
                worlds = frozenset(self._cut(world, header, keep_bytes) for world in state.worlds)
        return replace(state, worlds=worlds, is_modified=True)

    def _push(self, headers: tuple[str, ...], state: _State, span: Span) -> frozenset[World]:
        worlds: set[World] = set()
        for world in state.worlds:
            if world & set(headers):
                message = f"{', '.join(sorted(world & set(headers)))} is pushed where it may be valid"
                self.report.add(codes.INVALID_HEADER, span, message)
            after = world | set(headers)
            order = sorted(after, key=self._place)
            first = order.index(headers[0])
            if tuple(order[first : first + len(headers)]) != headers:
                message = f"{', '.join(headers)} would not stand side by side"
                self.report.add(codes.NOT_CONTIGUOUS, span, message, expected=f"not with: {' '.join(order)}")
            worlds.add(after)
        return frozenset(worlds)

    def _pop(self, headers: tuple[str, ...], state: _State, span: Span) -> frozenset[World]:
        for header in headers:
            self._require({header}, state, span, f"{header} is popped")
        for world in state.worlds:
            front = tuple(sorted(world, key=self._place)[: len(headers)])
            if set(headers) <= world and front != headers:
                message = f"{', '.join(headers)} may not be at the front of the packet"
                self.report.add(codes.NOT_AT_FRONT, span, message, expected=f"not behind: {' '.join(front)}")
        return frozenset(world - set(headers) for world in state.worlds)

    def _cut(self, world: World, header: str, keep_bytes: int) -> World:
        """The headers that are whole after `Truncate`."""
        kept, offset = set(world), 0
        for name in sorted(world, key=self._place):
            if self._place(name) >= self._place(header):
                offset += self.names.header_types[name].width_bits // 8
                if offset > keep_bytes:
                    kept.discard(name)
        return frozenset(kept)


def _truth(condition: Expr, world: World) -> bool | None:
    """What the condition is for packets of a world; None when it depends on values."""
    match condition:
        case IsValid(header=header):
            return header in world
        case Const(value=value):
            return bool(value)
        case Not(operand=operand):
            truth = _truth(operand, world)
            return None if truth is None else not truth
        case Binary(operator=Operator.AND, left=left, right=right):
            sides = (_truth(left, world), _truth(right, world))
            return False if False in sides else (None if None in sides else True)
        case Binary(operator=Operator.OR, left=left, right=right):
            sides = (_truth(left, world), _truth(right, world))
            return True if True in sides else (None if None in sides else False)
        case _:
            return None
