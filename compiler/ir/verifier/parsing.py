"""Third pass: the parser has no loop, reaches every state, and takes headers in the pipeline's order."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.diagnostic import Report, did_you_mean
from compiler.ir.expressions import width_bits
from compiler.ir.headers import ACCEPT, State
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.verifier import codes
from compiler.ir.verifier.widths import Expressions

World = frozenset[str]
"""The headers that are valid together in some packet."""


def check_parser(pipeline: Pipeline, report: Report) -> None:
    names = Names(pipeline)
    expressions = Expressions(names, report, may_peek=True)
    for state in pipeline.parser:
        _check_targets(state, names, report)
        if state.extract is not None:
            expressions.check_header(state.extract, state.span)
        _check_select(state, expressions, report)
    if any(d.code in (codes.UNKNOWN_NAME,) for d in report.sorted()) or not _is_loop_free(names, report):
        return
    reached = {state for state, _ in walk(names)}
    for state in pipeline.parser:
        if state.name not in reached:
            report.add(codes.UNREACHED_STATE, state.span, f"no packet reaches parser state {state.name}")
    _check_order(names, report)


def walk(names: Names) -> Iterator[tuple[str, World]]:
    """Each state, ACCEPT too, with the headers valid on entering it, for every path; the parser has no loop."""
    pending: list[tuple[str, World]] = [(names.pipeline.parser[0].name, frozenset())]
    seen: set[tuple[str, World]] = set()
    while pending:
        name, world = pending.pop()
        if (name, world) in seen:
            continue
        seen.add((name, world))
        yield name, world
        if name != ACCEPT:
            state = names.states[name]
            after = world if state.extract is None else world | {state.extract}
            pending += [(target, after) for target in dict.fromkeys(_targets(state))]


def parsed_worlds(names: Names) -> frozenset[World]:
    """The sets of headers that a parsed packet may have."""
    return frozenset(world for state, world in walk(names) if state == ACCEPT)


def _targets(state: State) -> tuple[str, ...]:
    return (*(case.next for case in state.cases), state.default)


def _check_targets(state: State, names: Names, report: Report) -> None:
    for target in _targets(state):
        if target != ACCEPT and target not in names.states:
            message = f"parser state {state.name} goes to the unknown state '{target}'"
            report.add(codes.UNKNOWN_NAME, state.span, message, hint=did_you_mean(target, names.states))


def _check_select(state: State, expressions: Expressions, report: Report) -> None:
    for expr in state.select:
        expressions.check(expr)
    for case in state.cases:
        if len(case.matches) != len(state.select):
            message = f"state {state.name} selects by {len(state.select)} values, a case has {len(case.matches)}"
            report.add(codes.BAD_SELECT, state.span, message)
            continue
        for wanted, expr in zip(case.matches, state.select, strict=True):
            most = (1 << width_bits(expr)) - 1
            if not 0 <= wanted.value <= most or not 0 <= (wanted.mask or 0) <= most:
                message = f"state {state.name} compares {width_bits(expr)} bits with {wanted.value}, mask {wanted.mask}"
                report.add(codes.BAD_SELECT, state.span, message)


def _is_loop_free(names: Names, report: Report) -> bool:
    return _leads_to_no_loop(names.pipeline.parser[0].name, (), set(), names, report)


def _leads_to_no_loop(name: str, path: tuple[str, ...], done: set[str], names: Names, report: Report) -> bool:
    """Of a state that `path` leads to; `done` are those that have been asked of."""
    if name in path:
        message = f"the parser loops: {' -> '.join((*path[path.index(name) :], name))}"
        report.add(codes.PARSER_LOOP, names.states[name].span, message)
        return False
    if name == ACCEPT or name in done:
        return True
    targets = dict.fromkeys(_targets(names.states[name]))
    free = all(_leads_to_no_loop(target, (*path, name), done, names, report) for target in targets)
    done.add(name)
    return free


def _check_order(names: Names, report: Report) -> None:
    order = names.header_order
    for name, world in walk(names):
        extract = names.states[name].extract if name != ACCEPT else None
        behind = [header for header in world if extract is not None and order[header] >= order[extract]]
        if behind:
            message = f"state {name} takes {extract} after {behind[0]}, which stands behind it in a packet"
            report.add(codes.HEADER_ORDER, names.states[name].span, message)
