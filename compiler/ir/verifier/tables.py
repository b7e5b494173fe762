"""Second pass: tables, their keys, actions and selectors, and the stores of learned tables."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.diagnostic import Report, did_you_mean
from compiler.ir.expressions import width_bits
from compiler.ir.formats import FORMATS
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Advance, If, Learn, Statement
from compiler.ir.tables import Action, Fewest, MatchKind, Selector, Store, Table, Transition, Turns
from compiler.ir.turns import MAX_CELL_BITS, MAX_COUNTED
from compiler.ir.verifier import codes
from compiler.ir.verifier.entries import check_action_restriction, check_entries, check_restriction
from compiler.ir.verifier.metering import check_meters
from compiler.ir.verifier.references import check_references
from compiler.ir.verifier.translation import check_translation
from compiler.ir.walking import all_statements
from compiler.span import NOWHERE, Span

_FORMAT_WIDTHS = {"ipv4": 32, "ipv6": 128, "mac": 48}
_MAX_PROFILE = 31
"""The flow table's C keeps sets of profiles in 32 bits."""


def check_tables(pipeline: Pipeline, report: Report) -> None:
    actions = {action.name: action for action in pipeline.actions}
    stores = {store.name: store for store in pipeline.stores}
    for action in pipeline.actions:
        for param in action.params:
            what = f"parameter {param.name} of action {action.name}"
            _check_format(what, param.format, param.width_bits, action.span, report)
        check_action_restriction(action, pipeline, report)
    for table in pipeline.tables:
        _check_table(table, actions, report)
        if table.store is not None:
            _check_learned(table, stores, report)
        check_entries(table, actions, report)
        check_restriction(table, report)
    for store in pipeline.stores:
        _check_store(store, report)
        _check_key_types(store, [table for table in pipeline.tables if table.store == store.name], report)
    _check_fewest(pipeline, stores, report)
    _check_halves(pipeline, report)
    _check_advances(pipeline, actions, stores, report)
    check_meters(pipeline, report)
    check_references(pipeline, report)
    check_translation(pipeline, report)
    offered = {reference.name for table in pipeline.tables for reference in table.actions}
    for action in pipeline.actions:
        if action.name not in offered:
            report.add(codes.UNUSED, action.span, f"no table offers action {action.name}")


def _check_format(what: str, form: str, width: int, span: Span, report: Report) -> None:
    if width < 1:
        report.add(codes.WIDTH, span, f"{what} has no bits")
    if form not in FORMATS or _FORMAT_WIDTHS.get(form, width) != width:
        report.add(codes.BAD_KEY, span, f"{what} of {width} bits cannot be written as '{form}'")


def _check_table(table: Table, actions: dict[str, Action], report: Report) -> None:
    if table.size < 1:
        report.add(codes.BAD_SIZE, table.span, f"table {table.name} has the size {table.size}")
    if not table.keys:
        report.add(codes.BAD_KEY, table.span, f"table {table.name} has no key")
    for key in table.keys:
        what = f"key {key.name} of table {table.name}"
        _check_format(what, key.format, width_bits(key.expr), table.span, report)
    if sum(key.match is MatchKind.LPM for key in table.keys) > 1:
        report.add(codes.TWO_LPM_KEYS, table.span, f"table {table.name} has more than one LPM key")
    _check_actions(table, actions, report)
    selector = table.selector
    if selector is not None and not 1 <= selector.max_group_size <= selector.size:
        message = f"selector {selector.name} has groups of up to {selector.max_group_size} and the size {selector.size}"
        report.add(codes.BAD_SELECTOR, table.span, message)
    if selector is not None and not selector.inputs:
        report.add(codes.BAD_SELECTOR, table.span, f"selector {selector.name} hashes nothing")
    if selector is not None and selector.turns is not None:
        _check_turns(selector, selector.turns, table, report)


def _check_fewest(pipeline: Pipeline, stores: dict[str, Store], report: Report) -> None:
    counting: dict[str, str] = {}
    for table in pipeline.tables:
        selector = table.selector
        if selector is not None and selector.fewest is not None:
            _check_one_fewest(selector, selector.fewest, table, stores, report)
            other = counting.setdefault(selector.fewest.store, selector.name)
            if other != selector.name:
                message = f"entries of store {selector.fewest.store} count for selectors {other} and {selector.name}"
                report.add(codes.BAD_SELECTOR, table.span, message)


def _check_halves(pipeline: Pipeline, report: Report) -> None:
    """Of a pair one half counts at most, so one table of a store has entries that are counted. What is renewed has no
    pair, and is never counted.
    """
    stores = {table.name: table.store for table in pipeline.tables}
    counting: dict[str, str] = {}
    learns = [found for found in all_statements(pipeline) if isinstance(found, Learn)]
    paired = {learn.table for learn in learns if not learn.renews}
    for learn in (found for found in learns if found.renews):
        if learn.table in paired:
            message = f"table {learn.table} is renewed, and learned where it may have pairs"
            report.add(codes.BAD_PAIR, learn.span, message, expected="one or the other")
        if learn.counted:
            message = f"table {learn.table} is renewed, and its entry is counted"
            report.add(codes.BAD_PAIR, learn.span, message, expected="one or the other")
    for learn in (found for found in learns if found.counted):
        store = stores.get(learn.table)
        if store is not None and counting.setdefault(store, learn.table) != learn.table:
            message = f"entries of tables {counting[store]} and {learn.table} are counted, which store {store} pairs"
            report.add(codes.BAD_PAIR, learn.span, message)


def _check_one_fewest(
    selector: Selector, fewest: Fewest, table: Table, stores: dict[str, Store], report: Report
) -> None:
    asked = width_bits(fewest.asked)
    if asked != 1:
        message = f"selector {selector.name} asks for the fewest by {asked} bits, not by 1"
        report.add(codes.BAD_SELECTOR, table.span, message)
    if selector.turns is None:
        message = f"selector {selector.name} has no turns, of whose cycle the fewest are drawn"
        report.add(codes.BAD_SELECTOR, table.span, message)
    if selector.size > MAX_COUNTED:
        message = f"selector {selector.name} has the size {selector.size}, {MAX_COUNTED} members can be told apart"
        report.add(codes.BAD_SELECTOR, table.span, message)
    if fewest.store not in stores:
        message = f"selector {selector.name} counts in the unknown store '{fewest.store}'"
        report.add(codes.UNKNOWN_NAME, table.span, message, hint=did_you_mean(fewest.store, stores))


def _check_turns(selector: Selector, turns: Turns, table: Table, report: Report) -> None:
    asked, cell = width_bits(turns.asked), width_bits(turns.cell)
    if asked != 1:
        report.add(codes.BAD_SELECTOR, table.span, f"selector {selector.name} asks for turns by {asked} bits, not by 1")
    if cell > MAX_CELL_BITS:
        message = f"selector {selector.name} counts turns by {cell} bits, at most {MAX_CELL_BITS} are possible"
        report.add(codes.BAD_SELECTOR, table.span, message)


def _check_actions(table: Table, actions: dict[str, Action], report: Report) -> None:
    offered = {reference.name: reference for reference in table.actions}
    if len(offered) != len(table.actions):
        report.add(codes.DUPLICATE_NAME, table.span, f"table {table.name} offers an action twice")
    for reference in table.actions:
        if reference.name not in actions:
            message = f"table {table.name} offers the unknown action '{reference.name}'"
            report.add(codes.UNKNOWN_NAME, table.span, message, hint=did_you_mean(reference.name, actions))
        if not reference.in_entries and not reference.as_default:
            message = f"table {table.name} offers action {reference.name} neither for entries nor as default"
            report.add(codes.BAD_DEFAULT, table.span, message)
    default = offered.get(table.default_action)
    if default is None or not default.as_default:
        message = f"table {table.name} does not offer its default action '{table.default_action}' as one"
        report.add(codes.BAD_DEFAULT, table.span, message)
    elif default.name in actions:
        _check_default(table, actions[default.name], report)


def _check_default(table: Table, action: Action, report: Report) -> None:
    what = f"the default action {action.name} of table {table.name}"
    if len(action.params) != len(table.default_arguments):
        message = f"{what} has {len(action.params)} parameters, and is given {len(table.default_arguments)} arguments"
        report.add(codes.BAD_DEFAULT, table.span, message)
    for param, value in zip(action.params, table.default_arguments, strict=False):
        if value >> param.width_bits:
            message = f"{what}: argument {param.name} is {value}, which does not fit into {param.width_bits} bits"
            report.add(codes.BAD_DEFAULT, table.span, message)
    if not table.has_const_default and (table.selector is not None or table.store is not None):
        kind = "with a selector" if table.selector is not None else "that is learned"
        report.add(codes.BAD_DEFAULT, table.span, f"table {table.name}, one {kind}, has a default that is not constant")


def _check_learned(table: Table, stores: dict[str, Store], report: Report) -> None:
    if table.store not in stores:
        message = f"table {table.name} is kept in the unknown store '{table.store}'"
        report.add(codes.UNKNOWN_NAME, table.span, message, hint=did_you_mean(str(table.store), stores))
    if any(key.match is not MatchKind.EXACT for key in table.keys):
        report.add(codes.BAD_LEARNED_TABLE, table.span, f"learned table {table.name} has a key that is not exact")
    if table.selector is not None:
        report.add(codes.BAD_LEARNED_TABLE, table.span, f"learned table {table.name} has a selector")
    if not any(reference.in_entries for reference in table.actions):
        report.add(codes.BAD_LEARNED_TABLE, table.span, f"learned table {table.name} has no action for entries")


def _check_store(store: Store, report: Report) -> None:
    def refuse(message: str) -> None:
        report.add(codes.BAD_STORE, NOWHERE, f"store {store.name} {message}")

    if store.size < 1 or store.size & (store.size - 1):
        refuse(f"has the size {store.size}, not a power of two")
    if store.ways < 1 or store.ways > store.size or store.ways & (store.ways - 1):
        refuse(f"has {store.ways} ways, not a power of two up to its size")
    ids, names = [p.id for p in store.profiles], [p.name for p in store.profiles]
    if not ids or len(set(ids)) != len(ids) or len(set(names)) != len(names):
        refuse("needs profiles, each with a name and an id of its own")
    if any(not 0 < number <= _MAX_PROFILE for number in ids):
        refuse(f"has a profile id outside 1 to {_MAX_PROFILE}")
    if any(profile.timeout_ms < 1 or profile.rank < 0 for profile in store.profiles):
        refuse("has a profile with no timeout or a negative rank")
    if len(set(store.events)) != len(store.events):
        refuse("has an event twice")
    for transition in store.transitions:
        used = {transition.current, transition.next, transition.other or names[0], transition.other_next or names[0]}
        if not used <= set(names) or transition.event not in store.events:
            refuse(f"has a transition {transition.current} {transition.event} {transition.next} with an unknown name")
    if (hidden := _hidden_transition(store)) is not None:
        refuse(f"has a transition {hidden.current} {hidden.event} {hidden.next} that another one before it hides")


def _hidden_transition(store: Store) -> Transition | None:
    """One that can never apply: the same start stands before it, or one for any other half."""
    seen: set[tuple[str, str, str]] = set()
    for transition in store.transitions:
        start = transition.current, transition.event
        if (*start, "") in seen or (*start, transition.other) in seen:
            return transition
        seen.add((*start, transition.other))
    return None


def _check_key_types(store: Store, tables: list[Table], report: Report) -> None:
    if not tables:
        report.add(codes.UNUSED, NOWHERE, f"no table is kept in store {store.name}")
    widths = {tuple(width_bits(key.expr) for key in table.keys) for table in tables}
    if len(widths) > 1:
        names = ", ".join(table.name for table in tables)
        report.add(codes.BAD_STORE, tables[0].span, f"the tables of store {store.name} differ in key widths: {names}")


def _check_advances(pipeline: Pipeline, actions: dict[str, Action], stores: dict[str, Store], report: Report) -> None:
    """An action with `Advance` belongs to learned tables alone, and their stores know the event."""
    for table in pipeline.tables:
        events = stores[table.store].events if table.store in stores else ()
        for reference in table.actions:
            action = actions.get(reference.name)
            for advance in _advances(action.body) if action is not None else ():
                if table.store is None:
                    message = f"action {reference.name} advances a learned entry, table {table.name} has none"
                    report.add(codes.BAD_LEARNED_TABLE, advance.span, message)
                elif advance.event not in events:
                    message = f"store {table.store} has no event '{advance.event}'"
                    report.add(codes.UNKNOWN_NAME, advance.span, message, hint=did_you_mean(advance.event, events))


def _advances(statements: Iterable[Statement]) -> Iterable[Advance]:
    for statement in statements:
        if isinstance(statement, Advance):
            yield statement
        elif isinstance(statement, If):
            yield from _advances(statement.then)
            yield from _advances(statement.otherwise)
