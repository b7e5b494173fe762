"""What `handwritten` wishes are for finsy, and what finsy reads in the form of their `numbers`."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import finsy as fy
from finsy.p4entity import P4Entity

from tests.peers.handwritten import Call, Entry, Group, Member, Wish

Entity = fy.P4TableEntry | fy.P4ActionProfileMember | fy.P4ActionProfileGroup


def options(files: tuple[Path, Path], election_id: int) -> fy.SwitchOptions:
    """finsy loads `files` unless the device runs them already, and gives up at its first mistake."""
    info, bundle = files
    return fy.SwitchOptions(p4info=info, p4blob=bundle, initial_election_id=election_id, fail_fast=True)


def made(wish: Wish) -> Entity:
    match wish:
        case Entry():
            return fy.P4TableEntry(wish.table, match=fy.P4TableMatch(wish.match), action=_action_of(wish))
        case Member():
            return fy.P4ActionProfileMember(wish.profile, member_id=wish.id, action=_made_call(wish.call))
        case Group():
            members = [fy.P4Member(member_id, weight=weight) for member_id, weight in wish.members]
            return fy.P4ActionProfileGroup(wish.profile, group_id=wish.id, members=members)


def all_made(wishes: Iterable[Wish]) -> list[Entity]:
    return [made(wish) for wish in wishes]


def _action_of(entry: Entry) -> fy.P4TableAction | fy.P4IndirectAction | None:
    if entry.call is not None:
        return _made_call(entry.call)
    if entry.group_id:
        return fy.P4IndirectAction(group_id=entry.group_id)
    sets = [(weight, _made_call(call)) for call, weight in entry.actions]
    return fy.P4IndirectAction(sets) if sets else None


def _made_call(call: Call) -> fy.P4TableAction:
    return fy.P4TableAction(call.action, **call.params)


def plain(found: Any) -> dict[str, Any]:
    match found:
        case fy.P4TableEntry():
            return _plain_entry(found)
        case fy.P4ActionProfileMember():
            return {"profile": found.action_profile_id, "id": found.member_id, "call": _plain_call(found.action)}
        case fy.P4ActionProfileGroup():
            members = [[member.member_id, member.weight] for member in found.members or ()]
            return {"profile": found.action_profile_id, "id": found.group_id, "members": members}
        case _:
            raise TypeError(f"nobody asked for {found!r}")


def _plain_entry(found: fy.P4TableEntry) -> dict[str, Any]:
    given: dict[str, Any] = dict(found.match or ())
    matches = {name: _plain_match(value) for name, value in given.items()}
    call, group_id, actions = None, 0, list[dict[str, Any]]()
    match found.action:
        case fy.P4TableAction():
            call = _plain_call(found.action)
        case fy.P4IndirectAction(action_set=None):
            group_id = found.action.group_id or 0
        case fy.P4IndirectAction(action_set=chosen):
            actions = [{"weight": _weight(weight), **_plain_call(action)} for weight, action in chosen or ()]
        case None:
            pass
    return {"table": found.table_id, "match": matches, "call": call, "group_id": group_id, "actions": actions}


def _weight(weight: Any) -> int:
    """finsy's weight is a number, or a number with the port that is watched."""
    assert isinstance(weight, int)
    return weight


def _plain_match(value: Any) -> int | list[int]:
    if isinstance(value, IPv4Network | IPv6Network):
        return [int(value.network_address), value.prefixlen]
    return int(value)


def _plain_call(call: fy.P4TableAction | None) -> dict[str, Any]:
    assert call is not None
    return {"action": call.name, "params": {name: int(value) for name, value in call.args.items()}}


async def read_all(switch: fy.Switch, *entities: P4Entity) -> list[Any]:
    """What finsy reads, in one request."""
    read: Any = switch.read  # declared as a coroutine of a generator, which it is not
    return [entity async for entity in read(entities)]


async def everything_in(switch: fy.Switch) -> list[dict[str, Any]]:
    """All table entries, members and groups."""
    wanted = (fy.P4TableEntry(), fy.P4ActionProfileMember(), fy.P4ActionProfileGroup())
    return [plain(found) for found in await read_all(switch, *wanted)]
