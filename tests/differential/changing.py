"""Steps from one state of the tables to another."""

from __future__ import annotations

from compiler.ir.entries import Entries
from runtime.client.plan import Kind, difference
from runtime.verification.comparison import Comparison


def change(comparison: Comparison, present: Entries, desired: Entries) -> None:
    """As `turnout apply` goes from one state to another."""
    for step in difference(present, desired).steps:
        match step.kind:
            case Kind.INSERT:
                comparison.insert(step.entity)
            case Kind.MODIFY:
                comparison.modify(step.entity)
            case Kind.DELETE:
                comparison.delete(step.entity)
