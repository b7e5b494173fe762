"""What a v1model program cannot say of learning: a packet has one digest, which tells what is inserted."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.names import Names
from compiler.ir.statements import Apply, If, Learn, Run, Statement
from compiler.ir.walking import branches
from compiler.printers.p4.refusals import UnprintableError

PROFILE = "v1model"


def check_learns_alone(learn: Learn, names: Names) -> None:
    """Raises `UnprintableError` if it renews an entry, or if a packet may have learned in another store before it."""
    if learn.renews:
        raise UnprintableError(PROFILE, f"an entry of {learn.table} that is renewed", learn.span)
    _Walk(names, learn).after(names.controls[names.pipeline.main].body, frozenset())


@dataclass(frozen=True, slots=True)
class _Walk:
    names: Names
    learn: Learn

    def after(self, body: tuple[Statement, ...], learned: frozenset[str]) -> frozenset[str]:
        """The stores in which a packet may have learned behind a body; those that it had before are in `learned`."""
        for statement in body:
            match statement:
                case Run(control=control):
                    learned = self.after(self.names.controls[control].body, learned)
                case Learn(table=table):
                    store = self.names.tables[table].store or ""
                    if statement is self.learn:
                        self._check(learned | {store})
                    learned |= {store}
                case If() | Apply():
                    learned = learned.union(*(self.after(branch, learned) for branch in branches(statement)))
                case _:
                    pass
        return learned

    def _check(self, stores: frozenset[str]) -> None:
        if len(stores) > 1:
            what = f"entries of {', '.join(sorted(stores))} for one packet, which has one digest"
            raise UnprintableError(PROFILE, what, self.learn.span)
