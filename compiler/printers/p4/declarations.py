"""What both profiles declare alike: header types, metadata, constants, the parser, the keys of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.ir import walking
from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary
from compiler.ir.expressions import Expr, Peek, width_bits
from compiler.ir.headers import ACCEPT, Case, Match, State
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Apply, Run
from compiler.ir.tables import Action, ActionRef, Key, Table
from compiler.printers.p4.annotations import comment, preamble, quoted, renamed, restriction, shown_and_referred
from compiler.printers.p4.expressions import AHEAD, ExpressionPrinter, number
from compiler.printers.p4.identifiers import Identifiers
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4.view import DeclarationView, Lines, StateView

SHOWN_POLICY_LINES = 5
_LINE_WIDTH = 110


def constants(pipeline: Pipeline, ids: Identifiers) -> tuple[DeclarationView, ...]:
    return tuple(
        DeclarationView(comment=comment(r.doc), lines=(f"const bit<32> {ids.reasons[r.name]} = {r.id};",))
        for r in pipeline.drop_reasons
    )


def translated_types(pipeline: Pipeline, ids: Identifiers, profile: str) -> tuple[DeclarationView, ...]:
    made: list[DeclarationView] = []
    for one in pipeline.types:
        if ids.translated[one.name] != one.name:
            raise UnprintableError(profile, f"a type with the name '{one.name}', by which control planes know it")
        shown = "string" if one.sdn_bits is None else one.sdn_bits
        annotation = f"@p4runtime_translation({quoted(one.uri)}, {shown})"
        made.append(DeclarationView(comment=(), lines=(annotation, f"type bit<{one.width_bits}> {one.name};")))
    return tuple(made)


def header_types(pipeline: Pipeline, ids: Identifiers) -> tuple[DeclarationView, ...]:
    made: list[DeclarationView] = []
    for header_type in pipeline.header_types:
        fields = (f"    bit<{f.width_bits}> {ids.fields[header_type.name, f.name]};" for f in header_type.fields)
        lines = (f"header {ids.types[header_type.name]} {{", *fields, "}")
        made.append(DeclarationView(comment=comment(header_type.doc), lines=lines))
    return tuple(made)


def headers(pipeline: Pipeline, ids: Identifiers) -> Lines:
    return tuple(f"{ids.types[header.type]} {ids.headers[header.name]};" for header in pipeline.headers)


def metadata(pipeline: Pipeline, ids: Identifiers) -> Lines:
    return tuple(f"bit<{f.width_bits}> {ids.metadata[f.name]};" for f in pipeline.metadata)


@dataclass(frozen=True, kw_only=True)
class ParserPrinter:
    names: Names
    ids: Identifiers
    expressions: ExpressionPrinter
    start: Lines
    """What the first state does before all else."""

    def states(self) -> tuple[StateView, ...]:
        return tuple(self._state(state, index == 0) for index, state in enumerate(self.names.pipeline.parser))

    def _state(self, state: State, is_first: bool) -> StateView:
        lines = list(self.start) if is_first else []
        if state.extract is not None:
            lines.append(f"packet.extract(hdr.{self.ids.headers[state.extract]});")
        ahead = max(
            (p.offset_bits + p.width_bits for e in state.select for p in walking.expressions(e) if isinstance(p, Peek)),
            default=0,
        )
        if ahead:
            lines.append(f"bit<{ahead}> {AHEAD} = packet.lookahead<bit<{ahead}>>();")
        self.expressions.ahead_bits = ahead
        lines += self._transition(state)
        return StateView(comment=comment(state.doc), name=self.ids.states[state.name], lines=tuple(lines))

    def _transition(self, state: State) -> list[str]:
        default = self._next(state.default)
        if not state.cases:
            return [f"transition {default};"]
        keys = ", ".join(self.expressions.value(expr) for expr in state.select)
        cases = (f"    {self._case(case, state.select)}: {self._next(case.next)};" for case in state.cases)
        return [f"transition select({keys}) {{", *cases, f"    default: {default};", "}"]

    def _case(self, case: Case, select: tuple[Expr, ...]) -> str:
        values = [_keyset(m, width_bits(expr)) for m, expr in zip(case.matches, select, strict=True)]
        return values[0] if len(values) == 1 else f"({', '.join(values)})"

    def _next(self, name: str) -> str:
        return name if name == ACCEPT else self.ids.states[name]


def _keyset(match: Match, width: int) -> str:
    if match.mask is None:
        return number(match.value, width)
    return f"{number(match.value, width)} &&& {number(match.mask, width)}" if match.mask else "_"


def keyset(match: MatchValue, width: int) -> str:
    """What an entry in the program matches."""
    match match:
        case Exact(value=value):
            return number(value, width)
        case Lpm(value=value, prefix_len=prefix_len):
            return _masked(value, (1 << width) - (1 << width - prefix_len), width)
        case Ternary(value=value, mask=mask):
            return _masked(value, mask, width)
        case Range(low=low, high=high):
            return "_" if (low, high) == (0, (1 << width) - 1) else f"{number(low, width)} .. {number(high, width)}"
        case Optional(value=value):
            return "_" if value is None else number(value, width)


def _masked(value: int, mask: int, width: int) -> str:
    return f"{number(value, width)} &&& {number(mask, width)}" if mask else "_"


def keys(table: Table, expressions: ExpressionPrinter) -> Lines:
    """The key of a table. Ids are written where they are not what P4Info counts by itself."""
    counted = all(key.id == place for place, key in enumerate(table.keys, 1))
    lines = [_key(key, expressions, with_id=not counted) for key in table.keys]
    if table.selector is not None:
        lines += (f"{expressions.value(expr)} : selector;" for expr in table.selector.inputs)
    return tuple(lines)


def _key(key: Key, expressions: ExpressionPrinter, *, with_id: bool) -> str:
    annotations = [f"@id({key.id})"] if with_id else []
    annotations.append(f'@name("{key.name}")')
    annotations += shown_and_referred(key.format, key.refers_to)
    value = f"({key.type}){expressions.operand(key.expr)}" if key.type else expressions.value(key.expr)
    return f"{value} : {key.match.value} {' '.join(annotations)};"


def scope_annotation(ref: ActionRef) -> str:
    if ref.in_entries and ref.as_default:
        return ""
    return "@tableonly " if ref.in_entries else "@defaultonly "


def signature(action: Action, identifier: str, ids: Identifiers, directed: tuple[str, ...]) -> Lines:
    """`action name(...) {`, on more lines where one would be too long. `directed` are parameters with a direction."""
    counted = all(param.id == place for place, param in enumerate(action.params, 1))
    params = list(directed)
    for param in action.params:
        own = ids.params[action.name, param.name]
        annotations = [] if counted else [f"@id({param.id})"]
        annotations += shown_and_referred(param.format, param.refers_to)
        declared = f"{renamed(param.name, own)}{param.type or f'bit<{param.width_bits}>'} {own}"
        params.append(" ".join((*annotations, declared)))
    line = f"action {identifier}({', '.join(params)}) {{"
    if len(line) <= _LINE_WIDTH:
        return (line,)
    return (f"action {identifier}(", *(f"    {param}," for param in params[:-1]), f"    {params[-1]}", ") {")


def table_preamble(table: Table) -> Lines:
    return (*preamble(table.id, table.name, table.doc), *restriction("entry", table.restriction))


def action_preamble(action: Action) -> Lines:
    return (*preamble(action.id, action.name, action.doc), *restriction("action", action.restriction))


def policy_comment(lines: tuple[str, ...]) -> Lines:
    shown = tuple(f"// {line}" for line in lines[:SHOWN_POLICY_LINES])
    more = len(lines) - len(shown)
    return (*shown, f"// and {more} more") if more else shown


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where tables and actions are declared."""

    control_of_table: Mapping[str, str]
    control_of_action: Mapping[str, str | None]
    """None for an action that several controls share."""


def places(pipeline: Pipeline, profile: str) -> Places:
    """Each table where it is applied, each action where its tables are."""
    tables: dict[str, str] = {}
    runs: dict[str, str] = {}
    for control in pipeline.controls:
        for statement in walking.statements(control.body):
            if isinstance(statement, Apply):
                if statement.table in tables:
                    raise UnprintableError(profile, f"table {statement.table} is applied twice", statement.span)
                tables[statement.table] = control.name
            if isinstance(statement, Run):
                if statement.control in runs:
                    raise UnprintableError(profile, f"control {statement.control} is run twice", statement.span)
                runs[statement.control] = control.name
    actions: dict[str, str | None] = {}
    for table in pipeline.tables:
        if table.name not in tables:
            raise UnprintableError(profile, f"table {table.name} is never applied", table.span)
        for ref in table.actions:
            here = tables[table.name]
            actions[ref.name] = here if actions.get(ref.name, here) == here else None
    for action in pipeline.actions:
        if action.name not in actions:
            raise UnprintableError(profile, f"action {action.name} belongs to no table", action.span)
    return Places(control_of_table=tables, control_of_action=actions)


def in_call_order(pipeline: Pipeline) -> tuple[str, ...]:
    """Controls that are run come before those that run them, as P4 wants declarations."""
    names, done = Names(pipeline), dict[str, None]()

    def visit(name: str) -> None:
        for statement in walking.statements(names.controls[name].body):
            if isinstance(statement, Run):
                visit(statement.control)
        done[name] = None

    visit(pipeline.main)
    return tuple(done)
