"""`Truncate`, and the checksums of headers pushed in front of a packet that has been cut.

A P4 target can compute a checksum over the rest of a packet only when the program knows what the rest is. It does
behind a `Truncate` that stands under a condition on the next header's validity, which is how an ICMP error quotes a
packet: the quoted IP header and the first bytes of the transport header behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.ir import walking
from compiler.ir.expressions import Binary, Expr, FieldRef, IsValid, Operator
from compiler.ir.headers import Coverage
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import If, Push, Statement, Truncate, Verdict
from compiler.printers.p4.checksums import covers_header_alone, is_computed
from compiler.printers.p4.paths import can_meet, header_sets
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4.walking import blocks, expressions

FieldName = tuple[str, str]
"""Header and field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """A checksum computed from nothing: 16-bit words of fields and constants (value, width in bits)."""

    holder: str
    field: str
    present: tuple[str, ...]
    """Headers that tell this computation from others of the same checksum."""
    data: tuple[FieldName | tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The length of the packet behind a `Truncate`: bytes that are always there, and headers that may be in front."""

    fixed_bytes: int
    optional: tuple[tuple[str, int], ...]


def computations(pipeline: Pipeline) -> tuple[Computation, ...]:
    """All checksums that pushed headers leave to the target."""
    made: dict[Computation, None] = {}
    for block, condition in _blocks_with_conditions(pipeline):
        for index, statement in enumerate(block):
            if isinstance(statement, Push):
                cut = _cut_before(block[:index])
                made.update(dict.fromkeys(_of_push(pipeline, statement, cut, condition)))
    return tuple(made)


def _blocks_with_conditions(pipeline: Pipeline) -> Iterator[tuple[tuple[Statement, ...], Expr | None]]:
    """Every block, with the condition it stands under."""
    conditions: dict[int, Expr] = {}
    for block in blocks(pipeline):
        for statement in block:
            if isinstance(statement, If):
                conditions[id(statement.then)] = statement.condition
            for inner in walking.branches(statement):
                if id(block) in conditions:
                    conditions.setdefault(id(inner), conditions[id(block)])
        yield block, conditions.get(id(block))


def _cut_before(block: tuple[Statement, ...]) -> Truncate | None:
    return next((s for s in reversed(block) if isinstance(s, Truncate)), None)


def _of_push(pipeline: Pipeline, push: Push, cut: Truncate | None, condition: Expr | None) -> Iterator[Computation]:
    names = Names(pipeline)
    for place, pushed in enumerate(push.headers):
        header_type = names.header_types[pushed.header]
        if not is_computed(header_type, (name for name, _ in pushed.values)):
            continue
        if covers_header_alone(header_type):
            yield _computation(names, pushed.header, (), _fields(names, pushed.header))
            continue
        if cut is None:
            what = (
                f"the checksum of {pushed.header} covers the rest of a packet that has not been cut to a known length"
            )
            raise UnprintableError("P4", what, push.span)
        behind = tuple(other.header for other in push.headers[place:])
        for known in _next_headers(pipeline, cut, condition):
            yield _over_rest(names, pushed.header, behind, cut, known)


def _computation(
    names: Names, holder: str, present: tuple[str, ...], data: tuple[FieldName | tuple[int, int], ...]
) -> Computation:
    checksum = names.header_types[holder].checksum
    assert checksum is not None, "a computed checksum has a field"
    kept = tuple(part for part in data if part != (holder, checksum.field))
    return Computation(holder=holder, field=checksum.field, present=present, data=kept)


def _fields(names: Names, header: str) -> tuple[FieldName, ...]:
    return tuple((header, f.name) for f in names.header_types[header].fields)


def _over_rest(names: Names, holder: str, pushed: tuple[str, ...], cut: Truncate, known: str) -> Computation:
    """The checksum over the pushed headers from its own on, the header cut at, and the start of the one behind."""
    left = cut.keep_bytes * 8 - names.header_types[cut.header].width_bits
    quoted = _first_fields(names, known, left, cut)
    data = (*(f for name in (*pushed, cut.header) for f in _fields(names, name)), *quoted)
    checksum = names.header_types[holder].checksum
    if checksum is not None and checksum.coverage is Coverage.PSEUDO:
        length = cut.keep_bytes + sum(names.header_types[name].width_bits // 8 for name in pushed)
        return _computation(names, holder, (known,), (*_pseudo_header(names, holder, length, cut), *data))
    return _computation(names, holder, (known,), data)


def _first_fields(names: Names, header: str, bits: int, cut: Truncate) -> tuple[FieldName, ...]:
    """The fields of a header's first bits; they must end where a field does."""
    kept: list[FieldName] = []
    for f in names.header_types[header].fields:
        if bits == 0:
            break
        bits -= f.width_bits
        kept.append((header, f.name))
    if bits != 0:
        raise UnprintableError("P4", f"{cut.keep_bytes} bytes from {cut.header} on do not end at a field", cut.span)
    return tuple(kept)


def _pseudo_header(names: Names, holder: str, length: int, cut: Truncate) -> tuple[FieldName | tuple[int, int], ...]:
    """RFC 8200, section 8.1, which sums up to the same as RFC 9293's for IPv4."""
    for front in names.pipeline.headers:
        if holder in front.pseudo_of:
            front_type = names.header_types[front.name]
            protocol = next(f.name for f in front_type.fields if f.name in ("protocol", "next_header"))
            addresses = tuple((front.name, name) for name in front_type.pseudo_fields)
            return (*addresses, (length, 32), (0, 24), (front.name, protocol))
    raise UnprintableError("P4", f"no IP header stands in front of {holder}", cut.span)


def _next_headers(pipeline: Pipeline, cut: Truncate, condition: Expr | None) -> tuple[str, ...]:
    """The headers of which the condition says that one follows the header cut at."""
    candidates = _alternatives(condition) if condition is not None else ()
    known = tuple(name for name in candidates if can_meet(pipeline, frozenset((cut.header, name))))
    if not known:
        raise UnprintableError("P4", f"what follows {cut.header} in the quoted packet is not known", cut.span)
    return known


def _alternatives(condition: Expr) -> tuple[str, ...]:
    """`a.isValid() || b.isValid()` as (a, b); nothing for any other condition."""
    match condition:
        case IsValid(header=header):
            return (header,)
        case Binary(operator=Operator.OR, left=left, right=right):
            both = _alternatives(left), _alternatives(right)
            return (*both[0], *both[1]) if all(both) else ()
        case _:
            return ()


def cut_length(pipeline: Pipeline, block: tuple[Statement, ...], index: int) -> Cut:
    """How long the packet is after the `Truncate` at `block[index]` and the pushes behind it in its block."""
    cut = block[index]
    assert isinstance(cut, Truncate), "asked for a Truncate"
    rest = block[index + 1 :]
    _refuse_late_reads(pipeline, cut, rest)
    names = Names(pipeline)
    order, sizes = names.header_order, {name: t.width_bits // 8 for name, t in names.header_types.items()}
    pushed = {h.header for s in rest if isinstance(s, Push) for h in s.headers}
    holding = [found for found in header_sets(pipeline) if cut.header in found]
    front = [h.name for h in pipeline.headers if order[h.name] < order[cut.header] and h.name not in pushed]
    always = [name for name in front if all(name in found for found in holding)]
    sometimes = [name for name in front if name not in always and any(name in found for found in holding)]
    return Cut(
        fixed_bytes=cut.keep_bytes + sum(sizes[name] for name in (*always, *sorted(pushed))),
        optional=tuple((name, sizes[name]) for name in sometimes),
    )


def _refuse_late_reads(pipeline: Pipeline, cut: Truncate, rest: tuple[Statement, ...]) -> None:
    """Headers cut through stay valid in P4, so nobody may ask; and the packet must go at the block's end."""
    order = Names(pipeline).header_order
    if not rest or not isinstance(rest[-1], Verdict):
        raise UnprintableError("P4", "a cut packet goes on to other statements than a verdict", cut.span)
    for statement in walking.statements(rest):
        for expr in expressions(statement):
            if isinstance(expr, (FieldRef, IsValid)) and order[expr.header] > order[cut.header]:
                raise UnprintableError("P4", f"{expr.header} is read after the packet was cut", statement.span)
