"""The fast path: the hot controls once more, with all that they know of a packet in registers.

For each kind of packet (`fastkinds`) the printed C has a function whose scratch memory is a variable of its own, so the
compiler keeps of it only what that kind needs. Such a function changes nothing before it is sure that the packet is
its own: until then counts and uses of learned entries wait in `later` and `known`. A packet for which something cold
would have to run is UNDECIDED, and the whole program begins with it anew.

Cold are controls that are not hot, Learn, look-ups whose key the verifier does not let be on the stack (lpm), that go
through masks or choose a member, meters, whose colour is needed at once, replies, packets for the controller, copies
of packets, and drops. The place where a packet is taken over is found here (`_takes_over`): right before the first
statement that cannot be undone, as far in as the branches allow. A pipeline in which something cold may follow that
place has no fast path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from compiler.ir.expressions import Binary, Expr, FieldRef, IsValid, MetaRef, Operator
from compiler.ir.nodes import Control, Heat
from compiler.ir.statements import (
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
from compiler.ir.walking import statements
from compiler.printers.ebpf.controls import FunctionView, Printer, Valid, in_order, needs_context, pieces
from compiler.printers.ebpf.fastkinds import Kind, KindView, Masked, dispatch, function_names, kind_view, kinds, masked
from compiler.printers.ebpf.lines import Lines
from compiler.printers.layout import MapKind
from compiler.printers.reaching import INTRINSIC, Touched, Walk

UNDECIDED = "return UNDECIDED;"
TAKE_OVER = "take_over(scratch, known);"
_FINAL = Rewrite | Push | Pop | PopVlan | PushVlan | Count | Forward | ToKernel
"""What cannot be undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FastView:
    """`hits` are the learned tables that are asked, each with its store; `main` is the call of the first control."""

    controls: tuple[FunctionView, ...]
    kinds: tuple[KindView, ...]
    dispatch: tuple[str, ...]
    hits: tuple[tuple[str, str], ...]
    main: str


class _State(Enum):
    """Of a packet behind a statement."""

    OPEN = "not taken over"
    TAKEN = "taken over"
    GONE = "nothing goes on from here"


class _NotFastError(Exception):
    """Something cold may follow after the packet was taken over."""


def fast_view(printer: Printer) -> FastView | None:
    """None for a pipeline without a fast path: one whose packets meet no learned entries has none."""
    pipeline, usage = printer.pipeline, printer.usage
    fast = FastPrinter(pipeline=pipeline, usage=usage, layout=printer.layout, gathered=printer.gathered)
    if usage.names.controls[pipeline.main].heat is not Heat.HOT or not fast.hits():
        return None
    found = kinds(pipeline, usage, fast.reaches_forward)
    fast = replace(fast, headers=frozenset(name for kind in found for name in kind.names))
    try:
        if not found or fast.behind(usage.names.controls[pipeline.main].body, False) is _State.TAKEN:
            return None
    except _NotFastError:
        return None
    names = function_names(found)
    return FastView(
        controls=fast.hot_controls(),
        kinds=tuple(kind_view(kind, names[kind], usage) for kind in found),
        dispatch=dispatch(pipeline, usage, names, {kind: fast.rarely(kind) for kind in found}),
        hits=fast.hits(),
        main=fast.call(pipeline.main),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FastPrinter(Printer):
    """Prints hot controls; `taken` is whether the packet has been taken over where it prints."""

    taken: bool = False
    headers: frozenset[str] | None = None
    """Those that a packet of the fast path may have, None for any."""
    _states: dict[tuple[int, bool], tuple[Statement, _State]] = field(
        init=False, repr=False, compare=False, default_factory=dict[tuple[int, bool], tuple[Statement, _State]]
    )
    """What `behind` has found, by the statement's identity and `taken`: each one around it asks again."""
    _takers: dict[int, tuple[Statement, bool]] = field(
        init=False, repr=False, compare=False, default_factory=dict[int, tuple[Statement, bool]]
    )
    """What `takes_over` has found."""

    def reaches_forward(self, headers: frozenset[str]) -> bool:
        """Whether a packet of these headers may be forwarded without anything cold."""
        walk = _Hot(self, headers)
        walk.control(self.pipeline.main, INTRINSIC)
        return walk.forwards

    def hot_controls(self) -> tuple[FunctionView, ...]:
        reached = self._reached(self.pipeline.main)
        return tuple(self.control(control) for control in in_order(self.pipeline) if control.name in reached)

    def _reached(self, name: str) -> frozenset[str]:
        body = self.usage.names.controls[name].body
        inner = (s.control for s in _hot_statements(self, body) if isinstance(s, Run))
        return frozenset({name}).union(*(self._reached(control) for control in inner))

    def hits(self) -> tuple[tuple[str, str], ...]:
        """The learned tables that are asked: (table, store)."""
        asked = {
            s.table
            for name in self._reached(self.pipeline.main)
            for s in _hot_statements(self, self.usage.names.controls[name].body)
            if isinstance(s, Apply)
        }
        return tuple((t.name, t.store) for t in self.pipeline.tables if t.store and t.name in asked)

    def rarely(self, kind: Kind) -> tuple[Masked, ...]:
        """What tells in the headers of a kind that a hit of a learned table is rare, as far as headers tell it."""
        hot = [s for name in self._reached(self.pipeline.main) for s in _hot_statements(self, self._body_of(name))]
        headers: dict[str, set[FieldRef]] = {}
        for statement in hot:
            match statement:
                case Assign(target=MetaRef(name=name), value=FieldRef(header=header) as value) if header in kind.names:
                    headers.setdefault(name, set()).add(value)
                case _:
                    pass
        known = {name: fields.pop() for name, fields in headers.items() if len(fields) == 1}
        asked = (masked(s.rarely, known) for s in hot if isinstance(s, Apply) and s.rarely is not None)
        return tuple(dict.fromkeys(found for found in asked if found is not None))

    def _body_of(self, control: str) -> Sequence[Statement]:
        return self.usage.names.controls[control].body

    def control(self, control: Control) -> FunctionView:
        lines = Lines()
        replace(self, taken=self._is_taken_at(control.name))._body(lines, control.body, frozenset())
        done = lines.done()
        if not (done and done[-1].startswith("\treturn")):
            done = (*done, "\treturn GO_ON;")
        return FunctionView(
            name=f"fast_{control.name}",
            signature=f"static __always_inline enum next fast_{control.name}({', '.join(self._parameters(control))})",
            doc=control.doc,
            lines=done,
        )

    def call(self, name: str) -> str:
        arguments = (p.rpartition(" ")[2].lstrip("*") for p in self._parameters(self.usage.names.controls[name]))
        return f"fast_{name}({', '.join(arguments)})"

    def _parameters(self, control: Control) -> tuple[str, ...]:
        context = ("struct packet_context *ctx",) if self._needs_context(control) else ()
        known = ("struct known *known",) if self._needs_known(control) else ()
        return (*context, "struct scratch *scratch", *known)

    def _needs_context(self, control: Control) -> bool:
        hot = tuple(s for s in _hot_statements(self, control.body) if not isinstance(s, If | Apply | Run))
        if needs_context(self.pipeline, hot):
            return True
        conditions = tuple(
            replace(s, then=(), otherwise=()) for s in _hot_statements(self, control.body) if isinstance(s, If)
        )
        if needs_context(self.pipeline, conditions):
            return True
        runs = (s for s in _hot_statements(self, control.body) if isinstance(s, Run))
        return any(self._needs_context(self.usage.names.controls[s.control]) for s in runs)

    def _needs_known(self, control: Control) -> bool:
        """To keep a hit of a learned table in, or to take the packet over."""
        for statement in _hot_statements(self, control.body):
            if isinstance(statement, Apply) and self.usage.names.tables[statement.table].store:
                return True
            if isinstance(statement, Run) and self._needs_known(self.usage.names.controls[statement.control]):
                return True
        return not self._is_taken_at(control.name) and _takes_over_inside(self, control.body)

    def _is_taken_at(self, name: str) -> bool:
        """Whether packets have been taken over when they come to a control."""
        return name in _entered_taken(self, self.usage.names.controls[self.pipeline.main].body, False)

    def is_cold(self, statement: Statement) -> bool:
        match statement:
            case Run(control=control):
                return self.usage.names.controls[control].heat is not Heat.HOT
            case Apply(table=name):
                table = self.usage.names.tables[name]
                if table.store:
                    return False
                laid = self.layout.table(name)
                if table.selector is not None or laid.masks is not None or laid.map.kind is MapKind.LPM_TRIE:
                    return True
                return any(self._is_metered(ref.name) for ref in table.actions)
            case Learn() | Seek() | Execute() | Reply() | Truncate() | Punt() | Multicast() | Clone() | SendDigest():
                return True
            case _:
                return False

    def _is_metered(self, action: str) -> bool:
        return any(isinstance(s, Execute | ExecuteDirect) for s in statements(self.usage.names.actions[action].body))

    def behind(self, body: Sequence[Statement], taken: bool) -> _State:
        """The state behind statements. Raises `_NotFastError`."""
        for statement in body:
            taken = taken or self.takes_over(statement)
            state = self._behind_one(statement, taken)
            if state is _State.GONE:
                return state
            taken = state is _State.TAKEN
        return _State.TAKEN if taken else _State.OPEN

    def _behind_one(self, statement: Statement, taken: bool) -> _State:
        key = id(statement), taken
        if key not in self._states:
            self._states[key] = statement, self._state_behind(statement, taken)
        return self._states[key][1]

    def _state_behind(self, statement: Statement, taken: bool) -> _State:
        if self.is_cold(statement):
            if taken:
                raise _NotFastError
            return _State.GONE
        if (ways := self.taken_ways(statement)) is not None:
            states = {self.behind(way, taken) for way in ways} - {_State.GONE}
            return _State.TAKEN if _State.TAKEN in states else _State.OPEN if states else _State.GONE
        match statement:
            case Run(control=control):
                return self.behind(self.usage.names.controls[control].body, taken)
            case Forward() | Reply() | ToKernel() | Drop() | Punt() | Multicast():
                return _State.GONE
            case _:
                return _State.TAKEN if taken else _State.OPEN

    def takes_over(self, statement: Statement) -> bool:
        """Whether a packet that is not taken over yet must be right before a statement."""
        if id(statement) not in self._takers:
            self._takers[id(statement)] = statement, self._must_take_over(statement)
        return self._takers[id(statement)][1]

    def _must_take_over(self, statement: Statement) -> bool:
        if self.is_cold(statement):
            return False
        if (ways := self.taken_ways(statement)) is not None:
            return {self.behind(way, False) for way in ways} >= {_State.OPEN, _State.TAKEN}
        return isinstance(statement, _FINAL) or (
            isinstance(statement, Assign) and isinstance(statement.target, FieldRef)
        )

    def _is_never(self, condition: Expr) -> bool:
        """Whether a condition asks for a header that no packet of the fast path has."""
        match condition:
            case IsValid(header=header):
                return self.headers is not None and header not in self.headers
            case Binary(operator=Operator.AND, left=left, right=right):
                return self._is_never(left) or self._is_never(right)
            case Binary(operator=Operator.OR, left=left, right=right):
                return self._is_never(left) and self._is_never(right)
            case _:
                return False

    def taken_ways(self, statement: Statement) -> tuple[Sequence[Statement], Sequence[Statement]] | None:
        """Both branches of a statement that has any, without one that no packet takes."""
        match statement:
            case If(condition=condition, then=one, otherwise=other):
                return (() if self._is_never(condition) else one), other
            case Apply(on_hit=one, on_miss=other):
                return one, other
            case _:
                return None

    def _if(self, lines: Lines, statement: If, valid: Valid) -> None:
        if self._is_never(statement.condition):
            self._body(lines, statement.otherwise, valid)
        else:
            Printer._if(self, lines, statement, valid)

    def _body(self, lines: Lines, body: Sequence[Statement], valid: Valid) -> None:
        taken = self.taken
        for piece in pieces(body):
            if not taken and any(self.takes_over(statement) for statement in piece):
                lines.add(TAKE_OVER)
                taken = True
            if self.is_cold(piece[0]):
                lines.add(UNDECIDED)
                return
            lines.alone = len(body) == len(piece)
            replace(self, taken=taken)._piece(lines, piece, valid)
            state = self.behind(piece, taken)
            if state is _State.GONE:
                return
            taken = state is _State.TAKEN

    def _line(self, statement: Statement) -> str:
        if isinstance(statement, Drop) and not self.taken:
            return UNDECIDED
        return Printer._line(self, statement)

    def _run(self, lines: Lines, name: str) -> None:
        variable = f"behind_{name}"
        with lines.block():
            lines.add(f"enum next {variable} = {self.call(name)};", "")
            lines.add(f"if ({variable} != GO_ON)", f"\treturn {variable};")

    def _table_call(self, table: str) -> str:
        if self.usage.names.tables[table].store:
            return f"find_{table}(scratch, &known->{table}, true)"
        return Printer._table_call(self, table)


def _hot_statements(printer: FastPrinter, body: Sequence[Statement]) -> tuple[Statement, ...]:
    """All statements of a body, with those inside, that come before anything cold."""
    found: list[Statement] = []
    for statement in body:
        if printer.is_cold(statement):
            break
        found.append(statement)
        for way in printer.taken_ways(statement) or ():
            found += _hot_statements(printer, way)
    return tuple(found)


def _takes_over_inside(printer: FastPrinter, body: Sequence[Statement]) -> bool:
    return any(printer.takes_over(statement) for statement in _hot_statements(printer, body))


def _entered_taken(printer: FastPrinter, body: Sequence[Statement], taken: bool) -> frozenset[str]:
    """The controls that are run after the packet has been taken over."""
    found: set[str] = set()
    for statement in body:
        if printer.is_cold(statement):
            break
        taken = taken or printer.takes_over(statement)
        for way in printer.taken_ways(statement) or ():
            found |= _entered_taken(printer, way, taken)
        if isinstance(statement, Run):
            found |= {statement.control} if taken else set()
            found |= _entered_taken(printer, printer.usage.names.controls[statement.control].body, taken)
        state = printer.behind((statement,), taken)
        if state is _State.GONE:
            break
        taken = state is _State.TAKEN
    return frozenset(found)


class _Hot(Walk):
    """Ends where something cold begins; `forwards` tells whether a packet was sent before."""

    def __init__(self, printer: FastPrinter, headers: frozenset[str]) -> None:
        super().__init__(printer.usage.names, headers)
        self._printer = printer
        self.forwards = False

    def statement(self, statement: Statement, touched: Touched) -> Touched | None:
        if self._printer.is_cold(statement):
            return None
        self.forwards |= isinstance(statement, Forward)
        return super().statement(statement, touched)
