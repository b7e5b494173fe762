"""The PNA profile (Portable NIC Architecture 0.7): a table learns by its own default action and ages by itself.

Prints pipelines in which learning stands where PNA has it (`compiler.printers.p4.insertion`). docs/p4.md says how the
profile differs from the pipeline; what it cannot say at all is an `UnprintableError`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from compiler.ir.expressions import Const, Expr, FieldRef, Hash, MetaRef, Now, ParamRef, Random
from compiler.ir.nodes import Control, Pipeline
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
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
from compiler.ir.tables import Action, Counter, DirectMeter, Meter, Selector, Table
from compiler.printers.p4.annotations import comment, preamble
from compiler.printers.p4.declarations import scope_annotation
from compiler.printers.p4.expressions import ExpressionPrinter, sized
from compiler.printers.p4.identifiers import Scope, direct_counter_name, direct_meter_name, learner_name
from compiler.printers.p4.insertion import ACTION_IDS, Insertion, insertion, insertions
from compiler.printers.p4.program import ProgramPrinter, Provenance, meter_type
from compiler.printers.p4.refusals import UnprintableError, refuse_turns
from compiler.printers.p4.statements import StatementPrinter, indented, wrapped
from compiler.printers.p4.sums import SumPrinter, SumView
from compiler.printers.p4.view import DeclarationView, Lines
from compiler.printers.p4.walking import statements

PROFILE = "PNA"
INGRESS_PORT = "ingress_port"
KERNEL_PORT = 510
_SELECTOR_HASH_BITS = 32
_HASH, _COUNTED = "PNA_HashAlgorithm_t.TARGET_DEFAULT", "PNA_CounterType_t.PACKETS_AND_BYTES"
_MEASURE = '@selector_size_semantics("sum_of_weights")'


class _Expressions(ExpressionPrinter):
    def hash(self, expr: Hash) -> str:
        local = self.scope.allocate("hashed")
        self.instances[local] = f"Hash<bit<{expr.width_bits}>>({_HASH}) {local};"
        return f"{local}.get_hash({{ {', '.join(self.sized(part) for part in expr.inputs)} }})"

    def now(self, expr: Now) -> str:
        raise UnprintableError(PROFILE, "milliseconds: PNA leaves the unit of its timestamp to the target", expr.span)

    def random(self, expr: Random) -> str:
        local, highest = self.scope.allocate("drawn"), (1 << expr.width_bits) - 1
        low, high = sized(0, expr.width_bits), sized(highest, expr.width_bits)
        self.instances[local] = f"Random<bit<{expr.width_bits}>>({low}, {high}) {local};"
        return f"{local}.read()"


class _Statements(StatementPrinter):
    refused: Mapping[str, str]
    """By table: the metadata field that says that its default action could not learn."""
    expiry: Mapping[str, str]
    """By event: the constant of the profile that it leads to, for the action being printed."""

    def learn(self, statements: tuple[Learn, ...]) -> list[str]:
        first = statements[0]
        raise UnprintableError(PROFILE, f"{first.table} learns elsewhere than in its own default action", first.span)

    def apply(self, statement: Apply) -> list[str]:
        made = insertion(statement)
        if made is None:
            return super().apply(statement)
        full = self.block(made.learn.on_full)
        check = [f"if ({self.refused[statement.table]} == 1) {{", *indented(full), "}"] if full else []
        hit, miss = self.block(statement.on_hit), [*check, *self.block(made.rest)]
        return self.branches(self.ids.tables[statement.table], hit, miss)

    def insert(self, made: Insertion) -> list[str]:
        """The body of the default action."""
        learn = made.learn
        if learn.renews:
            raise UnprintableError(PROFILE, f"an entry of {learn.table} that is renewed", learn.span)
        arguments = (self.expressions.sized(argument) for argument in learn.arguments)
        lines = [
            "bool added = add_entry(",
            f'    action_name = "{self.ids.actions[learn.action]}",',
            *wrapped(arguments, "    action_params = { ", " },"),
            f"    expire_time_profile_id = (ExpireTimeProfileId_t){self.expressions.sized(learn.profile)});",
            f"if (!added) {{ {self.refused[learn.table]} = 1; }}",
        ]
        if made.condition is None:
            return lines
        return [f"if ({self.expressions.condition(made.condition)}) {{", *indented(lines), "}"]

    def advance(self, statement: Advance) -> list[str]:
        if statement.event not in self.expiry:
            what = f"event {statement.event} leads to more than one profile, and an entry cannot see its own"
            raise UnprintableError(PROFILE, what, statement.span)
        return [f"set_entry_expire_time((ExpireTimeProfileId_t){self.expiry[statement.event]});"]

    def count(self, counter: str, index: str) -> list[str]:
        return [f"{counter}.count({index});"]

    def execute(self, meter: str, index: str, target: str) -> list[str]:
        return self._color(f"{meter}.execute({index})", target)

    def execute_direct(self, meter: str, target: str) -> list[str]:
        return self._color(f"{meter}.execute()", target)

    def _color(self, call: str, target: str) -> list[str]:
        """PNA's colours are no numbers."""
        local = self.expressions.scope.allocate("color")
        yellow = f"({local} == PNA_MeterColor_t.YELLOW ? 2w1 : 2w0)"
        return [
            f"PNA_MeterColor_t {local} = {call};",
            f"{target} = {local} == PNA_MeterColor_t.RED ? 2w2 : {yellow};",
        ]

    def run(self, control: str) -> list[str]:
        return [f"{self.ids.controls[control]}.apply(hdr, meta, input);"]

    def digest(self, statement: SendDigest) -> list[str]:
        raise UnprintableError(PROFILE, f"digest {statement.digest}", statement.span)

    def clone(self, statement: Clone) -> list[str]:
        """The session, as the control plane configures it, copies the packet as it came (PRE_MODIFY)."""
        session = statement.session
        if statement.values:
            raise UnprintableError(PROFILE, "a copy that says something to the controller", statement.span)
        if not isinstance(session, Const) or not session.value:
            what = "a clone session that is no constant, or 0, which PNA keeps for itself"
            raise UnprintableError(PROFILE, what, statement.span)
        return [f"mirror_packet((MirrorSlotId_t)0, (MirrorSessionId_t){session.value});"]

    def verdict(self, verdict: Verdict) -> list[str]:
        match verdict:
            case Forward(port=port):
                self._check_port(port)
                lines = list[str]()
            case Reply():
                raise UnprintableError(PROFILE, "back out of the port that the packet came in by", verdict.span)
            case ToKernel():
                lines = ["send_to_port((PortId_t)KERNEL_PORT);"]
            case Drop(reason=reason):
                drops = self.ids.counters[self.pipeline.drop_counter]
                lines = [f"{drops}.count({self.ids.reasons[reason]});", "drop_packet();"]
            case Punt():
                raise UnprintableError(PROFILE, "a packet that goes to the controller", verdict.span)
            case Multicast():
                raise UnprintableError(PROFILE, "a packet that goes to a multicast group", verdict.span)
        return [*lines, "exit;"]

    def _check_port(self, port: Expr) -> None:
        """The port has been said by the action that an entry told it to: `send_to_port` takes nothing else."""
        if not isinstance(port, MetaRef) or port.name not in said_ports(self.pipeline):
            raise UnprintableError(PROFILE, "a port that is not the argument of a table's action", port.span)

    def cut(self, block: Sequence[Statement], index: int) -> list[str]:
        raise UnprintableError(PROFILE, "a packet cut to a length", block[index].span)


def _metered(meter: Meter | DirectMeter) -> str:
    return f"PNA_MeterType_t.{meter.unit.value.upper()}"


@cache
def said_ports(pipeline: Pipeline) -> frozenset[str]:
    """The metadata that packets are forwarded to, if only actions set it, each to an argument of its own."""
    ports = {s.port for s in statements(pipeline) if isinstance(s, Forward)}
    forwarded = {port.name for port in ports if isinstance(port, MetaRef)}
    by_actions = [s for action in pipeline.actions for s in action.body]
    for statement in statements(pipeline):
        if isinstance(statement, Assign) and _is_among(forwarded, statement.target):
            is_argument = statement in by_actions and isinstance(statement.value, ParamRef)
            if not is_argument:
                forwarded.discard(statement.target.name)
    return frozenset(forwarded) if len(ports) == 1 else frozenset()


def _is_among(names: Collection[str], target: MetaRef | FieldRef) -> bool:
    return isinstance(target, MetaRef) and target.name in names


class _Program(ProgramPrinter):
    profile = PROFILE

    def __init__(self, pipeline: Pipeline, provenance: Provenance) -> None:
        super().__init__(pipeline, provenance)
        self.insertions = insertions(pipeline)
        self.learners = {table: self.ids.learners[table] for table in self.insertions}
        """The default action that learns, by table."""
        scope = self.ids.metadata_scope.copy()
        scope.allocate(self.sums.field)
        self.refused = {table: scope.allocate(f"refused_{table}") for table in self.insertions}

    def expression_printer(self, scope: Scope, action: str = "") -> ExpressionPrinter:
        return _Expressions(self.names, self.ids, scope, action)

    def statement_printer(self, printer: ExpressionPrinter) -> _Statements:
        made = _Statements(self.pipeline, self.ids, self.sums, printer)
        made.refused = {table: f"meta.{name}" for table, name in self.refused.items()}
        made.expiry = self._expiry(printer.action) if printer.action else {}
        return made

    def _expiry(self, action: str) -> dict[str, str]:
        """The events of the action's store that lead to one profile from every other."""
        stores = {t.store for t in self.pipeline.tables if any(ref.name == action for ref in t.actions)} - {None}
        found: dict[str, str] = {}
        for store in (self.names.stores[name] for name in sorted(filter(None, stores))):
            for event in store.events:
                nexts = {t.next for t in store.transitions if t.event == event}
                currents = {t.current for t in store.transitions if t.event == event}
                pairs = any(t.other or t.other_next for t in store.transitions if t.event == event)
                if not pairs and len(nexts) == 1 and nexts | currents == {profile.name for profile in store.profiles}:
                    found[event] = self.ids.profiles[store.name, nexts.pop()]
        return found

    def parser_start(self) -> Lines:
        width = next(f.width_bits for f in self.pipeline.metadata if f.name == INGRESS_PORT)
        port = "((PortIdUint_t)input.input_port)"
        return (f"meta.{self.ids.metadata[INGRESS_PORT]} = {port}[{width - 1}:0];",)

    def extra_metadata(self) -> Lines:
        return tuple(f"bit<1> {name};" for name in self.refused.values())

    def extra_constants(self) -> tuple[DeclarationView, ...]:
        words = "The host port: what the pipeline leaves to the kernel goes there as it came."
        made = [DeclarationView(comment=comment(words), lines=(f"const PortIdUint_t KERNEL_PORT = {KERNEL_PORT};",))]
        for store in self.pipeline.stores:
            for profile in store.profiles:
                name = self.ids.profiles[store.name, profile.name]
                line = f"const ExpireTimeProfileIdUint_t {name} = {profile.id};"
                words = f"An expiry profile that the control plane sets to {profile.timeout_ms} ms."
                made.append(DeclarationView(comment=comment(words), lines=(line,)))
        return tuple(made)

    def counter(self, counter: Counter) -> DeclarationView:
        line = f"Counter<bit<64>, bit<32>>({counter.size}, {_COUNTED}) {self.ids.counters[counter.name]};"
        return DeclarationView(comment=preamble(counter.id, counter.name, counter.doc), lines=(line,))

    def direct_counter(self, table: Table, counter_id: int) -> DeclarationView:
        line = f"DirectCounter<bit<64>>({_COUNTED}) {self.ids.direct_counters[table.name]};"
        return DeclarationView(comment=preamble(counter_id, direct_counter_name(table), ""), lines=(line,))

    def meter(self, meter: Meter) -> DeclarationView:
        words = (*preamble(meter.id, meter.name, meter.doc), *meter_type(meter.type))
        line = f"Meter<bit<32>>({meter.size}, {_metered(meter)}) {self.ids.meters[meter.name]};"
        return DeclarationView(comment=words, lines=(line,))

    def direct_meter(self, table: Table, meter: DirectMeter) -> DeclarationView:
        words = (*preamble(meter.id, direct_meter_name(table), ""), *meter_type(meter.type))
        line = f"DirectMeter({_metered(meter)}) {self.ids.direct_meters[table.name]};"
        return DeclarationView(comment=words, lines=(line,))

    def selector(self, selector: Selector) -> DeclarationView:
        refuse_turns(PROFILE, selector)
        words = (*preamble(selector.id, selector.name, ""), _MEASURE, f"@max_group_size({selector.max_group_size})")
        line = f"ActionSelector({_HASH}, {selector.size}, {_SELECTOR_HASH_BITS}) {self.ids.selectors[selector.name]};"
        return DeclarationView(comment=words, lines=(line,))

    def properties(self, table: Table) -> Lines:
        lines: list[str] = []
        if table.selector is not None:
            lines.append(f"pna_implementation = {self.ids.selectors[table.selector.name]};")
        if table.counter_id is not None:
            lines.append(f"pna_direct_counter = {self.ids.direct_counters[table.name]};")
        if table.meter is not None:
            lines.append(f"pna_direct_meter = {self.ids.direct_meters[table.name]};")
        if table.idle_timeout:
            lines.append("pna_idle_timeout = PNA_IdleTimeout_t.NOTIFY_CONTROL;")
        if table.store is not None:
            lines += ("add_on_miss = true;", "idle_timeout_with_auto_delete = true;")
        return tuple(lines)

    def digests(self) -> tuple[DeclarationView, ...]:
        return ()

    def action_start(self, action: Action) -> list[str]:
        """PNA counts a hit where the action says so."""
        counters = {
            table.counter_id and self.ids.direct_counters[table.name]
            for table in self.pipeline.tables
            if any(ref.name == action.name and ref.in_entries for ref in table.actions)
        }
        if len(counters) > 1:
            raise UnprintableError(PROFILE, f"action {action.name} counts in more than one table", action.span)
        if counters and any(self._counts_misses(table, action) for table in self.pipeline.tables):
            what = f"action {action.name}, which counts hits, as a default action that is not counted"
            raise UnprintableError(PROFILE, what, action.span)
        return [f"{counter}.count();" for counter in counters if counter]

    def _counts_misses(self, table: Table, action: Action) -> bool:
        return table.counter_id is not None and table.has_const_default and table.default_action == action.name

    def action_end(self, action: Action) -> list[str]:
        """Where a packet is forwarded to is said when the port is known; a later verdict overrules it."""
        ports = said_ports(self.pipeline)
        params = (s.value for s in action.body if isinstance(s, Assign) and _is_among(ports, s.target))
        names = (self.ids.params[action.name, param.name] for param in params if isinstance(param, ParamRef))
        return [f"send_to_port((PortId_t)(PortIdUint_t){name});" for name in names]

    def extra_declarations(self, control: Control) -> tuple[DeclarationView, ...]:
        """The default actions that learn."""
        here = (t for t in self.pipeline.tables if self.places.control_of_table[t.name] == control.name)
        return tuple(self._learner(table) for table in here if table.name in self.insertions)

    def _learner(self, table: Table) -> DeclarationView:
        printer = self.statement_printer(self.expression_printer(self.ids.top.copy()))
        body = printer.insert(self.insertions[table.name])
        words = preamble(ACTION_IDS | table.id & 0xFFFF, learner_name(table), f"Keep the key that {table.name} missed.")
        first = f"action {self.learners[table.name]}() {{"
        return DeclarationView(comment=words, lines=(first, *indented(body), "}"))

    def default_action(self, table: Table) -> str:
        return self.learners.get(table.name) or super().default_action(table)

    def action_list(self, table: Table) -> Lines:
        if table.name not in self.insertions:
            return super().action_list(table)
        entries = (ref for ref in table.actions if ref.in_entries)
        listed = (f"{scope_annotation(ref)}{self.ids.actions[ref.name]};" for ref in entries)
        return (*listed, f"@defaultonly {self.learners[table.name]};")

    def update(self) -> Lines:
        printer = SumPrinter(names=self.names, ids=self.ids, sums=self.sums)
        return tuple(line for view in printer.all() for line in _update(view))


def _update(view: SumView) -> tuple[str, ...]:
    return (
        f"// {view.comment}",
        f"if ({view.condition}) {{",
        "    sum.clear();",
        *wrapped(view.data, "    sum.add({ ", " });"),
        f"    {view.target} = sum.get();",
        "}",
    )


def program(pipeline: Pipeline, provenance: Provenance | None = None) -> ProgramPrinter:
    """What makes the view of the PNA program. Raises `UnprintableError`."""
    if pipeline.packet_out is not None:
        raise UnprintableError(PROFILE, "packets that come from the controller")
    return _Program(pipeline, provenance or {})
