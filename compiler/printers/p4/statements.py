"""Statements of the IR as P4 statements; a profile prints what differs between the targets.

Returns lines, indented relative to their block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import assert_never

from compiler.ir import walking
from compiler.ir.expressions import Expr, FieldRef
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Change,
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
    PushedHeader,
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
from compiler.printers.p4.checksums import holders_of, is_computed
from compiler.printers.p4.cutting import cut_length
from compiler.printers.p4.expressions import ExpressionPrinter, number
from compiler.printers.p4.identifiers import Identifiers
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4.sums import Sums

ETHERTYPE_VLAN = 0x8100
_INDENT = "    "
_LIST_WIDTH = 100


def indented(lines: Iterable[str]) -> list[str]:
    return [_INDENT + line for line in lines]


def wrapped(parts: Iterable[str], first: str, last: str) -> list[str]:
    """A list over as many lines as it needs, between `first` and `last`; later lines line up with the first part."""
    lines, margin = [first], " " * len(first)
    for index, part in enumerate(parts):
        piece = part if index == 0 else f", {part}"
        if index and len(lines[-1]) + len(piece) > _LIST_WIDTH:
            lines[-1] += ","
            lines.append(margin + part)
        else:
            lines[-1] += piece
    return [*lines[:-1], lines[-1] + last]


def _is_learn(statement: Statement) -> bool:
    return isinstance(statement, Learn)


class StatementPrinter(ABC):
    """Prints the statements of one control or action."""

    def __init__(self, pipeline: Pipeline, ids: Identifiers, sums: Sums, expressions: ExpressionPrinter) -> None:
        self.pipeline = pipeline
        self.names = Names(pipeline)
        self.ids = ids
        self.sums = sums
        self.expressions = expressions

    @abstractmethod
    def learn(self, statements: tuple[Learn, ...]) -> list[str]:
        """What stands side by side is learned together."""

    @abstractmethod
    def advance(self, statement: Advance) -> list[str]: ...

    @abstractmethod
    def count(self, counter: str, index: str) -> list[str]: ...

    @abstractmethod
    def execute(self, meter: str, index: str, target: str) -> list[str]:
        """An indexed meter's colour goes into metadata of 2 bits."""

    @abstractmethod
    def execute_direct(self, meter: str, target: str) -> list[str]: ...

    @abstractmethod
    def digest(self, statement: SendDigest) -> list[str]: ...

    @abstractmethod
    def clone(self, statement: Clone) -> list[str]: ...

    @abstractmethod
    def verdict(self, verdict: Verdict) -> list[str]: ...

    @abstractmethod
    def run(self, control: str) -> list[str]: ...

    @abstractmethod
    def cut(self, block: Sequence[Statement], index: int) -> list[str]: ...

    def block(self, statements: tuple[Statement, ...]) -> list[str]:
        lines: list[str] = []
        for index, statement in enumerate(statements):
            printed = self._at(statements, index, statement)
            prelude, self.expressions.prelude = self.expressions.prelude, []
            lines += (*prelude, *printed)
        return lines

    def _at(self, block: tuple[Statement, ...], index: int, statement: Statement) -> list[str]:
        """A statement of which some need their neighbours."""
        match statement:
            case Truncate():
                return self.cut(block, index)
            case Learn() if index and isinstance(block[index - 1], Learn):
                return []
            case Learn():
                return self.learn(tuple(s for s in takewhile(_is_learn, block[index:]) if isinstance(s, Learn)))
            case _:
                return self._statement(statement)

    def _statement(self, statement: Statement) -> list[str]:
        match statement:
            case Assign() | Rewrite():
                return self._set(statement)
            case If():
                return self._if(statement)
            case Apply():
                return self.apply(statement)
            case Run(control=control):
                return self.run(control)
            case Push() | Pop() | PushVlan() | PopVlan():
                return self._reshape(statement)
            case Truncate() | Learn():
                raise AssertionError("printed with its neighbours")
            case Seek(table=table):
                raise UnprintableError("P4", f"a key without an entry is sought in table {table}", statement.span)
            case Advance():
                return self.advance(statement)
            case Count(counter=counter, index=index):
                return self.count(self.ids.counters[counter], f"(bit<32>){self._tight(index)}")
            case Execute(meter=meter, index=index, target=target):
                color = self.expressions.meta(target.name)
                return self.execute(self.ids.meters[meter], f"(bit<32>){self._tight(index)}", color)
            case ExecuteDirect(target=target):
                return self.execute_direct(self._direct_meter(), self.expressions.meta(target.name))
            case SendDigest():
                return self.digest(statement)
            case Clone():
                return self.clone(statement)
            case Forward() | Reply() | ToKernel() | Drop() | Punt() | Multicast():
                return self.verdict(statement)
            case _:
                assert_never(statement)

    def _direct_meter(self) -> str:
        """That of the one table which offers the action that is being printed."""
        action = self.expressions.action
        table = next(t.name for t in self.pipeline.tables if any(ref.name == action for ref in t.actions))
        return self.ids.direct_meters[table]

    def _tight(self, expr: Expr) -> str:
        """An expression that can stand behind a cast."""
        text = self.expressions.sized(expr)
        return f"({text})" if " " in text else text

    def _if(self, statement: If) -> list[str]:
        condition = self.expressions.condition(statement.condition)
        prelude, self.expressions.prelude = self.expressions.prelude, []
        then, otherwise = self.block(statement.then), self.block(statement.otherwise)
        self.expressions.prelude = prelude
        if not then and not otherwise:
            return []
        return [f"if ({condition}) {{", *indented(then), *self._else(statement.otherwise, otherwise)]

    def _else(self, statements: tuple[Statement, ...], body: list[str]) -> list[str]:
        """The rest of an `if`, from its closing brace on; an `if` alone in it continues the chain."""
        if not body:
            return ["}"]
        if len(statements) == 1 and isinstance(statements[0], If) and body[0].startswith("if ("):
            return [f"}} else {body[0]}", *body[1:]]
        return ["} else {", *indented(body), "}"]

    def apply(self, statement: Apply) -> list[str]:
        hit, miss = self.block(statement.on_hit), self.block(statement.on_miss)
        return self.branches(self.ids.tables[statement.table], hit, miss)

    def branches(self, table: str, hit: list[str], miss: list[str]) -> list[str]:
        """Apply a table and go on."""
        if hit:
            rest = ["} else {", *indented(miss), "}"] if miss else ["}"]
            return [f"if ({table}.apply().hit) {{", *indented(hit), *rest]
        if miss:
            return [f"if ({table}.apply().miss) {{", *indented(miss), "}"]
        return [f"{table}.apply();"]

    def _set(self, statement: Assign | Rewrite) -> list[str]:
        match statement:
            case Assign(target=FieldRef(header=header, name=name), value=value):
                return [f"{self.expressions.field(header, name)} = {self.expressions.value(value)};"]
            case Assign(target=target, value=value):
                return [f"{self.expressions.meta(target.name)} = {self.expressions.value(value)};"]
            case Rewrite(changes=changes):
                holders = holders_of(self.pipeline, changes)
                flags = (self.sums.flag(self.sums.updates[holder]) for holder in holders)
                return [*self._changes(changes), *(f"{flag} = 1;" for flag in flags)]

    def _changes(self, changes: tuple[Change, ...]) -> list[str]:
        """All values are those from before; one that reads a field already set goes through a local."""
        before: list[str] = []
        lines: list[str] = []
        done: set[tuple[str, str]] = set()
        for change in changes:
            target = self.expressions.field(change.target.header, change.target.name)
            value = self.expressions.value(change.value)
            read = {(e.header, e.name) for e in walking.expressions(change.value) if isinstance(e, FieldRef)}
            if read & done:
                local = self.expressions.scope.allocate(f"new_{change.target.name}")
                before.append(f"bit<{change.target.width_bits}> {local} = {value};")
                value = local
            lines.append(f"{target} = {value};")
            done.add((change.target.header, change.target.name))
        return [*before, *lines]

    def _reshape(self, statement: Push | Pop | PushVlan | PopVlan) -> list[str]:
        ethernet_type = self.expressions.field("ethernet", "type")
        vlan = f"hdr.{self.ids.headers['vlan']}"
        match statement:
            case Push(headers=headers):
                return [line for pushed in headers for line in self._push(pushed)]
            case Pop(headers=headers):
                return [f"hdr.{self.ids.headers[header]}.setInvalid();" for header in headers]
            case PushVlan(vlan_id=vlan_id):
                values = {"id": self.expressions.value(vlan_id), "type": ethernet_type}
                return [*self._header("vlan", values), f"{ethernet_type} = {number(ETHERTYPE_VLAN, 16)};"]
            case PopVlan():
                return [f"{ethernet_type} = {self.expressions.field('vlan', 'type')};", f"{vlan}.setInvalid();"]

    def _push(self, pushed: PushedHeader) -> list[str]:
        values = {name: self.expressions.value(value) for name, value in pushed.values}
        lines = self._header(pushed.header, values)
        flag = self.sums.computes.get(pushed.header)
        if flag is not None and is_computed(self.names.header_types[pushed.header], values):
            lines.append(f"{self.sums.flag(flag)} = 1;")
        return lines

    def _header(self, header: str, values: dict[str, str]) -> list[str]:
        """A header made valid at once with all of its fields."""
        header_type = self.names.header_types[header]
        fields = [
            f"{self.ids.fields[header_type.name, f.name]} = {values.get(f.name, '0')}" for f in header_type.fields
        ]
        listed = [f"{_INDENT}{field}," for field in fields[:-1]]
        return [f"hdr.{self.ids.headers[header]} = {{", *listed, f"{_INDENT}{fields[-1]}", "};"]

    def cut_lines(self, block: Sequence[Statement], index: int) -> list[str]:
        """Declare and compute the length of the packet after a `Truncate`; ends with the name of the local."""
        cut = cut_length(self.pipeline, tuple(block), index)
        local = self.expressions.scope.allocate("length")
        lines = [f"bit<32> {local} = {cut.fixed_bytes};"]
        for header, size in cut.optional:
            lines.append(f"if ({self.expressions.is_valid(header)}) {{ {local} = {local} + {size}; }}")
        return [*lines, local]
