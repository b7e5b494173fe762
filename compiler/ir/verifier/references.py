"""References lead to keys that there are, and what is there from the start refers to nothing that is not."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.diagnostic import Report, did_you_mean
from compiler.ir.entries import numbers_of
from compiler.ir.expressions import width_bits
from compiler.ir.nodes import Pipeline
from compiler.ir.references import MULTICAST_GROUP_BITS, MULTICAST_GROUPS, Wanted, links, wanted_by
from compiler.ir.tables import Action, InitialEntry, MatchKind, Reference, Table
from compiler.ir.verifier import codes
from compiler.span import Span


def check_references(pipeline: Pipeline, report: Report) -> None:
    tables = {table.name: table for table in pipeline.tables}
    actions = {action.name: action for action in pipeline.actions}
    is_good = True
    for what, width, references, span in _references(pipeline):
        for reference in references:
            is_good &= _check_reference(what, width, reference, tables, span, report)
    for table in pipeline.tables:
        _check_table(table, actions, report)
    if is_good:
        _check_beginning(pipeline, tables, report)


def _references(pipeline: Pipeline) -> Iterator[tuple[str, int, tuple[Reference, ...], Span]]:
    for table in pipeline.tables:
        for key in table.keys:
            yield f"key {key.name} of table {table.name}", width_bits(key.expr), key.refers_to, table.span
    for action in pipeline.actions:
        for param in action.params:
            yield f"parameter {param.name} of action {action.name}", param.width_bits, param.refers_to, action.span


def _check_reference(
    what: str, width: int, reference: Reference, tables: dict[str, Table], span: Span, report: Report
) -> bool:
    """Whether it leads somewhere."""
    if "::" in reference.table:
        return _check_builtin(what, width, reference, span, report)
    table = tables.get(reference.table)
    if table is None:
        hint = did_you_mean(reference.table, tables)
        report.add(codes.UNKNOWN_NAME, span, f"{what} refers to the unknown table '{reference.table}'", hint=hint)
        return False
    keys = {key.name: key for key in table.keys}
    key = keys.get(reference.field)
    if key is None:
        message = f"{what} refers to the unknown key '{reference.field}' of table {table.name}"
        report.add(codes.UNKNOWN_NAME, span, message, hint=did_you_mean(reference.field, keys))
        return False
    leads = f"{what} refers to key {key.name} of table {table.name}"
    if table.store is not None:
        report.add(codes.BAD_REFERENCE, span, f"{leads}, which is learned: its entries come and go by themselves")
    if key.match is not MatchKind.EXACT:
        report.add(codes.BAD_REFERENCE, span, f"{leads}, which is matched {key.match.value}", expected="an exact key")
    if width_bits(key.expr) != width:
        message = f"{leads}: they have {width} and {width_bits(key.expr)} bits"
        report.add(codes.BAD_REFERENCE, span, message)
    return True


def _check_builtin(what: str, width: int, reference: Reference, span: Span, report: Report) -> bool:
    if reference != MULTICAST_GROUPS:
        message = f"{what} refers to {reference.table}, {reference.field}"
        expected = f"{MULTICAST_GROUPS.table}, {MULTICAST_GROUPS.field}"
        report.add(codes.BAD_REFERENCE, span, message, expected=expected)
    elif width > MULTICAST_GROUP_BITS:
        message = f"{what} refers to multicast groups, whose ids have {MULTICAST_GROUP_BITS} bits, and has {width}"
        report.add(codes.BAD_REFERENCE, span, message)
    return reference == MULTICAST_GROUPS


def _check_table(table: Table, actions: dict[str, Action], report: Report) -> None:
    """What a table and its actions refer to, together."""
    for key in table.keys:
        if key.refers_to and key.match not in (MatchKind.EXACT, MatchKind.OPTIONAL):
            message = f"key {key.name} of table {table.name} refers to another, and is matched {key.match.value}"
            report.add(codes.BAD_REFERENCE, table.span, message, expected="an exact or an optional key")
    offered = [actions[ref.name] for ref in table.actions if ref.name in actions]
    if table.store is not None and any(links(table, action) for action in (None, *offered)):
        message = f"table {table.name} is learned: nobody would check what its entries refer to"
        report.add(codes.BAD_REFERENCE, table.span, message)
    for action in offered:
        for link in links(table, action):
            fields = [source.field for source in link.sources]
            what = f"an entry of table {table.name} with action {action.name}"
            if len(set(fields)) < len(fields):
                message = f"{what} refers twice to one key of table {link.table}, and to others of it"
                report.add(codes.BAD_REFERENCE, table.span, message)
            if table.selector is not None and len({source.is_key for source in link.sources}) > 1:
                message = f"{what} refers to table {link.table} by a key and by a parameter, which members have"
                report.add(codes.BAD_REFERENCE, table.span, message)


def _check_beginning(pipeline: Pipeline, tables: dict[str, Table], report: Report) -> None:
    for table in pipeline.tables:
        if any(ref.name not in {action.name for action in pipeline.actions} for ref in table.actions):
            return
    for table in pipeline.tables:
        default = InitialEntry(matches=(), action=table.default_call, span=table.span)
        for entry in (default, *table.entries):
            what = "an entry" if entry.matches else "the default entry"
            for wanted in wanted_by(table, entry.matches, entry.action, pipeline.actions):
                if not _is_there(wanted, tables):
                    message = f"{what} of table {table.name} refers to {shown(wanted)}, which is not there at first"
                    report.add(codes.BAD_REFERENCE, entry.span, message)


def _is_there(wanted: Wanted, tables: dict[str, Table]) -> bool:
    table = tables.get(wanted.table)
    if table is None:
        return False
    places = [[key.name for key in table.keys].index(field) for field in wanted.fields]
    return any(
        tuple(numbers_of(entry.matches[place])[0] for place in places) == wanted.values for entry in table.entries
    )


def shown(wanted: Wanted) -> str:
    values = ", ".join(f"{field} = {value:#x}" for field, value in zip(wanted.fields, wanted.values, strict=True))
    return f"an entry of table {wanted.table} with {values}" if "::" not in wanted.table else values
