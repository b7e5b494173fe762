"""Kinds of packets that have a fast path, and how the C tells them apart.

A kind is one way through the parser: its headers stand at places that are known when the C is printed. Only those are
told apart that can be forwarded without leaving the fast path (`fastpath`); any other packet is for the whole program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.expressions import Binary, Const, Expr, FieldRef, MetaRef, Operator, Peek, width_bits
from compiler.ir.headers import ACCEPT, Case, Match, State
from compiler.ir.nodes import Pipeline
from compiler.printers.ebpf import wire
from compiler.printers.ebpf.expressions import c_type, header_constant
from compiler.printers.ebpf.lines import Lines
from compiler.printers.ebpf.parser import condition_of, test_of
from compiler.printers.ebpf.usage import VLAN, Usage
from compiler.span import InternalError

UNDECIDED = "return PACKET_UNDECIDED;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Headers in the order of the packet, with the bytes in front of each."""

    headers: tuple[tuple[str, int], ...]
    size: int
    """Bytes of all headers."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindView:
    """The function of a kind: `lines` fill the scratch memory from the packet."""

    name: str
    doc: str
    size: int
    valid: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A field of a header that matches."""

    field: FieldRef
    match: Match


def masked(condition: Expr, known: Mapping[str, FieldRef]) -> Masked | None:
    """A comparison of metadata, masked or not, as one of the field that they are set to; None for anything else."""
    match condition:
        case Binary(operator=Operator.EQ, left=left, right=Const(value=value)):
            mask = None
            if isinstance(left, Binary) and left.operator is Operator.AND and isinstance(left.right, Const):
                left, mask = left.left, left.right.value
            if isinstance(left, MetaRef) and left.name in known:
                return Masked(field=known[left.name], match=Match(value=value, mask=mask))
            return None
        case _:
            return None


def kinds(pipeline: Pipeline, usage: Usage, is_fast: Callable[[frozenset[str]], bool]) -> tuple[Kind, ...]:
    """All kinds that are fast, in the order of the parser; none with an 802.1Q tag, which may be in metadata."""
    found = dict.fromkeys(_from(pipeline.parser[0].name, usage, (), 0))
    return tuple(kind for kind in found if VLAN not in kind.names and is_fast(frozenset(kind.names)))


def _from(name: str, usage: Usage, before: tuple[tuple[str, int], ...], at: int) -> Iterator[Kind]:
    if name == ACCEPT:
        yield Kind(headers=before, size=at)
        return
    state = usage.names.states[name]
    headers, end = _behind(state, usage, before, at)
    for following in dict.fromkeys((*(case.next for case in state.cases), state.default)):
        yield from _from(following, usage, headers, end)


def _behind(
    state: State, usage: Usage, before: tuple[tuple[str, int], ...], at: int
) -> tuple[tuple[tuple[str, int], ...], int]:
    """The headers and the place behind a state."""
    if not state.extract:
        return before, at
    return (*before, (state.extract, at)), at + usage.size(state.extract)


def function_names(found: Sequence[Kind]) -> dict[Kind, str]:
    """The fewest last headers that tell each kind from all others."""

    def named(kind: Kind, count: int) -> str:
        return "_".join(kind.names[-count:])

    def fewest(kind: Kind) -> int:
        whole = len(kind.names)
        counts = range(min(2, whole), whole)
        return next((n for n in counts if sum(named(other, n) == named(kind, n) for other in found) == 1), whole)

    return {kind: f"fast_{named(kind, fewest(kind))}" for kind in found}


def kind_view(kind: Kind, name: str, usage: Usage) -> KindView:
    lines = Lines()
    for header, at in kind.headers:
        if header in usage.positioned:
            lines.add(f"scratch->position.{header} = PACKET_ORIGIN{f' + {at}' if at else ''};")
        for field in usage.header_type(header).fields:
            if (header, field.name) in usage.kept:
                _, offset = usage.field(header, field.name)
                target = f"scratch->headers.{header}.{field.name}"
                lines.add(wire.read_into(target, wire.plus("data", at), offset, field.width_bits))
    return KindView(
        name=name,
        doc=", ".join(kind.names),
        size=kind.size,
        valid=" | ".join(header_constant(header) for header in kind.names),
        lines=lines.done(),
    )


def dispatch(
    pipeline: Pipeline, usage: Usage, names: Mapping[Kind, str], rarely: Mapping[Kind, Sequence[Masked]]
) -> tuple[str, ...]:
    """The body of the function that finds a packet's kind: the parser, with every place known.

    Packets of a kind that are `rarely` of a known flow are left to the whole program.
    """
    lines = Lines()
    _Dispatch(usage, names, rarely).state(lines, pipeline.parser[0].name, (), 0, 0)
    return lines.done()


class _Dispatch:
    def __init__(self, usage: Usage, names: Mapping[Kind, str], rarely: Mapping[Kind, Sequence[Masked]]) -> None:
        self._usage = usage
        self._names = names
        self._rarely = rarely

    def state(self, lines: Lines, name: str, before: tuple[tuple[str, int], ...], at: int, checked: int) -> None:
        """Tests that lead on from a state; `checked` bytes are known to be there. Always ends with a return."""
        if name == ACCEPT:
            self._leave(lines, Kind(headers=before, size=at), checked)
            return
        state = self._usage.names.states[name]
        headers, end = _behind(state, self._usage, before, at)
        checked = self._check(lines, state, at, end, checked)
        cases = [case for case in state.cases if self._leads_on(case.next, headers, end)]
        default_leads_on = self._leads_on(state.default, headers, end)
        asked = [
            case
            for case in state.cases
            if case in cases or default_leads_on or not all(_are_disjoint(case, other) for other in cases)
        ]
        values = tuple(self._value(lines, state, expr, asked, headers, end) for expr in state.select)
        for case in asked:
            condition = condition_of(case, values, state.select)
            if case in cases:
                with lines.block(f"if ({condition})"):
                    self.state(lines, case.next, headers, end, checked)
            else:
                lines.add(f"if ({condition})", f"\t{UNDECIDED}")
        if default_leads_on:
            self.state(lines, state.default, headers, end, checked)
        else:
            lines.add(UNDECIDED)

    def _leave(self, lines: Lines, kind: Kind, checked: int) -> None:
        """To the function of a kind."""
        headers = dict(kind.headers)
        rarely = self._rarely[kind]
        if rarely:
            _there(lines, kind.size, checked)
        for asked in rarely:
            read = self._read(asked.field, headers)
            lines.add(f"if ({test_of(asked.match, read, width_bits(asked.field))})", f"\t{UNDECIDED}")
        lines.add(f"return {self._names[kind]}(ctx, port);")

    def _leads_on(self, name: str, headers: tuple[tuple[str, int], ...], at: int) -> bool:
        return any(kind in self._names for kind in _from(name, self._usage, headers, at))

    def _check(self, lines: Lines, state: State, at: int, end: int, checked: int) -> int:
        """All that the state looks at must be there: what is cut short is for the whole program."""
        peeks = [e for e in state.select if isinstance(e, Peek)]
        needed = max(end, *(at + (peek.offset_bits + peek.width_bits + 7) // 8 for peek in peeks), 0)
        return _there(lines, needed, checked) if state.select else checked

    def _read(self, field: FieldRef, headers: Mapping[str, int]) -> str:
        """The field in the packet; `headers` are with the bytes in front of each."""
        _, offset = self._usage.field(field.header, field.name)
        return wire.read(wire.plus("data", headers[field.header]), offset, width_bits(field))

    def _value(
        self,
        lines: Lines,
        state: State,
        expr: Expr,
        asked: Sequence[Case],
        headers: tuple[tuple[str, int], ...],
        at: int,
    ) -> str:
        """What an expression of a state is; what several of the cases that are asked test is read once."""
        match expr:
            case MetaRef(name="ingress_port"):
                return "port"
            case Peek(offset_bits=offset, width_bits=width):
                return wire.read(wire.plus("data", at), offset, width)
            case FieldRef(header=header, name=name):
                text = self._read(expr, dict(headers))
                place = state.select.index(expr)
                if sum(case.matches[place].mask != 0 for case in asked) < 2:
                    return text
                lines.add(f"{c_type(width_bits(expr))} {header}_{name} = {text};")
                return f"{header}_{name}"
            case _:
                raise InternalError(f"state {state.name}: the fast path selects by fields and peeked bits as they are")


def _there(lines: Lines, needed: int, checked: int) -> int:
    """Leave a packet that has not so many bytes; how many are known to be there then."""
    if needed > checked:
        lines.add(f"if (data + {needed} > end)", f"\t{UNDECIDED}")
    return max(needed, checked)


def _are_disjoint(case: Case, other: Case) -> bool:
    """No packet is both: they want other values of the same bits."""
    for one, two in zip(case.matches, other.matches, strict=True):
        mask = (-1 if one.mask is None else one.mask) & (-1 if two.mask is None else two.mask)
        if (one.value ^ two.value) & mask:
            return True
    return False
