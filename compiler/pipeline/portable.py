"""The pipeline for P4 targets, which cannot change an entry that a packet has hit: no client is remembered there.

Nor do NetworkPolicies hold there: whether a packet answers a known connection is found by a second table, when its
policies would have been asked long since (in the eBPF stores, and so in the interpreter, a look-up in one table of a
store finds entries of the others). `compiler.entries` refuses policies of such devices' workloads.

v1model has one digest for each packet, PNA adds a key only where it has just been missed. So the tables of
`compiler.pipeline.affinity` are left out, and a service's entry that asks for affinity is refused: by its action's
restriction, and before that by `compiler.entries`, with the policy's line. Their selectors pick by a hash and nothing
else, so the actions of services whose backends get turns, or of whose backends the one with fewer connections is taken,
are left out, and refused in the same way; no connection counts for a backend.

Nor can a source port be sought there until one is free (`compiler.pipeline.ports`): connections that would look alike
to a backend are dropped, those without a service are not known, and what gateways need (`compiler.pipeline.gateway`) is
left out. What an ICMP error quotes would need a third look-up among connections (`compiler.pipeline.related`): errors
are packets without ports there. So are those of SCTP, since nothing there lets a CRC32c follow a translation
(`compiler.pipeline.associations`), and all fragments, since what is kept of a first one changes when its identification
is used again (`compiler.pipeline.fragments`). Backends that answer by themselves
(`compiler.pipeline.serverreturn`) are left out: connections that one side is seen of would need a life of their own
there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from compiler.ir.expressions import Binary, Expr, IsValid, MetaRef, Operator
from compiler.ir.headers import ACCEPT, State
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Apply, If, Learn, Run, Statement
from compiler.ir.tables import Action, Store, Table
from compiler.ir.walking import expressions
from compiler.pipeline import (
    affinity,
    associations,
    connections,
    fragments,
    gateway,
    options,
    policing,
    ports,
    related,
    serverreturn,
    spreading,
    storage,
)
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.family import FAMILIES
from compiler.pipeline.lifetimes import DIRECT, SCTP

_STEMS = (
    affinity.TABLE,
    affinity.BACKEND_TABLE,
    storage.HOST_TABLE,
    gateway.TABLE,
    related.TABLE,
    *fragments.TABLES.values(),
    serverreturn.TABLE,
    ports.TABLE,
    *policing.STEMS,
)
_TABLES = frozenset(family.named(stem) for family in FAMILIES for stem in _STEMS)
_CONTROLS = frozenset(
    control.name
    for family in FAMILIES
    for part in (affinity, policing, ports, related, serverreturn, fragments)
    for control in part.controls(family)
) | {control.name for control in (*associations.CONTROLS, options.CONTROL)}
_HEADERS = frozenset((*related.HEADERS, associations.HEADER, fragments.HEADER, *options.HEADERS))
_STATES = _HEADERS | {options.STATE}
_HEADER_TYPES = frozenset((related.HEADER_TYPE, associations.HEADER, fragments.HEADER, *options.HEADERS))
_NOT_OFFERED = frozenset(
    family.named(action)
    for family in FAMILIES
    for action in (
        spreading.IN_TURN_ACTION,
        spreading.BY_COUNT_ACTION,
        gateway.BACKEND_ACTION,
        serverreturn.BACKEND_ACTION,
    )
)
_ACTIONS = _NOT_OFFERED | frozenset(
    action.name
    for actions in (
        affinity.ACTIONS,
        policing.ACTIONS,
        (gateway.ACTION, serverreturn.ACTION, ports.ACTION),
        *map(policing.actions, FAMILIES),
    )
    for action in actions
)
_METADATA = frozenset(
    (
        *affinity.METADATA,
        *policing.METADATA,
        *related.METADATA,
        *serverreturn.METADATA,
        ports.ACROSS,
        ports.DIRECT,
        spreading.IN_TURN,
        spreading.BY_COUNT,
    )
)
_ASKED = (affinity.ASKED, policing.KEPT, ports.ACROSS, ports.DIRECT, serverreturn.ASKED)
_SWAPPED = {ports.telling_apart(family): ports.asking_for_replies(family) for family in FAMILIES} | {
    connections.learn_other_half(family): connections.learn_reverse(family, connections.FULL) for family in FAMILIES
}
_NEVER = tuple((fragments.translating(family),) for family in FAMILIES)
"""What is done with packets that nothing here translates."""
_REASONS = frozenset((*policing.REASONS, ports.NO_PORT))


def portable(whole: Pipeline) -> Pipeline:
    """The pipeline without what P4 targets cannot do; of a pipeline that has nothing of it, the same."""
    if not any(table.name in _TABLES for table in whole.tables):
        return whole
    return replace(
        whole,
        header_types=tuple(t for t in whole.header_types if t.name not in _HEADER_TYPES),
        headers=tuple(header for header in whole.headers if header.name not in _HEADERS),
        parser=tuple(_parsed(state) for state in whole.parser if state.name not in _STATES),
        metadata=tuple(field for field in whole.metadata if field.name not in _METADATA),
        actions=tuple(_restricted(action) for action in whole.actions if action.name not in _ACTIONS),
        drop_reasons=tuple(reason for reason in whole.drop_reasons if reason.name not in _REASONS),
        stores=tuple(_reachable(store) for store in whole.stores if store.name != affinity.STORE.name),
        tables=tuple(_by_hash(table) for table in whole.tables if table.name not in _TABLES),
        controls=tuple(
            replace(control, body=_kept(control.body)) for control in whole.controls if control.name not in _CONTROLS
        ),
    )


@cache
def portable_pipeline() -> Pipeline:
    """What `compiler.printers.p4.printing.print_v1model` prints."""
    return portable(pipeline())


def _restricted(action: Action) -> Action:
    asks = any(param.name == affinity.ASKED for param in action.params)
    return replace(action, restriction=f"{affinity.ASKED} == 0") if asks else action


def _by_hash(table: Table) -> Table:
    """Without turns and counts, and the actions that ask for them."""
    actions = tuple(ref for ref in table.actions if ref.name not in _NOT_OFFERED)
    selector = replace(table.selector, turns=None, fewest=None) if table.selector is not None else None
    return replace(table, actions=actions, selector=selector)


def _kept(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Without what is for services that ask for affinity, and for workloads with policies."""
    body = tuple(_SWAPPED.get(statement, statement) for statement in body)
    there = (part for statement in body for part in _where_headers_are(statement))
    kept = (_inside(statement) for statement in there if not _asks(statement))
    return tuple(statement for statement in kept if not _is_empty(statement))


def _where_headers_are(statement: Statement) -> tuple[Statement, ...]:
    """Without a question for a header that is not parsed, or a packet that is not translated: what follows holds."""
    if not isinstance(statement, If):
        return (statement,)
    condition = _possible(statement.condition)
    if condition is None or statement.then in _NEVER:
        return tuple(part for other in statement.otherwise for part in _where_headers_are(other))
    return (replace(statement, condition=condition),)


def _possible(condition: Expr) -> Expr | None:
    """What is left of a condition; None where it asks that a header be there which is not parsed."""
    match condition:
        case IsValid(header=header) if header in _HEADERS:
            return None
        case Binary(operator=Operator.AND | Operator.OR, left=left, right=right):
            first, second = _possible(left), _possible(right)
            if first is not None and second is not None:
                return replace(condition, left=first, right=second)
            return (first or second) if condition.operator is Operator.OR else None
        case _:
            return condition


def _reachable(store: Store) -> Store:
    """Without the profiles that no packet comes to."""
    return replace(
        store,
        profiles=tuple(p for p in store.profiles if not p.name.startswith((SCTP, DIRECT))),
        transitions=tuple(t for t in store.transitions if not t.current.startswith((SCTP, DIRECT))),
    )


def _parsed(state: State) -> State:
    state = fragments.whole_only(state)
    cases = tuple(case for case in state.cases if case.next not in _STATES)
    while cases and cases[-1].next == state.default == ACCEPT:
        cases = cases[:-1]
    return replace(state, cases=cases, select=state.select if cases else ())


def _asks(statement: Statement) -> bool:
    if isinstance(statement, Apply):
        return statement.table in _TABLES
    if isinstance(statement, Run):
        return statement.control in _CONTROLS
    return isinstance(statement, If) and any(
        isinstance(part, MetaRef) and part.name in _ASKED for part in expressions(statement.condition)
    )


def _is_empty(statement: Statement) -> bool:
    return isinstance(statement, If) and not statement.then and not statement.otherwise


def _inside(statement: Statement) -> Statement:
    match statement:
        case If(then=then, otherwise=otherwise):
            return replace(statement, then=_kept(then), otherwise=_kept(otherwise))
        case Apply(on_hit=on_hit, on_miss=on_miss):
            return replace(statement, on_hit=_kept(on_hit), on_miss=_kept(on_miss))
        case Learn():
            return replace(statement, counted=False, on_full=_kept(statement.on_full))
        case _:
            return statement
