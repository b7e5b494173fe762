"""The v1model profile, as BMv2's simple_switch runs it.

docs/p4.md says how it differs from the pipeline: what is left to the kernel goes out of `KERNEL_PORT` as it came,
learning is a digest, and the control plane ages learned entries.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import walking
from compiler.ir.controller import PACKET_IN, ControllerField, Digest, DigestField
from compiler.ir.expressions import Const, Expr, Hash, Now, Random, width_bits
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import (
    Advance,
    Clone,
    Drop,
    Forward,
    Learn,
    Multicast,
    Punt,
    Reply,
    SendDigest,
    Statement,
    ToKernel,
    Verdict,
)
from compiler.ir.tables import Action, Counter, DirectMeter, Meter, Selector, Store, Table
from compiler.printers.p4.annotations import comment, preamble, renamed
from compiler.printers.p4.controllers import ControllerPrinter
from compiler.printers.p4.copies import CopyPrinter, copy_printer
from compiler.printers.p4.expressions import ExpressionPrinter, sized
from compiler.printers.p4.identifiers import Scope, direct_counter_name, direct_meter_name
from compiler.printers.p4.learning import check_learns_alone
from compiler.printers.p4.program import ProgramPrinter, Provenance, meter_type
from compiler.printers.p4.refusals import UnprintableError, refuse_turns
from compiler.printers.p4.statements import StatementPrinter, wrapped
from compiler.printers.p4.sums import SumPrinter, SumView
from compiler.printers.p4.view import DeclarationView, Lines, StateView
from compiler.printers.v1model_p4info import digest_fields

PROFILE = "v1model"
INGRESS_PORT = "ingress_port"
KERNEL_PORT = 510
"""BMv2 drops what is sent to 511, so this is the last port."""
_PORT_BITS = 9
_MEASURE = '@selector_size_semantics("sum_of_weights")'
_HASH_BITS = 32
_SELECTOR_HASH_BITS = 32
# floor(x / 1000) of 48 bits, exact: the reciprocal is rounded up by less than 2**-12 of a thousandth.
_RECIPROCAL_OF_1000, _RECIPROCAL_SHIFT = -(-(1 << 60) // 1000), 60


class _Expressions(ExpressionPrinter):
    def hash(self, expr: Hash) -> str:
        if expr.width_bits > _HASH_BITS:
            raise UnprintableError(PROFILE, f"a hash of {expr.width_bits} bits", expr.span)
        local = self.scope.allocate("hashed")
        inputs = ", ".join(self.sized(part) for part in expr.inputs)
        limit = sized(1 << expr.width_bits, 64)
        self.prelude += [
            f"bit<{expr.width_bits}> {local};",
            f"hash({local}, HashAlgorithm.crc32, {sized(0, expr.width_bits)}, {{ {inputs} }}, {limit});",
        ]
        return local

    def now(self, expr: Now) -> str:
        """Microseconds are divided by multiplying; P4 divides by nothing else."""
        del expr
        wide = "(bit<128>)standard.ingress_global_timestamp"
        return f"(bit<64>)(({wide} * {_RECIPROCAL_OF_1000}) >> {_RECIPROCAL_SHIFT})"

    def random(self, expr: Random) -> str:
        local = self.scope.allocate("drawn")
        highest = sized((1 << expr.width_bits) - 1, expr.width_bits)
        self.prelude += [
            f"bit<{expr.width_bits}> {local};",
            f"random({local}, {sized(0, expr.width_bits)}, {highest});",
        ]
        return local


class _Statements(StatementPrinter):
    def learn(self, statements: tuple[Learn, ...]) -> list[str]:
        """One digest for all: BMv2 sends no more than the last one of a packet."""
        first = statements[0]
        store = self.names.tables[first.table].store
        tables = [table.name for table in self.pipeline.tables if table.store == store]
        if store is None or [statement.table for statement in statements] != tables:
            what = f"entries of {', '.join(tables)} that are not learned side by side, since a packet has one digest"
            raise UnprintableError(PROFILE, what, first.span)
        check_learns_alone(first, self.names)
        listed = [f"    {self.expressions.sized(value)}" for learn in statements for value in self._told(learn)]
        separated = [*(f"{line}," for line in listed[:-1]), listed[-1]]
        return [f"digest<{self.ids.digests[store]}>(1, {{", *separated, "});"]

    def _told(self, statement: Learn) -> tuple[Expr, ...]:
        """Key, arguments, profile, as `digest_fields` names them."""
        keys = self.names.tables[statement.table].keys
        return (*(key.expr for key in keys), *statement.arguments, statement.profile)

    def advance(self, statement: Advance) -> list[str]:
        """Told by a comment on the action."""
        del statement
        return []

    def count(self, counter: str, index: str) -> list[str]:
        return [f"{counter}.count({index});"]

    def execute(self, meter: str, index: str, target: str) -> list[str]:
        return [f"{meter}.execute_meter({index}, {target});"]

    def execute_direct(self, meter: str, target: str) -> list[str]:
        return [f"{meter}.read({target});"]

    def run(self, control: str) -> list[str]:
        return [f"{self.ids.controls[control]}.apply(hdr, meta, standard);"]

    def digest(self, statement: SendDigest) -> list[str]:
        """BMv2 sends no more than the last one of a packet."""
        values = dict(statement.values)
        texts = [self._digest_value(f, values) for f in self.names.digests[statement.digest].fields]
        return [*wrapped(texts, f"digest<{self.ids.digest_types[statement.digest]}>(1, {{ ", " });")]

    def _digest_value(self, field: DigestField, values: dict[str, Expr]) -> str:
        if field.type:
            value = values.get(field.name, Const(value=0, width_bits=field.width_bits))
            return f"({field.type}){self.expressions.operand(value)}"
        return self.expressions.sized(values[field.name]) if field.name in values else sized(0, field.width_bits)

    @property
    def _copies(self) -> CopyPrinter:
        return copy_printer(self.pipeline, self.ids, self.sums.field)

    def clone(self, statement: Clone) -> list[str]:
        return self._copies.clone(statement, self._tight(statement.session), self.expressions)

    def verdict(self, verdict: Verdict) -> list[str]:
        match verdict:
            case Forward(port=port):
                lines = [f"standard.egress_spec = {self._port(port)};"]
            case Reply():
                lines = ["standard.egress_spec = standard.ingress_port;"]
            case ToKernel():
                lines = ["standard.egress_spec = KERNEL_PORT;"]
            case Drop(reason=reason):
                lines = self._drop(reason)
            case Multicast(group=group, unknown=unknown):
                lines = self._copies.multicast(verdict, self._tight(group), self._drop(unknown), self.expressions)
            case Punt(values=values):
                lines = [*self._packet_in(dict(values)), "standard.egress_spec = CPU_PORT;"]
        return [*lines, "exit;"]

    def _drop(self, reason: str) -> list[str]:
        drops = self.ids.counters[self.pipeline.drop_counter]
        return [f"{drops}.count({self.ids.reasons[reason]});", "mark_to_drop(standard);"]

    def _packet_in(self, values: dict[str, Expr]) -> list[str]:
        fields = self.pipeline.packet_in.fields if self.pipeline.packet_in is not None else ()
        names = [self.ids.controller_fields[PACKET_IN, f.name] for f in fields]
        texts = [f"    {name} = {self._controller_value(f, values)}" for name, f in zip(names, fields, strict=True)]
        return [f"hdr.{PACKET_IN} = {{", *(f"{text}," for text in texts[:-1]), texts[-1], "};"]

    def _controller_value(self, field: ControllerField, values: dict[str, Expr]) -> str:
        value = values.get(field.name, Const(value=0, width_bits=field.width_bits))
        return f"({field.type}){self.expressions.operand(value)}" if field.type else self.expressions.value(value)

    def _port(self, port: Expr) -> str:
        if width_bits(port) == _PORT_BITS:
            return self.expressions.sized(port)
        return f"(bit<{_PORT_BITS}>){self.expressions.operand(port)}"

    def cut(self, block: Sequence[Statement], index: int) -> list[str]:
        *lines, length = self.cut_lines(block, index)
        return ["// v1model cuts whole packets, as they leave.", *lines, f"truncate({length});"]


class _Program(ProgramPrinter):
    profile = PROFILE

    def expression_printer(self, scope: Scope, action: str = "") -> ExpressionPrinter:
        return _Expressions(self.names, self.ids, scope, action)

    def statement_printer(self, printer: ExpressionPrinter) -> StatementPrinter:
        return _Statements(self.pipeline, self.ids, self.sums, printer)

    def parser_start(self) -> Lines:
        width = next(f.width_bits for f in self.pipeline.metadata if f.name == INGRESS_PORT)
        return (f"meta.{self.ids.metadata[INGRESS_PORT]} = (bit<{width}>)standard.ingress_port;",)

    @property
    def _controllers(self) -> ControllerPrinter:
        return ControllerPrinter(pipeline=self.pipeline, ids=self.ids)

    @property
    def _copies(self) -> CopyPrinter:
        return copy_printer(self.pipeline, self.ids, self.sums.field)

    def extra_metadata(self) -> Lines:
        return self._copies.metadata()

    def egress(self) -> Lines:
        return self._copies.egress()

    def extra_header_types(self) -> tuple[DeclarationView, ...]:
        return self._controllers.types()

    def extra_headers(self) -> Lines:
        return self._controllers.headers()

    def received(self) -> Lines:
        return self._controllers.received()

    def states(self) -> tuple[StateView, ...]:
        return self._controllers.states(super().states(), self.parser_start())

    def extra_constants(self) -> tuple[DeclarationView, ...]:
        words = "What the pipeline leaves to the kernel goes out of this port, as it came."
        kernel = DeclarationView(comment=comment(words), lines=(f"const bit<9> KERNEL_PORT = {KERNEL_PORT};",))
        return (kernel, *self._controllers.constants())

    def counter(self, counter: Counter) -> DeclarationView:
        name = self.ids.counters[counter.name]
        line = f"counter<bit<32>>({counter.size}, CounterType.packets_and_bytes) {name};"
        return DeclarationView(comment=preamble(counter.id, counter.name, counter.doc), lines=(line,))

    def direct_counter(self, table: Table, counter_id: int) -> DeclarationView:
        line = f"direct_counter(CounterType.packets_and_bytes) {self.ids.direct_counters[table.name]};"
        return DeclarationView(comment=preamble(counter_id, direct_counter_name(table), ""), lines=(line,))

    def meter(self, meter: Meter) -> DeclarationView:
        words = (*preamble(meter.id, meter.name, meter.doc), *meter_type(meter.type))
        line = f"meter<bit<32>>({meter.size}, MeterType.{meter.unit.value}) {self.ids.meters[meter.name]};"
        return DeclarationView(comment=words, lines=(line,))

    def direct_meter(self, table: Table, meter: DirectMeter) -> DeclarationView:
        words = (*preamble(meter.id, direct_meter_name(table), ""), *meter_type(meter.type))
        line = f"direct_meter<bit<2>>(MeterType.{meter.unit.value}) {self.ids.direct_meters[table.name]};"
        return DeclarationView(comment=words, lines=(line,))

    def selector(self, selector: Selector) -> DeclarationView:
        refuse_turns(PROFILE, selector)
        words = (*preamble(selector.id, selector.name, ""), _MEASURE, f"@max_group_size({selector.max_group_size})")
        algorithm = f"HashAlgorithm.crc32, {selector.size}, {_SELECTOR_HASH_BITS}"
        line = f"action_selector({algorithm}) {self.ids.selectors[selector.name]};"
        return DeclarationView(comment=words, lines=(line,))

    def properties(self, table: Table) -> Lines:
        lines: list[str] = []
        if table.selector is not None:
            lines.append(f"implementation = {self.ids.selectors[table.selector.name]};")
        if table.counter_id is not None:
            lines.append(f"counters = {self.ids.direct_counters[table.name]};")
        if table.meter is not None:
            lines.append(f"meters = {self.ids.direct_meters[table.name]};")
        if table.store is not None or table.idle_timeout:
            lines.append("support_timeout = true;")
        return tuple(lines)

    def digests(self) -> tuple[DeclarationView, ...]:
        said = (self._said(digest) for digest in self.pipeline.digests)
        return (*(self._digest(store) for store in self.pipeline.stores), *said)

    def _said(self, digest: Digest) -> DeclarationView:
        scope = Scope(members=True)
        named = ((f, scope.allocate(f.name)) for f in digest.fields)
        fields = (f"    {renamed(f.name, own)}{f.type or f'bit<{f.width_bits}>'} {own};" for f, own in named)
        lines = (f"struct {self.ids.digest_types[digest.name]} {{", *fields, "}")
        return DeclarationView(comment=comment(digest.doc or "What a digest says."), lines=lines)

    def _digest(self, store: Store) -> DeclarationView:
        scope = Scope(members=True)
        named = ((scope.allocate(name), width) for name, width in digest_fields(self.names, store))
        lines = (
            f"struct {self.ids.digests[store.name]} {{",
            *(f"    bit<{width}> {name};" for name, width in named),
            "}",
        )
        words = f"What the control plane inserts for {store.name}: of each table key, arguments, expiry profile."
        return DeclarationView(comment=comment(words), lines=lines)

    def action_start(self, action: Action) -> list[str]:
        if not any(isinstance(statement, Advance) for statement in walking.statements(action.body)):
            return []
        return ["// How far the connection is cannot be told to an entry here: the control plane ages entries."]

    def update(self) -> Lines:
        printer = SumPrinter(names=self.names, ids=self.ids, sums=self.sums)
        return tuple(line for view in printer.all() for line in _update(view))


def _update(view: SumView) -> tuple[str, ...]:
    return (
        f"// {view.comment}",
        f"update_checksum({view.condition},",
        *wrapped(view.data, "    { ", " },"),
        f"    {view.target}, HashAlgorithm.csum16);",
    )


def program(pipeline: Pipeline, provenance: Provenance | None = None) -> ProgramPrinter:
    """What makes the view of the v1model program. Raises `UnprintableError`."""
    return _Program(pipeline, provenance or {})
