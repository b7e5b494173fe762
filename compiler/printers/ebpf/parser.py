"""The parser as C: one inline function a state, called in an order in which none comes before those that lead to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.ir.expressions import Expr, FieldRef, Peek, width_bits
from compiler.ir.headers import ACCEPT, Case, Match, State
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.walking import expressions
from compiler.printers.ebpf import wire
from compiler.printers.ebpf.expressions import atom, c, c_type, header_constant, number
from compiler.printers.ebpf.lines import Lines
from compiler.printers.ebpf.usage import ETHERNET, VLAN, Usage
from compiler.span import InternalError


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    name: str
    constant: str
    doc: str
    lines: tuple[str, ...]
    parameters: str
    arguments: str


def state_constant(name: str) -> str:
    return f"STATE_{name.upper()}"


def in_order(pipeline: Pipeline) -> tuple[State, ...]:
    """The states, each behind all that lead to it."""
    names = Names(pipeline)
    done: list[State] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name == ACCEPT or name in seen:
            return
        seen.add(name)
        state = names.states[name]
        for following in (*(case.next for case in state.cases), state.default):
            visit(following)
        done.append(state)

    visit(pipeline.parser[0].name)
    return tuple(reversed(done))


def deepest(pipeline: Pipeline, usage: Usage) -> int:
    """Bytes that the parser may look at."""
    longest = max(sum(usage.size(header) for header in found) for found in usage.together)
    peeks = (e for state in pipeline.parser for expr in state.select for e in expressions(expr) if isinstance(e, Peek))
    return max(longest, *((peek.offset_bits + peek.width_bits + 7) // 8 for peek in peeks), 0)


def state_view(state: State, usage: Usage) -> StateView:
    lines = Lines()
    if state.extract:
        _extract(lines, state, state.extract, usage)
    _select(lines, state, usage)
    reads = any("cursor" in line for line in lines.done())
    return StateView(
        name=state.name,
        constant=state_constant(state.name),
        doc=state.doc,
        lines=lines.done(),
        parameters=("struct cursor *cursor, " if reads else "") + "struct scratch *scratch",
        arguments=("&cursor, " if reads else "") + "scratch",
    )


def _extract(lines: Lines, state: State, header: str, usage: Usage) -> None:
    size = usage.size(header)
    if usage.header_type(header).name == VLAN:
        lines.add("const u8 *header = cursor_take_vlan(cursor, scratch->packet.wire);")
    else:
        lines.add(f"const u8 *header = cursor_take(cursor, {size});")
    lines.add("", "if (!header)", "\treturn STATE_TOO_SHORT;")
    if header in usage.positioned:
        lines.add(f"scratch->position.{header} = PACKET_ORIGIN + cursor->at - {size};")
    lines.add(f"scratch->packet.valid |= {header_constant(header)};")
    selected = {e.name for expr in state.select for e in expressions(expr) if isinstance(e, FieldRef)}
    for field in usage.header_type(header).fields:
        kept = (header, field.name) in usage.kept
        if not kept and field.name not in selected:
            continue
        target = f"scratch->headers.{header}.{field.name}"
        if field.name not in selected:
            lines.add(_read_into(target, header, field.name, usage))
            continue
        lines.add(f"{c_type(field.width_bits)} {_read_into(field.name, header, field.name, usage)}")
        if kept:
            lines.add(f"{target} = {field.name};")


def _read_into(target: str, header: str, name: str, usage: Usage) -> str:
    field, offset = usage.field(header, name)
    if usage.header_type(header).name == ETHERNET and name == "type":
        return f"{target} = cursor_ethertype(cursor, header);"
    return wire.read_into(target, "header", offset, field.width_bits)


def _select(lines: Lines, state: State, usage: Usage) -> None:
    peeks = tuple(e for expr in state.select for e in expressions(expr) if isinstance(e, Peek))
    if peeks:
        size = max((peek.offset_bits + peek.width_bits + 7) // 8 for peek in peeks)
        lines.add(f"const u8 *ahead = cursor_peek(cursor, scratch->packet.wire, {size + size % 2});")
        lines.add("", "if (!ahead)", "\treturn STATE_TOO_SHORT;")
    values = tuple(_value(expr, state, usage) for expr in state.select)
    for case in state.cases:
        condition = condition_of(case, values, state.select)
        if not condition:
            lines.add(f"return {_next(case.next)};")
            return
        lines.add(f"if ({condition})", f"\treturn {_next(case.next)};")
    lines.add(f"return {_next(state.default)};")


def _next(name: str) -> str:
    return "STATE_ACCEPT" if name == ACCEPT else state_constant(name)


def _value(expr: Expr, state: State, usage: Usage) -> str:
    match expr:
        case Peek(offset_bits=offset, width_bits=width):
            return wire.read("ahead", offset, width)
        case FieldRef(header=header, name=name):
            return name if header == state.extract else f"scratch->headers.{header}.{name}"
        case _ if any(isinstance(e, FieldRef | Peek) for e in expressions(expr)):
            raise InternalError(f"state {state.name}: eBPF selects by fields and peeked bits as they are")
        case _:
            _ = usage
            return c(expr)


def condition_of(case: Case, values: Sequence[str], select: Sequence[Expr]) -> str:
    """The C of a case, over the values of the `select` expressions; empty when it is always true."""
    tests = (
        test_of(match, value, width_bits(expr)) for match, value, expr in zip(case.matches, values, select, strict=True)
    )
    return " && ".join(test for test in tests if test)


def test_of(match: Match, value: str, width: int) -> str:
    """The C of a match of a value so many bits wide; empty when it takes any."""
    mask = (1 << width) - 1 if match.mask is None else match.mask
    if mask == 0:
        return ""
    if mask != (1 << width) - 1:
        value = f"{atom(value)} & {number(mask, width)}"
    wanted = match.value & mask
    if wanted == 0:
        return f"!{atom(value)}"
    return f"{atom(value)} == {number(wanted, width)}"
