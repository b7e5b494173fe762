"""Entries that tables have from the start: they are what a control plane could write."""

from __future__ import annotations

from compiler.diagnostic import Report
from compiler.ir.entries import ActionCall
from compiler.ir.interpreter.entrycheck import check_arguments, check_matches
from compiler.ir.interpreter.errors import ModelError
from compiler.ir.nodes import Pipeline
from compiler.ir.restriction_parsing import RestrictionError, action_restriction, restriction
from compiler.ir.tables import Action, InitialEntry, Table
from compiler.ir.verifier import codes
from compiler.span import Span


def check_restriction(table: Table, report: Report) -> None:
    """That it can be read and printed, and that the entries from the start fulfil it."""
    if not table.restriction:
        return
    if table.store is not None:
        report.add(
            codes.BAD_RESTRICTION, table.span, f"table {table.name} is learned: nobody would check a restriction"
        )
    _check_printable(f"the restriction of table {table.name}", table.restriction, table.span, report)
    try:
        read = restriction(table.restriction, table)
    except RestrictionError as problem:
        message = f"the restriction of table {table.name}, column {problem.column}: {problem}"
        report.add(codes.BAD_RESTRICTION, table.span, message)
        return
    for entry in table.entries:
        violation = read.violation(entry.matches, entry.priority)
        if violation is not None:
            message = f"an entry of table {table.name} violates its restriction: {violation}"
            report.add(codes.BAD_RESTRICTION, entry.span, message)


def check_action_restriction(action: Action, pipeline: Pipeline, report: Report) -> None:
    """The same; nobody checks the arguments by which packets learn."""
    if not action.restriction:
        return
    what = f"the restriction of action {action.name}"
    _check_printable(what, action.restriction, action.span, report)
    try:
        read = action_restriction(action.restriction, action)
    except RestrictionError as problem:
        report.add(codes.BAD_RESTRICTION, action.span, f"{what}, column {problem.column}: {problem}")
        return
    for table in pipeline.tables:
        if table.store is not None and any(ref.name == action.name for ref in table.actions):
            message = f"{what}: table {table.name}, which offers it, is learned, and nobody would check it"
            report.add(codes.BAD_RESTRICTION, action.span, message)
        for call in (table.default_call, *(entry.action for entry in table.entries)):
            violation = read.violation_by(call) if _is_whole(call, action) else None
            if violation is not None:
                message = f"{what} is violated by an entry of table {table.name}: {violation}"
                report.add(codes.BAD_RESTRICTION, table.span, message)


def _is_whole(call: ActionCall, action: Action) -> bool:
    return call.action == action.name and len(call.arguments) == len(action.params)


def _check_printable(what: str, text: str, span: Span, report: Report) -> None:
    if any(sign in text for sign in '"\\\n'):
        message = f"{what} has a quote, a backslash or a line end, which P4 cannot say"
        report.add(codes.BAD_RESTRICTION, span, message)


def check_entries(table: Table, actions: dict[str, Action], report: Report) -> None:
    if not table.entries and not table.has_const_entries:
        return
    if table.store is not None or table.selector is not None:
        kind = "is learned" if table.store is not None else "has a selector"
        report.add(codes.BAD_ENTRY, table.span, f"table {table.name} {kind}: it cannot have entries from the start")
        return
    if len(table.entries) > table.size:
        message = f"table {table.name} has {len(table.entries)} entries and the size {table.size}"
        report.add(codes.BAD_ENTRY, table.span, message)
    for entry in table.entries:
        _check_entry(table, entry, actions, report)
    if len({(entry.matches, entry.priority) for entry in table.entries}) != len(table.entries):
        report.add(codes.BAD_ENTRY, table.span, f"table {table.name} has an entry twice")
    _check_priorities(table, report)


def _check_entry(table: Table, entry: InitialEntry, actions: dict[str, Action], report: Report) -> None:
    def refuse(message: str) -> None:
        report.add(codes.BAD_ENTRY, entry.span, message)

    try:
        check_matches(table, entry.matches, entry.priority)
        call = entry.action
        if not any(ref.name == call.action and ref.in_entries for ref in table.actions):
            refuse(f"table {table.name} offers no action '{call.action}' for entries")
        elif call.action in actions:
            check_arguments(actions[call.action], call)
    except ModelError as problem:
        refuse(str(problem))
    if table.has_const_entries and not entry.is_const:
        refuse(f"table {table.name} is constant, and one of its entries is not")


def _check_priorities(table: Table, report: Report) -> None:
    """P4 gives the entries of a constant table their priorities by their order, the first the largest."""
    if not table.has_const_entries or not table.has_priority:
        return
    count = len(table.entries)
    if [entry.priority for entry in table.entries] != list(range(count, 0, -1)):
        message = f"the entries of the constant table {table.name} have priorities other than {count} down to 1"
        report.add(codes.BAD_ENTRY, table.span, message)
