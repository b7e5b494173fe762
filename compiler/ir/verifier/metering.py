"""Meters of tables and the actions that execute them, and what else only tables of a control plane have."""

from __future__ import annotations

from compiler.diagnostic import Report
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Execute, ExecuteDirect
from compiler.ir.tables import Action, Table
from compiler.ir.verifier import codes
from compiler.ir.walking import statements
from compiler.span import NOWHERE


def check_meters(pipeline: Pipeline, report: Report) -> None:
    executing = {action.name: _executed(action) for action in pipeline.actions}
    for table in pipeline.tables:
        _check_table(table, executing, report)
    for action in pipeline.actions:
        tables = [t.name for t in pipeline.tables if action.name in {reference.name for reference in t.actions}]
        if executing[action.name] and len(tables) > 1:
            message = f"action {action.name} executes a direct meter and is offered by {', '.join(tables)}"
            report.add(codes.BAD_METER, action.span, message, expected="one table")
    executed = {
        statement.meter
        for part in (*pipeline.actions, *pipeline.controls)
        for statement in statements(part.body)
        if isinstance(statement, Execute)
    }
    for meter in pipeline.meters:
        if meter.name not in executed:
            report.add(codes.UNUSED, NOWHERE, f"meter {meter.name} is never executed")


def _executed(action: Action) -> tuple[ExecuteDirect, ...]:
    return tuple(statement for statement in statements(action.body) if isinstance(statement, ExecuteDirect))


def _check_table(table: Table, executing: dict[str, tuple[ExecuteDirect, ...]], report: Report) -> None:
    if table.store is not None and (table.meter is not None or table.idle_timeout):
        what = "a direct meter" if table.meter is not None else "an idle timeout of its own"
        report.add(codes.BAD_LEARNED_TABLE, table.span, f"learned table {table.name} has {what}")
    found: list[ExecuteDirect] = []
    for reference in table.actions:
        executed = executing.get(reference.name, ())
        found += executed
        if executed and table.meter is None:
            message = f"action {reference.name} executes a direct meter, table {table.name} has none"
            report.add(codes.BAD_METER, executed[0].span, message)
        if executed and reference.as_default:
            message = f"action {reference.name} executes the meter of an entry and is a default of table {table.name}"
            report.add(codes.BAD_METER, executed[0].span, message)
    if table.meter is not None and not found:
        report.add(codes.UNUSED, table.span, f"no action of table {table.name} executes its meter")
    if len({execute.target.name for execute in found}) > 1:
        message = f"the meter of table {table.name} is executed into more than one metadata field"
        report.add(codes.BAD_METER, found[0].span, message, hint="v1model wants one")
