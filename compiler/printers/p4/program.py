"""A pipeline as the view of a program; a profile fills in how its target says things."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain

from compiler.ir import walking
from compiler.ir.entries import ActionCall
from compiler.ir.expressions import FieldRef, IsValid, width_bits
from compiler.ir.names import Names
from compiler.ir.nodes import Control, Pipeline
from compiler.ir.statements import Apply, Pop, PopVlan, Push, PushVlan, Rewrite, Statement
from compiler.ir.tables import Action, Counter, DirectMeter, InitialEntry, Meter, MeterType, Selector, Table
from compiler.printers.p4 import declarations
from compiler.printers.p4.annotations import comment
from compiler.printers.p4.expressions import ExpressionPrinter, number
from compiler.printers.p4.identifiers import Identifiers, Scope, identifiers
from compiler.printers.p4.statements import StatementPrinter, indented
from compiler.printers.p4.sums import SumPrinter, sums
from compiler.printers.p4.view import ControlView, DeclarationView, Lines, ProgramView, StateView, TableView
from compiler.printers.p4.walking import expressions
from compiler.printers.p4info import ORGANIZATION

Provenance = Mapping[str, tuple[str, ...]]
"""The policy lines behind a table's entries, by table."""


class ProgramPrinter(ABC):
    """Makes the view of one pipeline for one profile."""

    profile: str

    def __init__(self, pipeline: Pipeline, provenance: Provenance) -> None:
        self.pipeline = pipeline
        self.provenance = provenance
        self.names = Names(pipeline)
        self.ids: Identifiers = identifiers(pipeline)
        self.sums = sums(pipeline, self.ids)
        self.places = declarations.places(pipeline, self.profile)

    @abstractmethod
    def expression_printer(self, scope: Scope, action: str = "") -> ExpressionPrinter: ...

    @abstractmethod
    def statement_printer(self, printer: ExpressionPrinter) -> StatementPrinter: ...

    @abstractmethod
    def parser_start(self) -> Lines: ...

    @abstractmethod
    def counter(self, counter: Counter) -> DeclarationView: ...

    @abstractmethod
    def direct_counter(self, table: Table, counter_id: int) -> DeclarationView: ...

    @abstractmethod
    def meter(self, meter: Meter) -> DeclarationView: ...

    @abstractmethod
    def direct_meter(self, table: Table, meter: DirectMeter) -> DeclarationView: ...

    @abstractmethod
    def selector(self, selector: Selector) -> DeclarationView: ...

    @abstractmethod
    def properties(self, table: Table) -> Lines:
        """Properties of a table besides key, actions and size."""

    @abstractmethod
    def digests(self) -> tuple[DeclarationView, ...]: ...

    @abstractmethod
    def update(self) -> Lines: ...

    @abstractmethod
    def extra_constants(self) -> tuple[DeclarationView, ...]: ...

    def extra_declarations(self, control: Control) -> tuple[DeclarationView, ...]:
        """What the profile declares in a control besides the pipeline's own."""
        del control
        return ()

    def action_start(self, action: Action) -> list[str]:
        """What the profile does at the start of an action."""
        del action
        return []

    def action_end(self, action: Action) -> list[str]:
        """What the profile does at the end of an action."""
        del action
        return []

    def default_action(self, table: Table) -> str:
        return self.ids.actions[table.default_action]

    def extra_metadata(self) -> Lines:
        return ()

    def extra_header_types(self) -> tuple[DeclarationView, ...]:
        return ()

    def extra_headers(self) -> Lines:
        """Headers in front of a frame."""
        return ()

    def received(self) -> Lines:
        return ()

    def egress(self) -> Lines:
        """What is done with each copy of a packet."""
        return ()

    def view(self) -> ProgramView:
        sum_printer = SumPrinter(names=self.names, ids=self.ids, sums=self.sums)
        return ProgramView(
            name=self.pipeline.name,
            version=self.pipeline.version,
            organization=ORGANIZATION,
            doc=self.pipeline.doc,
            constants=(
                *declarations.translated_types(self.pipeline, self.ids, self.profile),
                *declarations.constants(self.pipeline, self.ids),
                *self.extra_constants(),
            ),
            header_types=(*declarations.header_types(self.pipeline, self.ids), *self.extra_header_types()),
            headers=(*self.extra_headers(), *declarations.headers(self.pipeline, self.ids)),
            metadata=(*declarations.metadata(self.pipeline, self.ids), *self.extra_metadata()),
            sums=self.sums.declarations(),
            sums_field=self.sums.field,
            received=self.received(),
            digests=self.digests(),
            externs=(
                *map(self.counter, self.pipeline.counters),
                *map(self.meter, self.pipeline.meters),
                *chain.from_iterable(self._actions(None, {})),
            ),
            states=self.states(),
            prepare=sum_printer.complements(),
            controls=tuple(self._control(name) for name in declarations.in_call_order(self.pipeline)),
            main=self.ids.controls[self.pipeline.main],
            update=self.update(),
            egress=self.egress(),
        )

    def states(self) -> tuple[StateView, ...]:
        printer = declarations.ParserPrinter(
            names=self.names,
            ids=self.ids,
            expressions=self.expression_printer(self.ids.top.copy()),
            start=self.parser_start(),
        )
        return printer.states()

    def _control(self, name: str) -> ControlView:
        control = self.names.controls[name]
        expression_printer = self.expression_printer(self.ids.top.copy())
        body = self.statement_printer(expression_printer).block(control.body)
        tables = self._tables_of(name)
        instances, actions = self._actions(name, expression_printer.instances)
        return ControlView(
            comment=comment(control.doc),
            name=self.ids.controls[name],
            declarations=(
                *instances,
                *self._externs(tables),
                *actions,
                *self.extra_declarations(control),
            ),
            tables=tuple(self._table(table) for table in tables),
            body=tuple(body),
        )

    def _tables_of(self, control: str) -> tuple[Table, ...]:
        """In the order in which they are applied."""
        applied = (s.table for s in walking.statements(self.names.controls[control].body) if isinstance(s, Apply))
        return tuple(self.names.tables[name] for name in applied)

    def _externs(self, tables: tuple[Table, ...]) -> tuple[DeclarationView, ...]:
        counters = (self.direct_counter(t, t.counter_id) for t in tables if t.counter_id is not None)
        meters = (self.direct_meter(t, t.meter) for t in tables if t.meter is not None)
        selectors = (self.selector(t.selector) for t in tables if t.selector is not None)
        return (*counters, *meters, *selectors)

    def _actions(
        self, control: str | None, instances: Mapping[str, str]
    ) -> tuple[tuple[DeclarationView, ...], tuple[DeclarationView, ...]]:
        """What a block and its actions need instances of, `instances` being those of the block itself; the actions."""
        here = self.places.control_of_action
        needed, made = dict(instances), list[DeclarationView]()
        for action in self.pipeline.actions:
            if here[action.name] == control:
                scope = self.ids.top.copy()
                scope.allocate_all(needed)
                printer = self.expression_printer(scope, action.name)
                made.append(self._action(action, printer))
                needed |= printer.instances
        return tuple(DeclarationView(comment=(), lines=(line,)) for line in needed.values()), tuple(made)

    def _action(self, action: Action, expression_printer: ExpressionPrinter) -> DeclarationView:
        printer = self.statement_printer(expression_printer)
        body = [*self.action_start(action), *printer.block(action.body), *self.action_end(action)]
        first = declarations.signature(action, self.ids.actions[action.name], self.ids, self._directed(action))
        lines = (*first, *indented(body), "}") if body else (*first[:-1], f"{first[-1]} }}")
        return DeclarationView(comment=declarations.action_preamble(action), lines=lines)

    def _directed(self, action: Action) -> tuple[str, ...]:
        """An action outside of all controls gets what it touches as parameters with a direction."""
        types = {"hdr": "inout headers_t hdr", "meta": "inout metadata_t meta"}
        return tuple(types[name] for name in self._touched(action))

    def _touched(self, action: Action) -> tuple[str, ...]:
        if self.places.control_of_action[action.name] is not None or not action.body:
            return ()
        touches_headers = any(_touches_headers(statement) for statement in walking.statements(action.body))
        return ("hdr", "meta") if touches_headers else ("meta",)

    def _table(self, table: Table) -> TableView:
        printer = self.expression_printer(self.ids.top.copy())
        return TableView(
            comment=declarations.policy_comment(self.provenance.get(table.name, ())),
            annotations=declarations.table_preamble(table),
            name=self.ids.tables[table.name],
            keys=declarations.keys(table, printer),
            actions=self.action_list(table),
            properties=(
                self._default_property(table),
                f"size = {table.size};",
                *self.properties(table),
                *self._entries_property(table),
            ),
        )

    def _default_property(self, table: Table) -> str:
        const = "const " if table.has_const_default else ""
        return f"{const}default_action = {self.default_action(table)}({self._arguments(table.default_call)});"

    def _entries_property(self, table: Table) -> Lines:
        if not table.entries and not table.has_const_entries:
            return ()
        lines = [self._entry(table, entry) for entry in table.entries]
        opening = "const entries = {" if table.has_const_entries else "entries = {"
        return (opening, *indented(lines), "}")

    def _entry(self, table: Table, entry: InitialEntry) -> str:
        keys = ", ".join(
            declarations.keyset(m, width_bits(k.expr)) for m, k in zip(entry.matches, table.keys, strict=True)
        )
        call = f"{self.ids.actions[entry.action.action]}({self._arguments(entry.action)})"
        if table.has_const_entries:  # their order is their priority
            return f"({keys}) : {call};"
        const = "const " if entry.is_const else ""
        priority = f"priority = {entry.priority} : " if entry.priority else ""
        return f"{const}{priority}({keys}) : {call};"

    def _arguments(self, call: ActionCall) -> str:
        """Of a call outside of controls, also what the action touches."""
        params = self.names.actions[call.action].params
        values = (number(value, param.width_bits) for param, value in zip(params, call.arguments, strict=True))
        return ", ".join((*self._touched(self.names.actions[call.action]), *values))

    def action_list(self, table: Table) -> Lines:
        lines: list[str] = []
        for ref in table.actions:
            touched = self._touched(self.names.actions[ref.name])
            call = f"({', '.join(touched)})" if touched else ""
            lines.append(f"{declarations.scope_annotation(ref)}{self.ids.actions[ref.name]}{call};")
        return tuple(lines)


def meter_type(kind: MeterType) -> Lines:
    """The annotation by which P4Info gets a meter's type; two rates and three colours are what it is without one."""
    return () if kind is MeterType.TWO_RATE_THREE_COLOR else (f"@{kind.value}",)


def _touches_headers(statement: Statement) -> bool:
    if isinstance(statement, (Rewrite, Push, Pop, PushVlan, PopVlan)):
        return True
    return any(isinstance(expr, (FieldRef, IsValid)) for expr in expressions(statement))
