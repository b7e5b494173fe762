"""Which statements PNA runs in a table's default action: the learning of the key that has just missed.

`add_entry` adds that key only, and only there. So a `Learn` must be the first statement of its table's `on_miss`, alone
or alone under one condition; `compiler.pipeline.offload` puts a pipeline together like that.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.expressions import Expr
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Apply, If, Learn, Statement
from compiler.printers.p4.walking import statements

ACTION_IDS = 0x01800000
"""The default action that learns for a table has this id and the low 16 bits of the table's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insertion:
    """`condition` None learns always; `rest` is what is left of the table's `on_miss`."""

    learn: Learn
    condition: Expr | None
    rest: tuple[Statement, ...]


def insertion(apply: Apply) -> Insertion | None:
    """What the default action of the table learns, if it does."""
    match apply.on_miss:
        case (Learn(table=table) as learn, *rest) if table == apply.table:
            return Insertion(learn=learn, condition=None, rest=tuple(rest))
        case (If(condition=condition, then=(Learn(table=table) as learn,), otherwise=()), *rest) if (
            table == apply.table
        ):
            return Insertion(learn=learn, condition=condition, rest=tuple(rest))
        case _:
            return None


def insertions(pipeline: Pipeline) -> dict[str, Insertion]:
    """By table."""
    found = ((s.table, insertion(s)) for s in statements(pipeline) if isinstance(s, Apply))
    return {table: made for table, made in found if made is not None}
