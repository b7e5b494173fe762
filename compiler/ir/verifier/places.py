"""Which statements stand in actions, and which in controls."""

from __future__ import annotations

from compiler.diagnostic import Report
from compiler.ir.expressions import FieldRef
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Clone,
    Drop,
    ExecuteDirect,
    Forward,
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
from compiler.ir.verifier import codes


def check_place(statement: Statement, report: Report, *, in_action: bool) -> None:
    """What is wrong with a statement of an action or a control because of where it is."""
    match statement:
        case Assign(target=FieldRef(header=header, name=name)) if in_action:
            message, expected = f"the action sets {header}.{name}", "actions set metadata, controls the packet"
            report.add(codes.MISPLACED_STATEMENT, statement.span, message, expected=expected)
        case Apply() | Run() | Learn() | Seek() | SendDigest() | Clone():
            _check(statement, report, "an action", is_wrong=in_action)
        case Forward() | Reply() | ToKernel() | Drop() | Punt() | Multicast():
            _check(statement, report, "an action", is_wrong=in_action)
        case Rewrite() | Push() | Pop() | PushVlan() | PopVlan() | Truncate():
            _check(statement, report, "an action", is_wrong=in_action)
        case Advance() | ExecuteDirect():
            _check(statement, report, "a control", is_wrong=not in_action)
        case _:
            return


def _check(statement: Statement, report: Report, where: str, *, is_wrong: bool) -> None:
    if is_wrong:
        message = f"{type(statement).__name__} stands in {where}"
        report.add(codes.MISPLACED_STATEMENT, statement.span, message)
