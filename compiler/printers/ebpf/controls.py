"""Controls and actions as C functions: statement by statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compiler.ir.expressions import Binary, Expr, FieldRef, IsValid, NetworkLength, Operator
from compiler.ir.nodes import Control, Heat, Pipeline
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
from compiler.ir.tables import Action, Table
from compiler.ir.walking import expressions, read_by, statements
from compiler.printers.ebpf import packets
from compiler.printers.ebpf.expressions import c, words
from compiler.printers.ebpf.gathering import Gathered
from compiler.printers.ebpf.lines import Lines
from compiler.printers.ebpf.structures import event_constant, flag, table_constant
from compiler.printers.ebpf.usage import Usage
from compiler.printers.layout import Layout
from compiler.printers.layout_meter import direct_meter_name
from compiler.span import InternalError

Valid = frozenset[str]
_CHANGES_PACKET = Rewrite | Push | Pop | PopVlan | PushVlan | Truncate
_VERDICTS = Forward | Reply | ToKernel | Drop | Punt | Multicast


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionView:
    """A function: its signature, its body's lines, and the doc comment above it."""

    signature: str
    doc: str
    lines: tuple[str, ...]
    name: str = ""


def reason_constant(reason: str) -> str:
    return f"DROP_{reason.upper()}"


def needs_context(pipeline: Pipeline, body: Sequence[Statement]) -> bool:
    """Whether the function of a body must be given the packet's context."""
    controls = {control.name: control for control in pipeline.controls}
    for statement in statements(tuple(body)):
        if isinstance(statement, _CHANGES_PACKET | Clone):
            return True
        if isinstance(statement, Assign) and isinstance(statement.target, FieldRef):
            return True
        if any(isinstance(e, NetworkLength) for expr in read_by(statement) for e in expressions(expr)):
            return True
        if isinstance(statement, Run) and needs_context(pipeline, controls[statement.control].body):
            return True
    return False


def in_order(pipeline: Pipeline) -> tuple[Control, ...]:
    """Controls, each behind those that it runs."""
    controls = {control.name: control for control in pipeline.controls}
    found: dict[str, Control] = {}

    def visit(control: Control) -> None:
        for statement in statements(control.body):
            if isinstance(statement, Run):
                visit(controls[statement.control])
        found.setdefault(control.name, control)

    for control in pipeline.controls:
        visit(control)
    return tuple(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Printer:
    """What all statements are printed with."""

    pipeline: Pipeline
    usage: Usage
    layout: Layout
    gathered: Gathered
    store: str = ""
    """The store whose entry the action that is being printed belongs to."""
    action_name: str = ""
    """The action that is being printed, empty in a control."""

    def control(self, control: Control) -> FunctionView:
        """A hot or warm control is inline; any other is a function of its own to the verifier.

        Such a one looks the scratch memory up again: to kernels before 6.2 memory that a function is given is no key of
        a map.
        """
        lines = Lines()
        if not _is_inline(control):
            lines.add("struct scratch *scratch = scratch_of_cpu();", "", "if (!scratch)", "\treturn DONE;")
        self._body(lines, control.body, frozenset())
        if not (control.body and isinstance(control.body[-1], _VERDICTS)):
            lines.add("return GO_ON;")
        given = ["struct packet_context *ctx"] if needs_context(self.pipeline, control.body) else []
        given += ["struct scratch *scratch"] if _is_inline(control) else []
        kind = "static __always_inline" if _is_inline(control) else "__noinline"
        return FunctionView(
            name=control.name,
            signature=f"{kind} enum next {control.name}({', '.join(given) or 'void'})",
            doc=control.doc,
            lines=lines.done(),
        )

    def action(self, action: Action) -> FunctionView | None:
        """An action's function, None for one that does nothing."""
        if not action.body:
            return None
        lines, store = Lines(), self.store_of_action(action)
        replace(self, store=store, action_name=action.name)._body(lines, action.body, frozenset())
        arguments = f"const struct {action.name} *arguments, " if action.params else ""
        hit = f"struct {store}_hit *hit, " if store else ""
        return FunctionView(
            name=action.name,
            signature=f"static __always_inline void {action.name}({arguments}{hit}struct scratch *scratch)",
            doc=action.doc,
            lines=lines.done(),
        )

    def store_of_action(self, action: Action) -> str:
        """The store whose entries an action's `Advance` is about, empty without one."""
        if not any(isinstance(s, Advance) for s in statements(action.body)):
            return ""
        stores = {
            table.store
            for table in self.pipeline.tables
            if table.store and any(ref.name == action.name for ref in table.actions)
        }
        if len(stores) != 1:
            raise InternalError(f"action {action.name} advances entries of {len(stores)} stores")
        return stores.pop()

    def _body(self, lines: Lines, body: Sequence[Statement], valid: Valid) -> None:
        for piece in pieces(body):
            lines.alone = len(body) == len(piece)
            self._piece(lines, piece, valid)

    def _piece(self, lines: Lines, piece: Sequence[Statement], valid: Valid) -> None:
        match piece:
            case [Truncate() as truncate, Push() as push]:
                packets.quote(lines, self.usage, truncate, push)
            case [Assign(), *_]:
                self._assign(lines, [statement for statement in piece if isinstance(statement, Assign)])
            case _:
                self._statement(lines, piece[0], valid)

    def _assign(self, lines: Lines, run: Sequence[Assign]) -> None:
        if any(isinstance(a.target, FieldRef) for a in run):
            packets.assign(lines, self.usage, run)
        else:
            lines.add(*(f"{c(a.target)} = {c(a.value)};" for a in run))

    def _statement(self, lines: Lines, statement: Statement, valid: Valid) -> None:
        match statement:
            case If():
                self._if(lines, statement, valid)
            case Apply():
                self._apply(lines, statement, valid)
            case Run(control=control):
                self._run(lines, control)
            case Learn():
                self._learn(lines, statement, valid)
            case Seek():
                self._seek(lines, statement, valid)
            case Rewrite():
                packets.rewrite(lines, self.usage, statement, valid)
            case Push():
                packets.push(lines, self.usage, statement)
            case Pop():
                packets.pop(lines, self.usage, statement)
            case PopVlan():
                packets.pop_vlan(lines, self.usage)
            case PushVlan():
                packets.push_vlan(lines, self.usage, statement)
            case Punt(values=values, full=full):
                self._say(lines, values)
                lines.add(f"return punt_or_drop(&scratch->outcome, {reason_constant(full)});")
            case Multicast(group=group, unknown=unknown, values=values, not_back=not_back):
                self._say(lines, values)
                number = f"{c(group)} | NOT_BACK" if not_back else c(group)
                lines.add(f"return multicast_or_drop(&scratch->outcome, {number}, {reason_constant(unknown)});")
            case Clone(session=session, values=values):
                self._say(lines, values)
                lines.add(f"replicate(ctx, {c(session)}, REPLICATION_SESSION);")
            case SendDigest(digest=digest, values=values):
                lines.add(f"digest_{digest}(&(struct digest_of_{digest}){{")
                lines.extend(f"\t.{name} = {c(value)}," for name, value in values)
                lines.add("});")
            case _:
                lines.add(self._line(statement))

    def _say(self, lines: Lines, values: tuple[tuple[str, Expr], ...]) -> None:
        """What the controller is told with the packet."""
        lines.add("scratch->packet_in = (struct packet_in){")
        lines.extend(f"\t.{name} = {c(value)}," for name, value in values)
        lines.add("};")

    def _line(self, statement: Statement) -> str:
        """Statements of one line."""
        match statement:
            case Advance(event=event):
                return f"{self.store}_saw(hit, {event_constant(self.store, event)});"
            case Count(counter=counter, index=index):
                return self._count(counter, index)
            case Execute(meter=meter, index=index, target=target):
                return f"{c(target)} = execute_{meter}(scratch, {c(index)});"
            case ExecuteDirect(target=target):
                return f"{c(target)} = execute_{direct_meter_name(self._metered_table())}(scratch, scratch->metered);"
            case Forward(port=port):
                return f"return forward_to(&scratch->outcome, {c(port)});"
            case Reply():
                return "return reply_to(&scratch->outcome);"
            case ToKernel():
                return "return leave_to_kernel(&scratch->outcome);"
            case Drop(reason=reason):
                return f"return drop_for(&scratch->outcome, {reason_constant(reason)});"
            case _:
                raise InternalError(f"{type(statement).__name__} is no statement of one line")

    def _metered_table(self) -> str:
        """The table of the action that is being printed: the verifier wants one for a direct meter."""
        offering = (t.name for t in self.pipeline.tables if any(ref.name == self.action_name for ref in t.actions))
        return next(offering)

    def _count(self, counter: str, index: Expr) -> str:
        """At once in a control; what an action counts is counted when the packet's fate is known."""
        if self.action_name:
            return f"scratch->later.{later_name(self.action_name, counter)} = {c(index)} + 1;"
        return f"count_packet(&{counter}, {c(index)}, scratch->packet.length);"

    def _is_never(self, condition: Expr) -> bool:
        """Whether no packet of what is printed fulfils a condition."""
        _ = condition
        return False

    def _if(self, lines: Lines, statement: If, valid: Valid) -> None:
        with lines.block(f"if ({c(statement.condition)})"):
            self._body(lines, statement.then, valid | _known(statement.condition))
        otherwise = statement.otherwise
        while len(otherwise) == 1 and isinstance(otherwise[0], If) and not self._is_never(otherwise[0].condition):
            inner = otherwise[0]
            with lines.otherwise(f"if ({c(inner.condition)})"):
                self._body(lines, inner.then, valid | _known(inner.condition))
            otherwise = inner.otherwise
        if otherwise:
            with lines.otherwise():
                self._body(lines, otherwise, valid)

    def _apply(self, lines: Lines, statement: Apply, valid: Valid) -> None:
        call = self._table_call(statement.table)
        if statement.on_hit:
            with lines.block(f"if ({call})"):
                self._body(lines, statement.on_hit, valid)
            if statement.on_miss:
                with lines.otherwise():
                    self._body(lines, statement.on_miss, valid)
        elif statement.on_miss:
            with lines.block(f"if (!{call})"):
                self._body(lines, statement.on_miss, valid)
        else:
            lines.add(f"{call};")

    def _table_call(self, table: str) -> str:
        return f"apply_{table}(scratch)"

    def _run(self, lines: Lines, name: str) -> None:
        control = self.usage.names.controls[name]
        used = " || ".join(flag(self.usage.names.tables[table].store or table) for table in control.idle_without)
        guard = f"({used}) && " if used else ""
        lines.add(f"if ({guard}{self.call_of(control)} == DONE)", "\treturn DONE;")

    def call_of(self, control: Control) -> str:
        given = ["ctx"] if needs_context(self.pipeline, control.body) else []
        given += ["scratch"] if _is_inline(control) else []
        return f"{control.name}({', '.join(given)})"

    def _seek(self, lines: Lines, statement: Seek, valid: Valid) -> None:
        """Try one value after the other; whether the key has an entry then is asked by a function of the table's."""
        target, size = c(statement.target), 1 << statement.target.width_bits
        with lines.block():
            lines.add("u32 tried = 0, number = 0, next = 0;", "bool found = false;", "")
            with lines.block(f"for (; tried <= {statement.tries} && !found; tried++)"):
                with lines.block("if (tried)"):
                    lines.add("if (tried == 1)", "\tnumber = next = drawn();")
                    lines.add(f"{target} = next & {size - 1:#x};", "next += number >> 16 | 1;")
                    lines.add(f"if ({target} < {statement.first})", f"\t{target} += {size - statement.first};")
                lines.add(f"found = !{taken(statement.table)}();")
            for condition, body in (("found && tried > 1", statement.on_other), ("!found", statement.on_none)):
                if body:
                    with lines.block(f"if ({condition})"):
                        self._body(lines, body, valid)

    def _learn(self, lines: Lines, statement: Learn, valid: Valid) -> None:
        store = self.layout.store_of(statement.table)
        action = store.learned_table(statement.table).action
        if action.name != statement.action:
            raise InternalError(f"table {statement.table} learns {action.name}, not {statement.action}")
        name, entry, counted = store.store.name, f"scratch->{statement.table}", ""
        if store.counts is not None:
            counted = f"scratch->{name}_counted" if statement.counted else "0"
        if statement.renews:
            with lines.block():
                lines.add(f"struct {name}_entry *entry = &{entry};", "")
                learned_key(lines, name, self.usage.names.tables[statement.table])
        lines.add(
            f"{entry}.now_ms = (u32)scratch->now_ms;",
            f"{entry}.table = {table_constant(statement.table)};",
            f"{entry}.profile = {c(statement.profile)};",
            *((f"{entry}.counted = {counted};",) if counted else ()),
            f"{entry}.arguments.{action.name} = (struct {action.name}){{",
        )
        for member, value in zip(action.arguments.members, statement.arguments, strict=True):
            lines.add(f"\t.{member.name} = {c(value)},")
        lines.add("};")
        learn = f"{name}_renew_or_learn" if statement.renews else f"{name}_learn"
        with lines.block(f"if ({flag(name)} && {learn}(&{entry}, &scratch->{name}_half) == FLOW_FULL)"):
            self._body(lines, statement.on_full, valid)


def taken(table: str) -> str:
    """The function that says whether a learned table has an entry for the packet; if not, it may be learned."""
    return f"taken_{table}"


def learned_key(lines: Lines, store: str, table: Table) -> None:
    """Give an `entry` the key that a packet has in a learned table, and its hash."""
    exprs = tuple(key.expr for key in table.keys)
    lines.extend(f"entry->key[{index}] = {word};" for index, word in enumerate(words(exprs)))
    lines.add(f"entry->hash = {store}_hash(scratch->hash_seed, entry->key);")


def later_name(action: str, counter: str) -> str:
    """Where the scratch memory keeps what an action counts."""
    return f"{action}_{counter}"


def pieces(body: Sequence[Statement]) -> Iterator[Sequence[Statement]]:
    """What is printed as one: assignments that follow each other, a Truncate with its Push, any other by itself."""
    at = 0
    while at < len(body):
        size = 1
        if isinstance(body[at], Assign):
            size = next((n for n, s in enumerate(body[at:]) if not isinstance(s, Assign)), len(body) - at)
        elif isinstance(body[at], Truncate):
            if not isinstance(next(iter(body[at + 1 :]), None), Push):
                raise InternalError("the eBPF target truncates only what it then pushes headers on")
            size = 2
        yield body[at : at + size]
        at += size


def _known(condition: Expr) -> Valid:
    """The headers that are there when a condition holds."""
    match condition:
        case IsValid(header=header):
            return frozenset({header})
        case Binary(operator=Operator.AND, left=left, right=right):
            return _known(left) | _known(right)
        case _:
            return frozenset()


def _is_inline(control: Control) -> bool:
    return control.heat is not Heat.COLD
