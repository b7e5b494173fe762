"""How checksums of a pipeline are kept right by targets that compute them behind the last control.

v1model's `update_checksum` takes no computed values, so the complements of RFC 1624 are made in front of the pipeline,
for every field that a `Rewrite` may change:

    HC' = ~(0xffff + ~HC + ~m + m' + ...)

The packet as it came and as it goes are all that counts, however many rewrites lie between, because nothing but a
`Rewrite` changes a covered field. The constant 0xffff is a zero of one's complement and makes the sum never the number
0, so the result is what `compiler.ir.interpreter.checksums` says, to the bit. A field counts with its neighbours to
whole 16-bit words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compiler.ir.headers import Coverage, HeaderType
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Change, Push, Rewrite
from compiler.printers.p4.paths import can_meet, companions
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4.walking import statements
from compiler.span import Span

WORD_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Neighbouring fields of a header that fill whole 16-bit words."""

    header: str
    fields: tuple[str, ...]
    width_bits: int

    @property
    def name(self) -> str:
        """For readers; not necessarily unique."""
        return "_".join((self.header, *self.fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update of one checksum, for packets that hold all of `present` and none of `absent`."""

    holder: str
    field: str
    zero_is_none: bool
    present: tuple[str, ...]
    absent: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewritePlan:
    """`complements` by header: what to remember of each packet. `holders` have a flag that a rewrite sets."""

    complements: tuple[tuple[str, tuple[Group, ...]], ...]
    holders: tuple[str, ...]
    updates: tuple[Update, ...]
    zero_fixes: tuple[tuple[str, Group], ...]
    """Holders whose checksum must be sent as 0xffff when it becomes 0 (RFC 768), and the group of the checksum."""


def group_of(header: str, header_type: HeaderType, field: str) -> Group:
    """The group of a field."""
    run: list[str] = []
    bits = 0
    for f in header_type.fields:
        run.append(f.name)
        bits += f.width_bits
        if bits % WORD_BITS == 0:
            if field in run:
                return Group(header=header, fields=tuple(run), width_bits=bits)
            run, bits = [], 0
    raise UnprintableError("P4", f"{header}.{field} ends inside a 16-bit word, no checksum can be updated for it")


def holders_of(pipeline: Pipeline, changes: Iterable[Change]) -> dict[str, tuple[Group, ...]]:
    """The headers whose checksums cover changed fields, in packet order, each with the groups of those fields."""
    names, made = Names(pipeline), tuple(changes)
    changed = frozenset(change.target.header for change in made)
    found: dict[str, dict[Group, None]] = {}
    for change in made:
        header, field = change.target.header, change.target.name
        group = group_of(header, names.header_types[header], field)
        for holder in _covering(names, header, field):
            if can_meet(pipeline, changed | {holder}):
                found.setdefault(holder, {})[group] = None
    return {holder: tuple(found[holder]) for holder in sorted(found, key=names.header_order.__getitem__)}


def _in_packet_order(names: Names, groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple(group for _, listed in _by_header(names, groups) for group in listed)


def _covering(names: Names, header: str, field: str) -> tuple[str, ...]:
    own = (header, *names.headers[header].covered_by)
    covering = [holder for holder in own if names.header_types[holder].checksum is not None]
    if field in names.header_types[header].pseudo_fields:
        covering += names.headers[header].pseudo_of
    return tuple(covering)


def rewrite_plan(pipeline: Pipeline) -> RewritePlan:
    """What to remember, and what to update, for all rewrites of a pipeline."""
    names = Names(pipeline)
    covered: dict[str, dict[Group, None]] = {}
    for statement in statements(pipeline):
        if isinstance(statement, Rewrite):
            holders = holders_of(pipeline, statement.changes)
            _refuse_others(names, holders, statement.span)
            for holder, groups in holders.items():
                covered.setdefault(holder, {}).update(dict.fromkeys(groups))
    _refuse_pushed(pipeline, covered)
    holders = sorted(covered, key=names.header_order.__getitem__)
    sums = {holder: _checksum_group(names, holder) for holder in holders}
    remembered = dict.fromkeys((*sums.values(), *(group for holder in holders for group in covered[holder])))
    return RewritePlan(
        complements=_by_header(names, remembered),
        holders=tuple(holders),
        updates=tuple(u for h in holders for u in _updates(pipeline, names, h, _in_packet_order(names, covered[h]))),
        zero_fixes=tuple((h, sums[h]) for h in holders if _is_optional(names, h)),
    )


def _refuse_others(names: Names, holders: Iterable[str], span: Span) -> None:
    """An update here follows fields in a sum; neither a checksum that another one covers is one (what an ICMP error
    quotes), nor is a CRC's."""
    for holder in holders:
        checksum = names.header_types[holder].checksum
        if checksum is not None and checksum.coverage is Coverage.CRC32C:
            raise UnprintableError("P4", f"{holder}, whose checksum is a CRC32c, is rewritten", span)
        for outer in names.headers[holder].covered_by:
            what = f"the checksum of {holder} changes, and that of {outer} covers it"
            raise UnprintableError("P4", what, span)


def _refuse_pushed(pipeline: Pipeline, covered: dict[str, dict[Group, None]]) -> None:
    touched = {*covered, *(group.header for groups in covered.values() for group in groups)}
    for statement in statements(pipeline):
        for pushed in statement.headers if isinstance(statement, Push) else ():
            if pushed.header in touched:
                what = f"{pushed.header} is both pushed and rewritten, but its checksum is updated from what was parsed"
                raise UnprintableError("P4", what, statement.span)


def _is_optional(names: Names, holder: str) -> bool:
    checksum = names.header_types[holder].checksum
    return checksum is not None and checksum.zero_is_none


def _checksum_group(names: Names, holder: str) -> Group:
    checksum = names.header_types[holder].checksum
    assert checksum is not None, "a holder has a checksum"
    group = group_of(holder, names.header_types[holder], checksum.field)
    if group.fields != (checksum.field,):
        raise UnprintableError("P4", f"the checksum of {holder} is no 16-bit word")
    return group


def _by_header(names: Names, groups: Iterable[Group]) -> tuple[tuple[str, tuple[Group, ...]], ...]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.header, []).append(group)
    order = sorted(found, key=names.header_order.__getitem__)
    return tuple((header, _in_wire_order(names, header, found[header])) for header in order)


def _in_wire_order(names: Names, header: str, groups: Iterable[Group]) -> tuple[Group, ...]:
    places = {f.name: place for place, f in enumerate(names.header_types[header].fields)}
    return tuple(sorted(groups, key=lambda group: places[group.fields[0]]))


def _updates(pipeline: Pipeline, names: Names, holder: str, groups: tuple[Group, ...]) -> tuple[Update, ...]:
    """One update for each set of headers that packets hold besides the holder."""
    checksum = names.header_types[holder].checksum
    assert checksum is not None, "a holder has a checksum"
    others = frozenset(group.header for group in groups) - {holder}
    sets = companions(pipeline, holder, others)
    made: list[Update] = []
    for present in sets:
        held = tuple(group for group in groups if group.header in present | {holder})
        larger = frozenset[str]().union(*(other for other in sets if present < other)) - present
        if held:
            made.append(
                Update(
                    holder=holder,
                    field=checksum.field,
                    zero_is_none=checksum.zero_is_none,
                    present=tuple(sorted(present, key=names.header_order.__getitem__)),
                    absent=tuple(sorted(larger, key=names.header_order.__getitem__)),
                    groups=held,
                )
            )
    return tuple(made)


def is_computed(header_type: HeaderType, values: Iterable[str]) -> bool:
    """Is the checksum of a pushed header left to the target?"""
    return header_type.checksum is not None and header_type.checksum.field not in tuple(values)


def covers_header_alone(header_type: HeaderType) -> bool:
    return header_type.checksum is not None and header_type.checksum.coverage is Coverage.HEADER
