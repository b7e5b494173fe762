"""What an entry refers to: `@refers_to` on keys and on parameters of actions.

All references of an entry to one table are of one entry there, which has all those values (PINS takes them so): a next
hop whose parameters refer to `neighbor.interface` and `neighbor.address` wants a neighbour with both. An entry that
names a member or a group refers by its keys alone, the member by its action. A key that matches anything refers to
nothing. Parameters that all refer to the same field are references of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from compiler.ir.entries import ActionCall, Exact, MatchValue, Optional
from compiler.ir.tables import Action, Reference, Table

MULTICAST_GROUPS = Reference(table="builtin::multicast_group_table", field="multicast_group_id")
"""The one reference to what is in no table."""
MULTICAST_GROUP_BITS = 32
Values: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from: the key or the argument at `position`; `field` is what it is called in the target."""

    field: str
    position: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Some entry of `table` has to have these values in these fields."""

    table: str
    fields: tuple[str, ...]
    values: Values


@dataclass(frozen=True, slots=True)
class Link:
    """References that are to one entry of `table`."""

    table: str
    sources: tuple[Source, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(one.field for one in self.sources)

    def wanted(self, matches: Sequence[MatchValue], arguments: Sequence[int]) -> Wanted | None:
        """None when every key that refers matches anything."""
        found = [(one.field, _value(one, matches, arguments)) for one in self.sources]
        named = [(field, value) for field, value in found if value is not None]
        if not named:
            return None
        return Wanted(self.table, tuple(field for field, _ in named), tuple(value for _, value in named))


def links(table: Table | None, action: Action | None) -> tuple[Link, ...]:
    """Of an entry with this action; without an action, of its keys; without a table, of a member."""
    found: dict[str, list[Source]] = {}
    for position, key in enumerate(table.keys if table is not None else ()):
        for reference in key.refers_to:
            found.setdefault(reference.table, []).append(Source(reference.field, position, is_key=True))
    for position, param in enumerate(action.params if action is not None else ()):
        for reference in param.refers_to:
            found.setdefault(reference.table, []).append(Source(reference.field, position, is_key=False))
    return tuple(Link(name, sources) for name, all_sources in found.items() for sources in _apart(all_sources))


def of_type(name: str) -> Reference:
    """What has a value of a translated type refers to the number that stands for it."""
    return Reference(table=f"::type {name}", field="number")


def type_links(table: Table | None, action: Action | None) -> tuple[Link, ...]:
    """As `links`, of values of translated types."""
    keys, params = table.keys if table is not None else (), action.params if action is not None else ()
    typed = [(key.type, position, True) for position, key in enumerate(keys)]
    typed += [(param.type, position, False) for position, param in enumerate(params)]
    return tuple(
        Link(of_type(name).table, (Source(of_type(name).field, position, is_key),))
        for name, position, is_key in typed
        if name
    )


def wanted_by(
    table: Table, matches: Sequence[MatchValue], call: ActionCall, actions: Iterable[Action]
) -> tuple[Wanted, ...]:
    """What an entry with an action of its own wants to be there; of the default entry `matches` is empty."""
    action = next(one for one in actions if one.name == call.action)
    each = (link.wanted(matches, call.arguments) for link in links(table if matches else None, action))
    return tuple(one for one in each if one is not None)


def _apart(sources: list[Source]) -> list[tuple[Source, ...]]:
    """Those of one entry together, in an order of their own; several of the same field each by itself."""
    if len(sources) > 1 and len({one.field for one in sources}) == 1:
        return [(one,) for one in sources]
    return [tuple(sorted(sources, key=lambda one: one.field))]


def _value(source: Source, matches: Sequence[MatchValue], arguments: Sequence[int]) -> int | None:
    if not source.is_key:
        return arguments[source.position]
    match matches[source.position]:
        case Exact(value=value) | Optional(value=value):
            return value
        case _:
            return None
