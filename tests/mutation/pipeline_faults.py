"""Faults of a pipeline, found by walking it: for each part, what a person or a printer might have written instead.

One other value a site: a comparison gets its neighbour, a field the next one of its width. What the verifier of the IR
refuses is no mutant: nobody can come to print it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar, cast

from compiler.ir.expressions import Binary, Concat, Const, FieldRef, Hash, MetaRef, Not, Operator, ParamRef, Slice
from compiler.ir.expressions import width_bits as width_of
from compiler.ir.headers import Case, Checksum, Header, HeaderType, Match
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import (
    Advance,
    Apply,
    Count,
    Drop,
    If,
    Learn,
    Push,
    PushedHeader,
    Reply,
    Rewrite,
    Seek,
    Statement,
    ToKernel,
    Truncate,
)
from compiler.ir.tables import Action, Profile, Selector, Store, Table, Transition
from compiler.ir.verifier import verify
from runtime.bpf.chains import Hook
from tests.mutation.mutant import PipelineMutant
from tests.mutation.sites import Path, numbered, walk

Fault = tuple[str, object]
"""Which kind of fault, and what stands there then."""
_PARTS = {
    "header_types": "header type",
    "headers": "header",
    "parser": "state",
    "actions": "action",
    "stores": "store",
    "tables": "table",
    "controls": "control",
}
_OTHERS = {
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
    Operator.LT: Operator.LE,
    Operator.LE: Operator.LT,
    Operator.GT: Operator.GE,
    Operator.GE: Operator.GT,
    Operator.ADD: Operator.SUB,
    Operator.SUB: Operator.ADD,
    Operator.AND: Operator.OR,
    Operator.OR: Operator.AND,
    Operator.XOR: Operator.OR,
    Operator.SHL: Operator.SHR,
    Operator.SHR: Operator.SHL,
}
T = TypeVar("T")


def pipeline_mutants(pipeline: Pipeline) -> Iterator[PipelineMutant]:
    """All of a pipeline, in the order of its parts; every other one for XDP."""
    for at, (name, (path, value)) in enumerate(numbered(_found(pipeline))):
        hook = (Hook.TC, Hook.XDP)[at % 2]
        yield PipelineMutant(name=name, path=path, value=value, hook=hook)


def is_possible(mutant: PipelineMutant, pipeline: Pipeline) -> bool:
    """Whether it is another pipeline, and the verifier takes it."""
    changed = mutant.change(pipeline)
    return changed != pipeline and not verify(changed)


def _found(pipeline: Pipeline) -> Iterator[tuple[str, tuple[Path, object]]]:
    for field, kind in _PARTS.items():
        for index, part in enumerate(getattr(pipeline, field)):
            around = _Around(pipeline, part if isinstance(part, Action) else None)
            for path, inner in walk(part, (field, index)):
                for fault, value in _faults(inner, around):
                    yield f"{kind} {part.name}: {fault}", (path, value)


@dataclass(frozen=True, slots=True)
class _Around:
    """What other names a site could have named."""

    pipeline: Pipeline
    action: Action | None

    @property
    def names(self) -> Names:
        return Names(self.pipeline)


def _faults(part: object, around: _Around) -> Iterator[Fault]:
    if isinstance(part, tuple):
        parts = cast("tuple[object, ...]", part)
        if parts and all(isinstance(each, Statement) for each in parts):
            yield from (("drop a statement", rest) for rest in _without_one(parts))
        return
    yield from _of_expression(part, around)
    yield from _of_statement(part, around)
    yield from _of_declaration(part, around)


def _of_expression(part: object, around: _Around) -> Iterator[Fault]:
    match part:
        case Const(value=value, width_bits=width):
            yield "constant", replace(part, value=(value + 1) % (1 << width))
        case FieldRef(header=header, name=name, width_bits=width):
            fields = around.names.header_types[header].fields
            others = [f.name for f in fields if f.width_bits == width]
            yield "other field", replace(part, name=_next(others, name))
        case MetaRef(name=name, width_bits=width):
            others = [f.name for f in around.pipeline.metadata if f.width_bits == width]
            yield "other metadata", replace(part, name=_next(others, name))
        case ParamRef(name=name, width_bits=width) if around.action is not None:
            others = [p.name for p in around.action.params if p.width_bits == width]
            yield "other parameter", replace(part, name=_next(others, name))
        case Binary(operator=operator):
            yield "operator", replace(part, operator=_OTHERS[operator])
        case Slice(high=high, low=low):
            yield "slice", replace(part, high=high - 1, low=low - 1)
        case Concat(parts=parts):
            yield from (("order", replace(part, parts=other)) for other in _swapped(parts))
        case Hash(inputs=inputs):
            yield from (("hash input", replace(part, inputs=rest)) for rest in _without_one(inputs))
        case _:
            return


def _of_statement(part: object, around: _Around) -> Iterator[Fault]:
    pipeline = around.pipeline
    match part:
        case If(condition=condition):
            yield "negate a condition", replace(part, condition=Not(operand=condition))
        case Apply(on_hit=on_hit, on_miss=on_miss):
            yield "swap hit and miss", replace(part, on_hit=on_miss, on_miss=on_hit)
        case Rewrite(changes=changes):
            yield from (("drop a rewrite", replace(part, changes=rest)) for rest in _without_one(changes))
            for first, second in pairwise(changes):
                if first.target.width_bits == second.target.width_bits:
                    swapped = replace(first, value=second.value), replace(second, value=first.value)
                    others = (
                        swapped[changes.index(c) - changes.index(first)] if c in (first, second) else c for c in changes
                    )
                    yield "swap values", replace(part, changes=tuple(others))
        case Learn(action=action):
            others = [a.name for a in pipeline.actions if _widths(a) == _widths(around.names.actions[action])]
            yield "other action", replace(part, action=_next(others, action))
        case Seek(first=first):
            yield "constant", replace(part, first=first + 1)
        case Advance(event=event):
            events = next(store.events for store in pipeline.stores if event in store.events)
            yield "other event", replace(part, event=_next(events, event))
        case Count(counter=counter):
            yield "other counter", replace(part, counter=_next([c.name for c in pipeline.counters], counter))
        case Drop(reason=reason):
            yield "other reason", replace(part, reason=_next([r.name for r in pipeline.drop_reasons], reason))
            yield "other verdict", ToKernel()
        case Reply():
            yield "other verdict", Drop(reason=pipeline.drop_reasons[0].name)
        case Truncate(keep_bytes=keep_bytes):
            yield "constant", replace(part, keep_bytes=keep_bytes + 1)
        case Push(headers=headers):
            yield from (("drop a header", replace(part, headers=rest)) for rest in _without_one(headers))
        case PushedHeader(values=values):
            yield from (("drop a value", replace(part, values=rest)) for rest in _without_one(values))
        case _:
            return


def _of_declaration(part: object, around: _Around) -> Iterator[Fault]:
    match part:
        case HeaderType(fields=fields):
            for other in _swapped(fields):
                if [f.width_bits for f in other] == [f.width_bits for f in fields]:
                    yield "swap fields", replace(part, fields=other)
        case Header(covered_by=covered_by, pseudo_of=pseudo_of):
            yield from (("checksum forgotten", replace(part, covered_by=rest)) for rest in _without_one(covered_by))
            yield from (("checksum forgotten", replace(part, pseudo_of=rest)) for rest in _without_one(pseudo_of))
        case Checksum(zero_is_none=zero_is_none):
            yield "meaning of zero", replace(part, zero_is_none=not zero_is_none)
        case Match(value=value, mask=mask):
            yield "constant", replace(part, value=value ^ (1 if mask is None else mask & -mask))
        case Case(next=state):
            yield "other state", replace(part, next=_next([s.name for s in around.pipeline.parser], state))
        case Table(keys=keys):
            for first, second in pairwise(keys):
                if width_of(first.expr) == width_of(second.expr):
                    exprs = {first.name: second.expr, second.name: first.expr}
                    swapped = tuple(replace(key, expr=exprs.get(key.name, key.expr)) for key in keys)
                    yield "swap keys", replace(part, keys=swapped)
        case Selector(inputs=inputs):
            yield from (("hash input", replace(part, inputs=rest)) for rest in _without_one(inputs))
            yield from (("order", replace(part, inputs=other)) for other in _swapped(inputs))
        case Store(transitions=transitions, ways=ways):
            yield from (("drop a transition", replace(part, transitions=rest)) for rest in _without_one(transitions))
            yield "ways", replace(part, ways=ways // 2)
        case Profile(timeout_ms=timeout_ms, rank=rank):
            yield "timeout", replace(part, timeout_ms=timeout_ms + 1)
            yield "rank", replace(part, rank=rank + 1)
        case Transition(next=profile, other_next=other_profile):
            if other_profile:
                yield "the other half stays", replace(part, other_next="")
            profiles = [p.name for store in around.pipeline.stores for p in store.profiles]
            yield "other profile", replace(part, next=_next(list(dict.fromkeys(profiles)), profile))
        case _:
            return


def _without_one(parts: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    for at in range(len(parts)):
        yield parts[:at] + parts[at + 1 :]


def _swapped(parts: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """With two neighbours the other way round."""
    for at in range(len(parts) - 1):
        yield (*parts[:at], parts[at + 1], parts[at], *parts[at + 2 :])


def _next(names: Sequence[str], name: str) -> str:
    """The one behind it, the first behind the last; itself when there is no other."""
    return names[(names.index(name) + 1) % len(names)] if name in names else name


def _widths(action: Action) -> tuple[int, ...]:
    return tuple(param.width_bits for param in action.params)
