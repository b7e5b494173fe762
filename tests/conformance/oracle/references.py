"""What entries, members and default entries refer to, from the annotations in P4Info; in the manner of PINS.

Slow and plain: whether something is referred to is found by looking at everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from finsy.proto import p4i, p4r

from tests.conformance.oracle.judgement import Code, Judgement

Reference: TypeAlias = tuple[str, str]
Wanted: TypeAlias = tuple[str, frozenset[tuple[str, bytes]]]
"""A table, and values of some of its fields as the wire has them."""
MULTICAST = "builtin::multicast_group_table"
_ANNOTATION = re.compile(r"@refers_to\(([^,]*),([^)]*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Referring:
    """By ids: the names of fields, what they refer to, and what parameters refer to."""

    names: Mapping[int, str]
    fields: Mapping[int, Mapping[int, str]]
    keys: Mapping[int, Mapping[int, list[Reference]]]
    params: Mapping[int, Mapping[int, list[Reference]]]

    @property
    def is_any(self) -> bool:
        return any(map(bool, self.keys.values())) or any(map(bool, self.params.values()))


def referring(info: p4i.P4Info) -> Referring:
    return Referring(
        names={one.preamble.id: one.preamble.alias for one in info.tables},
        fields={one.preamble.id: {field.id: field.name for field in one.match_fields} for one in info.tables},
        keys={one.preamble.id: _annotated(one.match_fields) for one in info.tables},
        params={one.preamble.id: _annotated(one.params) for one in info.actions},
    )


def _annotated(parts: Iterable[p4i.MatchField] | Iterable[p4i.Action.Param]) -> dict[int, list[Reference]]:
    found: dict[int, list[Reference]] = {}
    for part in parts:
        for text in part.annotations:
            if (match := _ANNOTATION.match(text)) is not None:
                table, field = (one.replace(" ", "") for one in match.groups())
                found.setdefault(part.id, []).append((table, field))
    return found


def wanted_by(
    known: Referring, table_id: int, matches: Iterable[p4r.FieldMatch], actions: Iterable[p4r.Action]
) -> set[Wanted]:
    """What an entry wants to be there; without actions of its own by its keys alone."""
    keys: list[tuple[Reference, bytes]] = []
    for one in matches:
        value = one.exact.value or one.optional.value
        keys += ((reference, value) for reference in known.keys[table_id].get(one.field_id, []))
    found: set[Wanted] = set()
    calls = [
        [(reference, one.value) for one in action.params for reference in _of_param(known, action, one.param_id)]
        for action in actions
    ]
    for call in calls or [[]]:
        found |= set(_grouped([*keys, *call]))
    return found


def _of_param(known: Referring, action: p4r.Action, param_id: int) -> list[Reference]:
    return known.params.get(action.action_id, {}).get(param_id, [])


def _grouped(given: list[tuple[Reference, bytes]]) -> Iterator[Wanted]:
    for table in {table for (table, _), _ in given}:
        fields = [(field, value) for (name, field), value in given if name == table]
        if len({field for field, _ in fields}) == 1:
            yield from ((table, frozenset([one])) for one in fields)
        else:
            yield table, frozenset(fields)


def offered_by(known: Referring, table_id: int, matches: Iterable[p4r.FieldMatch]) -> tuple[str, dict[str, bytes]]:
    """What an entry can be referred to by."""
    names = known.fields[table_id]
    return known.names[table_id], {names[one.field_id]: one.exact.value for one in matches if one.HasField("exact")}


def answers(offered: tuple[str, dict[str, bytes]], wanted: Wanted) -> bool:
    table, values = offered
    return table == wanted[0] and all(values.get(field) == value for field, value in wanted[1])


def check_wanted(wanted: Iterable[Wanted], offered: list[tuple[str, dict[str, bytes]]], found: Judgement) -> None:
    if any(not any(answers(one, each) for one in offered) for each in wanted):
        found.refuse(Code.INVALID_ARGUMENT)


def check_unused(
    mine: tuple[str, dict[str, bytes]],
    others: list[tuple[str, dict[str, bytes]]],
    wanted: Iterable[Wanted],
    found: Judgement,
) -> None:
    """Whether something wants what is there no more then."""
    if any(answers(mine, each) and not any(answers(one, each) for one in others) for each in wanted):
        found.refuse(Code.FAILED_PRECONDITION)
