"""Fourth pass: keys, selector inputs and statements, one by one. The order in which they run is left to `paths`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from compiler.diagnostic import Report, did_you_mean
from compiler.ir import walking
from compiler.ir.expressions import Const, Expr, FieldRef, MetaRef, width_bits
from compiler.ir.headers import Coverage
from compiler.ir.interpreter.crc32c import FRONT_BYTES
from compiler.ir.interpreter.run import INGRESS_PORT
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.seeking import MAX_SOUGHT_BITS, MAX_TRIES
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
)
from compiler.ir.verifier import codes
from compiler.ir.verifier.places import check_place
from compiler.ir.verifier.widths import Expressions
from compiler.span import NOWHERE, Span

VLAN_ID_BITS = 12
COLOR_BITS = 2
REPLICATION_BITS = 16
"""Of the id of a multicast group or clone session."""
_VLAN_PARTS = (("ethernet", "type", 16), ("vlan", "id", VLAN_ID_BITS), ("vlan", "type", 16))
"""What `PushVlan` and `PopVlan` work on."""


def check_bodies(pipeline: Pipeline, report: Report) -> None:
    names = Names(pipeline)
    plain = Expressions(names, report)
    for table in pipeline.tables:
        for expr in (*(key.expr for key in table.keys), *(table.selector.exprs if table.selector else ())):
            plain.check(expr)
    for action in pipeline.actions:
        params = {param.name: param.width_bits for param in action.params}
        _Body(names, report, Expressions(names, report, params), in_action=True).check(action.body)
    for control in pipeline.controls:
        body = _Body(names, report, plain, in_action=False)
        body.check_tables(control.idle_without, control.span)
        body.check(control.body)
    _check_uses(names, report)


def _check_uses(names: Names, report: Report) -> None:
    """v1model can apply a table, and a control, at one place only; what is at none is dead."""
    inside = {control.name: tuple(walking.statements(control.body)) for control in names.pipeline.controls}
    placed = [statement for statements in inside.values() for statement in statements]
    sent = {s.digest for s in placed if isinstance(s, SendDigest)}
    for digest in names.pipeline.digests:
        if digest.name not in sent:
            report.add(codes.UNUSED, NOWHERE, f"digest {digest.name} is never sent")
    applied = [(s.table, s.span) for s in placed if isinstance(s, Apply)]
    run = [(s.control, s.span) for s in placed if isinstance(s, Run)]
    elsewhere = {s.table for s in placed if isinstance(s, Seek) or (isinstance(s, Learn) and s.renews)}
    tables = [(t.name, t.span) for t in names.pipeline.tables if t.name not in elsewhere]
    _check_once("table", "applied", applied, tables, report)
    others = [(c.name, c.span) for c in names.pipeline.controls if c.name != names.pipeline.main]
    _check_once("control", "run", run, others, report)
    runs = {name: {s.control for s in statements if isinstance(s, Run)} for name, statements in inside.items()}
    for control in names.pipeline.controls:
        if control.name in _reachable(control.name, runs):
            report.add(codes.RECURSION, control.span, f"control {control.name} runs itself")


def _check_once(
    kind: str, verb: str, uses: list[tuple[str, Span]], declared: list[tuple[str, Span]], report: Report
) -> None:
    times = Counter(name for name, _ in uses)
    last = dict(uses)
    for name, count in times.items():
        if count > 1:
            report.add(codes.USED_TWICE, last[name], f"{kind} {name} is {verb} at {count} places", expected="one place")
    for name, span in declared:
        if name not in times:
            report.add(codes.UNUSED, span, f"{kind} {name} is never {verb}")


def _reachable(start: str, runs: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = [start]
    while pending:
        for name in runs.get(pending.pop(), ()):
            if name not in found:
                found.add(name)
                pending.append(name)
    return found


@dataclass(frozen=True, slots=True)
class _Body:
    """Checks the statements of one action or control."""

    names: Names
    report: Report
    expressions: Expressions
    in_action: bool

    def check_tables(self, tables: tuple[str, ...], span: Span) -> None:
        for table in tables:
            self._check_name("table", table, self.names.tables, span)

    def check(self, statements: tuple[Statement, ...]) -> None:
        for statement in walking.statements(statements):
            check_place(statement, self.report, in_action=self.in_action)
            self._check_statement(statement)

    def _check_statement(self, statement: Statement) -> None:
        match statement:
            case Assign():
                self._check_assign(statement)
            case Rewrite():
                self._check_rewrite(statement)
            case If(condition=condition):
                self.expressions.check_width(condition, 1, "the condition")
            case Apply(table=table, rarely=rarely):
                self._check_name("table", table, self.names.tables, statement.span)
                if rarely is not None:
                    self.expressions.check_width(rarely, 1, "the condition")
            case Run(control=control):
                self._check_name("control", control, self.names.controls, statement.span)
            case Push():
                self._check_push(statement)
            case Pop(headers=headers):
                if not headers:
                    self.report.add(codes.BAD_PUSH, statement.span, "nothing is popped")
                for header in headers:
                    self.expressions.check_header(header, statement.span)
            case PushVlan(vlan_id=vlan_id):
                self.expressions.check_width(vlan_id, VLAN_ID_BITS, "the VLAN id")
                self._check_vlan_parts(statement.span)
            case PopVlan():
                self._check_vlan_parts(statement.span)
            case Truncate(header=header, keep_bytes=keep_bytes):
                self.expressions.check_header(header, statement.span)
                if keep_bytes < 1:
                    self.report.add(codes.BAD_CONSTANT, statement.span, f"{keep_bytes} bytes are kept")
            case Learn():
                self._check_learn(statement)
            case Seek():
                self._check_seek(statement)
            case Count(counter=counter, index=index):
                self._check_name("counter", counter, self.names.counters, statement.span)
                self.expressions.check(index)
            case Execute(meter=meter, index=index, target=target):
                self._check_name("meter", meter, self.names.meters, statement.span)
                self.expressions.check(index)
                self._check_color(target, statement.span)
            case ExecuteDirect(target=target):
                self._check_color(target, statement.span)
            case Forward(port=port):
                wanted = self.names.metadata[INGRESS_PORT].width_bits
                self.expressions.check_width(port, wanted, "the port")
            case Drop(reason=reason):
                self._check_name("drop reason", reason, self.names.drop_reasons, statement.span)
            case Punt():
                self._check_punt(statement)
            case Multicast(group=group, unknown=unknown, values=values):
                self.expressions.check_width(group, REPLICATION_BITS, "the multicast group")
                self._check_name("drop reason", unknown, self.names.drop_reasons, statement.span)
                self._check_said(values, statement.span)
            case Clone(session=session, values=values):
                self.expressions.check_width(session, REPLICATION_BITS, "the clone session")
                self._check_said(values, statement.span)
            case SendDigest(digest=name, values=values):
                self._check_name("digest", name, self.names.digests, statement.span)
                if name in self.names.digests:
                    widths = {f.name: f.width_bits for f in self.names.digests[name].fields}
                    self._check_values(f"digest {name}", values, widths, statement.span)
            case Advance() | Reply() | ToKernel():
                pass
            case _:
                assert_never(statement)

    def _check_punt(self, statement: Punt) -> None:
        self._check_name("drop reason", statement.full, self.names.drop_reasons, statement.span)
        header = self.names.pipeline.packet_in
        if header is None:
            message = "a packet goes to the controller, but the pipeline has no packet_in"
            self.report.add(codes.MISSING_PART, statement.span, message)
            return
        widths = {f.name: f.width_bits for f in header.fields}
        self._check_values("packet_in", statement.values, widths, statement.span)

    def _check_said(self, values: tuple[tuple[str, Expr], ...], span: Span) -> None:
        """What copies for controllers say."""
        header = self.names.pipeline.packet_in
        if header is None and values:
            message = "a copy says something to the controller, but the pipeline has no packet_in"
            self.report.add(codes.MISSING_PART, span, message)
        elif header is not None:
            self._check_values("packet_in", values, {f.name: f.width_bits for f in header.fields}, span)

    def _check_values(
        self, what: str, values: tuple[tuple[str, Expr], ...], widths: Mapping[str, int], span: Span
    ) -> None:
        given = [name for name, _ in values]
        if len(set(given)) != len(given):
            self.report.add(codes.BAD_ARGUMENTS, span, f"a field of {what} is given twice")
        for name, value in values:
            if name not in widths:
                message = f"{what} has no field '{name}'"
                self.report.add(codes.UNKNOWN_NAME, span, message, hint=did_you_mean(name, widths))
            else:
                self.expressions.check_width(value, widths[name], f"the value of {what}.{name}")

    def _check_name(self, kind: str, name: str, known: Iterable[str], span: Span) -> None:
        known = tuple(known)
        if name not in known:
            message = f"there is no {kind} '{name}'"
            self.report.add(codes.UNKNOWN_NAME, span, message, hint=did_you_mean(name, known))

    def _check_target(self, target: MetaRef | FieldRef) -> bool:
        """Check what is set; whether it is declared at all."""
        self.expressions.check(target)
        if isinstance(target, MetaRef):
            return target.name in self.names.metadata
        if target.header not in self.names.headers:
            return False
        return target.name in {f.name for f in self.names.header_types[target.header].fields}

    def _check_assign(self, statement: Assign) -> None:
        target = statement.target
        self.expressions.check_width(statement.value, target.width_bits, "the value")
        if not self._check_target(target):
            return
        if isinstance(target, MetaRef):
            self._check_writable(target, statement.span)
            return
        if self._is_covered(target):
            message = f"{target.header}.{target.name} is covered by a checksum"
            self.report.add(codes.CHECKSUM_BROKEN, statement.span, message, hint="use Rewrite")

    def _check_writable(self, target: MetaRef, span: Span) -> None:
        if target.name == INGRESS_PORT:
            self.report.add(codes.READ_ONLY, span, f"{INGRESS_PORT} is set by the target alone")

    def _check_color(self, target: MetaRef, span: Span) -> None:
        self.expressions.check_width(target, COLOR_BITS, "the metadata of a colour")
        self._check_writable(target, span)

    def _is_covered(self, target: FieldRef) -> bool:
        header, header_type = self.names.headers[target.header], self.names.header_types[target.header]
        in_pseudo = bool(header.pseudo_of) and target.name in header_type.pseudo_fields
        return header_type.checksum is not None or bool(header.covered_by) or in_pseudo

    def _check_rewrite(self, statement: Rewrite) -> None:
        targets = [(change.target.header, change.target.name) for change in statement.changes]
        if not targets or len(set(targets)) != len(targets):
            message = "a rewrite changes nothing, or one field twice"
            self.report.add(codes.BAD_ARGUMENTS, statement.span, message)
        for change in statement.changes:
            self.expressions.check_width(change.value, change.target.width_bits, "the value")
            if not self._check_target(change.target):
                continue
            checksum = self.names.header_types[change.target.header].checksum
            if checksum is not None and checksum.field == change.target.name:
                message = f"{change.target.header}.{change.target.name} is a checksum itself"
                self.report.add(codes.CHECKSUM_BROKEN, statement.span, message)
            elif checksum is not None and checksum.coverage is Coverage.CRC32C and not self._is_in_front(change.target):
                message = f"{change.target.header}.{change.target.name} is not in the first {FRONT_BYTES} bytes"
                hint = "a CRC32c follows changes of those alone"
                self.report.add(codes.CHECKSUM_BROKEN, statement.span, message, hint=hint)

    def _is_in_front(self, target: FieldRef) -> bool:
        """Whether a CRC32c can follow a change of the field."""
        at = 0
        for part in self.names.header_types[target.header].fields:
            at += part.width_bits
            if part.name == target.name:
                break
        return at <= 8 * FRONT_BYTES

    def _check_push(self, statement: Push) -> None:
        known = [p.header for p in statement.headers if self.expressions.check_header(p.header, statement.span)]
        if not statement.headers:
            self.report.add(codes.BAD_PUSH, statement.span, "nothing is pushed")
        if len(known) != len(statement.headers):
            return
        places = [self.names.header_order[header] for header in known]
        if places != sorted(set(places)):
            message = f"{', '.join(known)} are not in the order of a packet"
            self.report.add(codes.BAD_PUSH, statement.span, message)
        for pushed in statement.headers:
            self._check_pushed(pushed, known, statement.span)

    def _check_pushed(self, pushed: PushedHeader, together: list[str], span: Span) -> None:
        header_type = self.names.header_types[pushed.header]
        widths = {f.name: f.width_bits for f in header_type.fields}
        given = [name for name, _ in pushed.values]
        if len(set(given)) != len(given):
            self.report.add(codes.BAD_PUSH, span, f"a field of {pushed.header} is given twice")
        for name, value in pushed.values:
            if name not in widths:
                message = f"header {pushed.header} has no field '{name}'"
                self.report.add(codes.UNKNOWN_NAME, span, message, hint=did_you_mean(name, widths))
            else:
                self.expressions.check_width(value, widths[name], f"the value of {pushed.header}.{name}")
        checksum = header_type.checksum
        if checksum is None or checksum.field in given:
            return
        if checksum.zero_is_none or checksum.coverage is Coverage.CRC32C:
            message = f"the checksum of {pushed.header} is not given"
            self.report.add(codes.BAD_PUSH, span, message, hint="0 says that there is none")
        fronts = [header for header in together if pushed.header in self.names.headers[header].pseudo_of]
        if checksum.coverage is Coverage.PSEUDO and not fronts:
            message = f"the checksum of {pushed.header} needs the IP header in front to be pushed with it"
            self.report.add(codes.BAD_PUSH, span, message)

    def _check_vlan_parts(self, span: Span) -> None:
        for header, name, width in _VLAN_PARTS:
            self.expressions.check(FieldRef(header=header, name=name, width_bits=width, span=span))

    def _check_seek(self, statement: Seek) -> None:
        self.expressions.check(statement.target)
        table = self.names.tables.get(statement.table)
        if table is None or table.store is None:
            message = f"there is no learned table '{statement.table}'"
            self.report.add(codes.UNKNOWN_NAME, statement.span, message)
        elif not any(key.expr == statement.target for key in table.keys):
            message = f"'{statement.target.name}' is no part of the key of table {table.name}"
            self.report.add(codes.BAD_ARGUMENTS, statement.span, message)
        width = statement.target.width_bits
        if width > MAX_SOUGHT_BITS:
            expected = f"at most {MAX_SOUGHT_BITS}"
            self.report.add(codes.WIDTH, statement.span, f"a value of {width} bits is sought", expected=expected)
        elif not 0 <= statement.first <= 1 << width - 1:
            message = f"values from {statement.first} on are sought"
            self.report.add(codes.BAD_CONSTANT, statement.span, message, expected=f"at most {1 << width - 1}")
        if not 1 <= statement.tries <= MAX_TRIES:
            message = f"a value is sought {statement.tries} times"
            self.report.add(codes.BAD_CONSTANT, statement.span, message, expected=f"1 to {MAX_TRIES}")

    def _check_learn(self, statement: Learn) -> None:
        self.expressions.check(statement.profile)
        for argument in statement.arguments:
            self.expressions.check(argument)
        table = self.names.tables.get(statement.table)
        if table is None or table.store is None:
            message = f"there is no learned table '{statement.table}'"
            self.report.add(codes.UNKNOWN_NAME, statement.span, message)
            return
        if statement.action not in {reference.name for reference in table.actions if reference.in_entries}:
            message = f"table {table.name} has no entries with action '{statement.action}'"
            self.report.add(codes.BAD_ARGUMENTS, statement.span, message)
        else:
            params = self.names.actions[statement.action].params
            if [p.width_bits for p in params] != [width_bits(argument) for argument in statement.arguments]:
                wanted = ", ".join(f"{p.name}: {p.width_bits}" for p in params)
                message = f"the arguments do not fit action {statement.action}"
                self.report.add(codes.BAD_ARGUMENTS, statement.span, message, expected=wanted)
        selectors = self.names.selectors.values()
        if statement.counted and not any(s.fewest is not None and s.fewest.store == table.store for s in selectors):
            message = f"entries of store {table.store} count for no selector's members"
            self.report.add(codes.BAD_ARGUMENTS, statement.span, message)
        ids = {profile.id for profile in self.names.stores[table.store].profiles}
        if isinstance(statement.profile, Const) and statement.profile.value not in ids:
            message = f"store {table.store} has no profile {statement.profile.value}"
            self.report.add(codes.BAD_ARGUMENTS, statement.span, message)
