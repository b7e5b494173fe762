"""What entries and members refer to (`@refers_to`), and so what may not go: the index behind the rules of `contents`.

An entry or a member that refers to nothing is refused (INVALID_ARGUMENT), and what is referred to stays
(FAILED_PRECONDITION), as groups and their members do. Made for the tables of a pipeline that refer or are referred to;
others know nothing of it. Counts follow the contents, so undoing a batch, replaying a journal and taking contents over
to another pipeline need no words of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from compiler.ir.entries import ActionCall, MatchValue, numbers_of
from compiler.ir.nodes import Pipeline
from compiler.ir.references import MULTICAST_GROUPS, Link, Values, links, of_type, type_links
from compiler.ir.tables import Action, Table
from runtime.device.records import ActionSet, RowAction
from runtime.device.refusals import invalid, precondition

T = TypeVar("T")
Fields: TypeAlias = tuple[str, ...]
Claims: TypeAlias = tuple[tuple["Targets", Values], ...]
"""What one entry or member refers to."""


@dataclass(slots=True)
class Targets:
    """Entries of one table by the values of some fields: how many there are, and how often they are referred to."""

    table: str
    fields: Fields
    present: Counter[Values] = field(default_factory=lambda: Counter())
    used: Counter[Values] = field(default_factory=lambda: Counter())

    def shown(self, values: Values) -> str:
        named = ", ".join(f"{name}={value:#x}" for name, value in zip(self.fields, values, strict=True))
        return f"table {self.table}, {named}" if "::" not in self.table else f"multicast group {values[0]}"

    def note(self, values: Values, step: int) -> None:
        """There is one more, or one less."""
        add_uses(self.present, values, step)


@dataclass(slots=True)
class Referring:
    """Of one table, or of the members of its selector."""

    keys: tuple[Link, ...]
    """What an entry refers to whose action is a member's."""
    calls: Mapping[str, tuple[Link, ...]]
    """By the action that an entry has of its own."""
    targets: Mapping[tuple[str, Fields], Targets]

    @property
    def is_any(self) -> bool:
        """Whether there can be references at all."""
        return bool(self.keys) or any(self.calls.values())

    def claims(self, matches: Sequence[MatchValue], action: RowAction | None) -> Claims:
        match action:
            case None:
                return ()
            case ActionCall():
                return self._claimed(self.calls[action.action], matches, action.arguments)
            case ActionSet():
                each = (
                    self._claimed(self.calls[one.call.action], matches, one.call.arguments) for one in action.actions
                )
                return tuple(claim for claims in each for claim in claims) or self._claimed(self.keys, matches, ())
            case _:
                return self._claimed(self.keys, matches, ())

    def _claimed(self, each: Iterable[Link], matches: Sequence[MatchValue], arguments: Sequence[int]) -> Claims:
        wanted = (link.wanted(matches, arguments) for link in each)
        return tuple((self.targets[one.table, one.fields], one.values) for one in wanted if one is not None)


@dataclass(slots=True)
class TableReferences:
    """Of one table: what its entries refer to, and by which of their fields others refer to them."""

    outgoing: Referring
    default: Referring
    """What the default entry refers to: it has no keys."""
    incoming: tuple[tuple[Targets, tuple[int, ...]], ...] = ()
    """With the places of the fields among the keys."""

    def check_new(self, where: str, matches: Sequence[MatchValue], action: RowAction) -> None:
        """Raises INVALID_ARGUMENT."""
        check_claims(where, self.outgoing.claims(matches, action))

    def check_unused(self, where: str, matches: Sequence[MatchValue], action: RowAction) -> None:
        """Raises FAILED_PRECONDITION for an entry that others refer to, by fields that no other entry has so."""
        own = Counter(
            (targets.table, targets.fields, values) for targets, values in self.outgoing.claims(matches, action)
        )
        for targets, places in self.incoming:
            values = _values(matches, places)
            count = targets.used[values] - own[targets.table, targets.fields, values]
            if count and targets.present[values] == 1:
                raise precondition(f"{where}: it is in use ({count} references)")

    def check_default(self, where: str, call: ActionCall) -> None:
        """Raises INVALID_ARGUMENT."""
        check_claims(where, self.default.claims((), call))

    def note_default(self, call: RowAction, step: int) -> None:
        note_claims(self.default.claims((), call), step)

    def note(self, matches: Sequence[MatchValue], action: RowAction, step: int) -> None:
        note_claims(self.outgoing.claims(matches, action), step)
        for targets, places in self.incoming:
            targets.note(_values(matches, places), step)


@dataclass(slots=True)
class References:
    """Of one pipeline, by the names of its tables; tables without any are left out."""

    tables: Mapping[str, TableReferences]
    members: Mapping[str, Referring]
    """What members refer to, by the tables of their selectors."""
    multicast: Targets | None
    """Multicast groups, where something refers to them: `note((group_id,), step)` when one comes or goes."""

    def check_group_unused(self, group_id: int) -> None:
        """Raises FAILED_PRECONDITION for a multicast group that entries or members refer to."""
        if self.multicast is not None and self.multicast.used[group_id,]:
            raise precondition(
                f"multicast group {group_id}: it is in use ({self.multicast.used[group_id,]} references)"
            )


def check_claims(where: str, claims: Claims) -> None:
    """Raises INVALID_ARGUMENT for the first that leads nowhere."""
    for targets, values in claims:
        if not targets.present[values]:
            raise invalid(f"{where}: it refers to {targets.shown(values)}, and there is none")


def note_claims(claims: Claims, step: int) -> None:
    for targets, values in claims:
        add_uses(targets.used, values, step)


def references(pipeline: Pipeline, numbers: Mapping[str, Targets]) -> References:
    """With nothing there yet. `numbers`, by type, are those that the device finds: who has one holds on to it."""
    actions = {action.name: action for action in pipeline.actions}
    targets = {(of_type(name).table, (of_type(name).field,)): one for name, one in numbers.items()}
    entries = {table.name: _referring(table, table, actions, targets) for table in pipeline.tables}
    bare = {table.name: _referring(table, None, actions, targets) for table in pipeline.tables}
    return References(
        tables={
            table.name: TableReferences(entries[table.name], bare[table.name], incoming)
            for table in pipeline.tables
            if (incoming := _incoming(table, targets)) or entries[table.name].is_any
        },
        members={table.name: bare[table.name] for table in pipeline.tables if bare[table.name].is_any},
        multicast=targets.get((MULTICAST_GROUPS.table, (MULTICAST_GROUPS.field,))),
    )


def _incoming(
    table: Table, targets: Mapping[tuple[str, Fields], Targets]
) -> tuple[tuple[Targets, tuple[int, ...]], ...]:
    names = [key.name for key in table.keys]
    mine = [one for one in targets.values() if one.table == table.name]
    return tuple((one, tuple(names.index(name) for name in one.fields)) for one in mine)


def _referring(
    table: Table, keyed: Table | None, actions: Mapping[str, Action], targets: dict[tuple[str, Fields], Targets]
) -> Referring:
    """What goes by the actions of a table refers to; `keyed` is the table where it has its keys."""
    calls = {ref.name: _links(keyed, actions[ref.name], targets) for ref in table.actions}
    made = Referring(_links(keyed, None, targets), calls, targets)
    for link in (*made.keys, *(link for each in calls.values() for link in each)):
        for fields in _field_sets(link):
            targets.setdefault((link.table, fields), Targets(link.table, fields))
    return made


def _links(table: Table | None, action: Action | None, targets: Collection[tuple[str, Fields]]) -> tuple[Link, ...]:
    typed = type_links(table, action)
    return (*links(table, action), *(one for one in typed if (one.table, one.fields) in targets))


def _field_sets(link: Link) -> list[Fields]:
    """All that a link may ask for: keys that match anything fall out."""
    sets: list[Fields] = [()]
    for source in link.sources:
        sets += [(*fields, source.field) for fields in sets]
    return [fields for fields in sets if fields]


def _values(matches: Sequence[MatchValue], places: tuple[int, ...]) -> Values:
    return tuple(numbers_of(matches[place])[0] for place in places)


def add_uses(counts: Counter[T], used: T, step: int) -> None:
    """So many more, or fewer; what is not used any more is counted no more."""
    counts[used] += step
    if not counts[used]:
        del counts[used]
