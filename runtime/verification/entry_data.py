"""Entries, members and groups as plain data that people read and write: names, and values in the form of their key.

For files of vectors. The other way round everything is checked against the pipeline, since a file may be older than it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from compiler.ir.entries import (
    ActionCall,
    Exact,
    Group,
    GroupRef,
    Lpm,
    MatchValue,
    Member,
    MemberRef,
    Optional,
    Range,
    TableEntry,
    Ternary,
    WeightedMember,
)
from compiler.ir.formats import match_to_text, number_to_text
from compiler.ir.names import Names
from compiler.ir.tables import MatchKind
from runtime.verification.book import number
from runtime.verification.vector import Change

Text = str | int


class Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CallData(Data):
    action: str
    arguments: Mapping[str, Text] = Field(default_factory=dict[str, Text])


class EntryData(Data):
    """Exactly one of `call`, `member` and `group`."""

    table: str
    match: Mapping[str, Text]
    call: CallData | None = None
    member: int | None = None
    group: int | None = None
    priority: int = 0
    owner: str = ""


class MemberData(Data):
    selector: str
    member_id: int
    call: CallData


class WeightData(Data):
    member: int
    weight: int = 1


class GroupData(Data):
    selector: str
    group_id: int
    members: tuple[WeightData, ...] = ()
    max_size: int = 0


ChangeData = Annotated[EntryData | MemberData | GroupData, Field(union_mode="left_to_right")]
Section = Literal["table", "selector", "action"]


def change_to_data(change: Change, names: Names) -> ChangeData:
    match change:
        case TableEntry():
            return _entry_to_data(change, names)
        case Member():
            return MemberData(selector=change.selector, member_id=change.id, call=_call_to_data(change.action, names))
        case Group():
            members = tuple(WeightData(member=m.member_id, weight=m.weight) for m in change.members)
            return GroupData(selector=change.selector, group_id=change.id, members=members, max_size=change.max_size)


def data_to_change(data: ChangeData, names: Names) -> Change:
    """Raises ValueError for what the pipeline does not have."""
    match data:
        case EntryData():
            return _data_to_entry(data, names)
        case MemberData():
            _known("selector", data.selector, names.selectors)
            return Member(selector=data.selector, id=data.member_id, action=_data_to_call(data.call, names))
        case GroupData():
            _known("selector", data.selector, names.selectors)
            members = tuple(WeightedMember(member_id=m.member, weight=m.weight) for m in data.members)
            return Group(selector=data.selector, id=data.group_id, members=members, max_size=data.max_size)


def _entry_to_data(entry: TableEntry, names: Names) -> EntryData:
    keys = names.tables[entry.table].keys
    texts = {key.name: match_to_text(m, key.format) for key, m in zip(keys, entry.matches, strict=True)}
    call = member = group = None
    match entry.action:
        case ActionCall():
            call = _call_to_data(entry.action, names)
        case MemberRef(member_id=member):
            pass
        case GroupRef(group_id=group):
            pass
    return EntryData(
        table=entry.table,
        match=texts,
        call=call,
        member=member,
        group=group,
        priority=entry.priority,
        owner=entry.owner,
    )


def _call_to_data(call: ActionCall, names: Names) -> CallData:
    params = names.actions[call.action].params
    texts = {p.name: number_to_text(value, p.format) for p, value in zip(params, call.arguments, strict=True)}
    return CallData(action=call.action, arguments=texts)


def _data_to_entry(data: EntryData, names: Names) -> TableEntry:
    _known("table", data.table, names.tables)
    keys = names.tables[data.table].keys
    _same_names(f"table {data.table}", [key.name for key in keys], data.match)
    matches = tuple(text_to_match(key.match, data.match[key.name]) for key in keys)
    return TableEntry(
        table=data.table, matches=matches, action=_action(data, names), priority=data.priority, owner=data.owner
    )


def _action(data: EntryData, names: Names) -> ActionCall | MemberRef | GroupRef:
    match data:
        case EntryData(call=CallData() as call, member=None, group=None):
            return _data_to_call(call, names)
        case EntryData(call=None, member=int(member), group=None):
            return MemberRef(member_id=member)
        case EntryData(call=None, member=None, group=int(group)):
            return GroupRef(group_id=group)
        case _:
            raise ValueError(f"an entry of table {data.table} has one of call, member and group")


def _data_to_call(data: CallData, names: Names) -> ActionCall:
    _known("action", data.action, names.actions)
    params = names.actions[data.action].params
    _same_names(f"action {data.action}", [param.name for param in params], data.arguments)
    return ActionCall(action=data.action, arguments=tuple(text_to_number(data.arguments[p.name]) for p in params))


def _known(what: Section, name: str, found: Mapping[str, object]) -> None:
    if name not in found:
        raise ValueError(f"the pipeline has no {what} '{name}'; it has {', '.join(found)}")


def _same_names(what: str, wanted: list[str], given: Mapping[str, Text]) -> None:
    if set(wanted) != set(given):
        raise ValueError(f"{what} takes {', '.join(wanted) or 'nothing'}; given are {', '.join(given) or 'none'}")


def text_to_number(text: Text) -> int:
    """A number, an address or a MAC address. Raises ValueError."""
    return int(text) if isinstance(text, str) and text.isdecimal() else number(text)


def text_to_match(kind: MatchKind, text: Text) -> MatchValue:
    """What `match_to_text` writes. Raises ValueError."""
    written = str(text)
    match kind:
        case MatchKind.EXACT:
            return Exact(value=text_to_number(text))
        case MatchKind.LPM:
            value, _, length = written.rpartition("/")
            return Lpm(value=text_to_number(value), prefix_len=int(length))
        case MatchKind.TERNARY:
            value, _, mask = written.partition("&&&")
            return Ternary(value=text_to_number(value), mask=int(mask, 0))
        case MatchKind.RANGE:
            low, _, high = written.partition("..")
            return Range(low=text_to_number(low), high=text_to_number(high))
        case MatchKind.OPTIONAL:
            return Optional(value=None if written == "*" else text_to_number(text))
