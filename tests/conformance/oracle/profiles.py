"""Action profiles: members, groups, and the sets of one-shot programming.

Section "ActionProfileMember & ActionProfileGroup" and those below it.
"""

from __future__ import annotations

from collections.abc import Iterable

from finsy.proto import p4r

from tests.conformance.oracle.judgement import UNKNOWN_ID, Code, Judgement
from tests.conformance.oracle.program import Profile, Table
from tests.conformance.oracle.state import Forwarding, Group, Row
from tests.conformance.oracle.values import decode_action

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
SET = p4r.ActionProfileActionSet
CONTROLLER_NAME = b"cpu"
"""Of the controller's own port, where ports have names."""
Weighted = p4r.ActionProfileGroup.Member | p4r.ActionProfileAction


def decode_reference(
    state: Forwarding, table: Table, given: p4r.TableAction, old: Row | None, found: Judgement
) -> p4r.TableAction:
    """The action of an entry of an indirect table: a member, a group or a set of actions."""
    profile = state.known.profiles[table.profile]
    made = p4r.TableAction()
    match given.WhichOneof("type"):
        case "action_profile_member_id":
            _check_reference(given.action_profile_member_id, state.members[profile.id], found)
            _check_style(state, profile, one_shot=False, is_entry=True, found=found)
            made.action_profile_member_id = given.action_profile_member_id
        case "action_profile_group_id" if profile.has_groups:
            _check_reference(given.action_profile_group_id, state.groups[profile.id], found)
            _check_style(state, profile, one_shot=False, is_entry=True, found=found)
            made.action_profile_group_id = given.action_profile_group_id
        case "action_profile_action_set" if profile.has_groups:
            _check_style(state, profile, one_shot=True, is_entry=True, found=found)
            chosen = _decode_set(state, profile, table, given.action_profile_action_set, found)
            _check_total(
                state, profile, _weight(profile, chosen.action_profile_actions) - _set_weight(profile, old), found
            )
            made.action_profile_action_set.CopyFrom(chosen)
        case _:
            found.refuse(Code.INVALID_ARGUMENT)
    return made


def _check_reference(number: int, there: Iterable[int], found: Judgement) -> None:
    if not number:
        found.refuse(*UNKNOWN_ID)
    elif number not in there:
        found.refuse(Code.NOT_FOUND)


def _check_style(state: Forwarding, profile: Profile, *, one_shot: bool, is_entry: bool, found: Judgement) -> None:
    """All tables of a selector are programmed in one way ("One Shot Action Selector Programming").

    That holds for entries; members and groups that no entry refers to may count as well.
    """
    sets = sum(_is_set(row) for row in state.rows_of(profile))
    references = sum(not _is_set(row) for row in state.rows_of(profile))
    if is_entry and (references if one_shot else sets):
        found.refuse(Code.INVALID_ARGUMENT)
    if (state.members[profile.id] or state.groups[profile.id]) if one_shot else sets:
        found.allow(Code.INVALID_ARGUMENT)


def _is_set(row: Row) -> bool:
    return row.action.WhichOneof("type") == "action_profile_action_set"


def _decode_set(
    state: Forwarding, profile: Profile, table: Table, given: p4r.ActionProfileActionSet, found: Judgement
) -> p4r.ActionProfileActionSet:
    mode, semantics = given.action_selection_mode, given.size_semantics
    made = SET(action_selection_mode=mode, size_semantics=semantics)
    own_semantics = SET.SUM_OF_WEIGHTS if profile.counts_weights else SET.SUM_OF_MEMBERS
    if mode != SET.DEFAULT_MODE_DETERMINED_BY_ACTION_SELECTOR or semantics not in (0, own_semantics):
        found.allow(Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT)
    for one in given.action_profile_actions:
        action = decode_action(state.known, table.scopes, one.action, found)
        _check_weight(profile, one, found)
        _check_watch(state, one, found)
        copied = made.action_profile_actions.add()
        copied.CopyFrom(one)
        copied.action.CopyFrom(action)
        _as_read(copied)
    size = _weight(profile, given.action_profile_actions)
    if profile.max_group_size and size > profile.max_group_size:
        found.refuse(Code.INVALID_ARGUMENT)
    return made


def _check_weight(profile: Profile, given: Weighted, found: Judgement) -> None:
    if (profile.weights_disallowed and given.weight) or (not profile.weights_disallowed and given.weight <= 0):
        found.refuse(Code.INVALID_ARGUMENT)
    if not profile.counts_weights and 0 < profile.max_member_weight < given.weight:
        found.refuse(Code.INVALID_ARGUMENT)


def _check_watch(state: Forwarding, given: Weighted, found: Judgement) -> None:
    """`watch_port` is empty or a port ("Action Profile Group Programming"); `watch` is one as a number, 0 is none."""
    match given.WhichOneof("watch_kind"):
        case "watch" if state.declared.port_names:
            if given.watch:  # pyright: ignore[reportDeprecated]
                found.refuse(Code.INVALID_ARGUMENT)
            return
        case "watch":
            is_none, port = not given.watch, given.watch  # pyright: ignore[reportDeprecated]
        case "watch_port" if state.declared.port_names:
            if given.watch_port == CONTROLLER_NAME:
                found.refuse(Code.UNIMPLEMENTED)
            elif given.watch_port and given.watch_port not in state.declared.port_names:
                found.refuse(Code.INVALID_ARGUMENT)
            return
        case "watch_port":
            is_none, port = not given.watch_port, int.from_bytes(given.watch_port, "big")
        case None:
            return
    if port == state.declared.controller_port:
        found.refuse(Code.UNIMPLEMENTED)
    elif not is_none and port not in state.declared.ports:
        found.refuse(Code.INVALID_ARGUMENT)


def _as_read(given: Weighted) -> None:
    """A port is told in the shortest form, in the field in which it was written."""
    if given.watch_port:
        given.watch_port = given.watch_port.lstrip(b"\0") or b"\0"


def _weight(profile: Profile, given: Iterable[Weighted]) -> int:
    """What counts against a selector's sizes: weights, or members."""
    return sum(max(0, one.weight) if profile.counts_weights else 1 for one in given)


def _set_weight(profile: Profile, row: Row | None) -> int:
    return 0 if row is None else _weight(profile, row.action.action_profile_action_set.action_profile_actions)


def _check_total(state: Forwarding, profile: Profile, more: int, found: Judgement) -> None:
    total = sum(_weight(profile, group.members) for group in state.groups[profile.id].values())
    total += sum(_set_weight(profile, row) for row in state.rows_of(profile))
    if total + more > profile.size:
        found.refuse(Code.RESOURCE_EXHAUSTED)
    elif state.declared.may_run_out:
        found.allow(Code.RESOURCE_EXHAUSTED)


def judge_member(state: Forwarding, kind: int, given: p4r.ActionProfileMember) -> Judgement:
    found = Judgement()
    profile = state.known.profiles.get(given.action_profile_id)
    if profile is None or not given.member_id:
        found.refuse(*UNKNOWN_ID)
    if profile is None:
        return found
    members = state.members[profile.id]
    if kind == DELETE:
        if given.member_id not in members:
            found.refuse(Code.NOT_FOUND)
        if _member_is_used(state, profile, given.member_id):
            found.refuse(Code.FAILED_PRECONDITION)
        found.change = lambda: _drop(members, given.member_id)
        return found
    if not given.HasField("action"):
        found.refuse(Code.INVALID_ARGUMENT)
    action = decode_action(state.known, state.known.may_use(profile), given.action, found)
    if kind == MODIFY and given.member_id not in members:
        found.refuse(Code.NOT_FOUND)
    if kind == INSERT:
        _check_style(state, profile, one_shot=False, is_entry=False, found=found)
        if given.member_id in members:
            found.refuse(Code.ALREADY_EXISTS)
        elif len(members) >= profile.size:
            found.refuse(Code.RESOURCE_EXHAUSTED)
    if state.declared.may_run_out:
        found.allow(Code.RESOURCE_EXHAUSTED)
    if given.HasField("action"):
        state.check_wanted(profile.tables[0], (), p4r.TableAction(action=action), found)
    found.change = lambda: members.update({given.member_id: action})
    return found


def _member_is_used(state: Forwarding, profile: Profile, number: int) -> bool:
    if any(one.member_id == number for group in state.groups[profile.id].values() for one in group.members):
        return True
    return any(row.action.action_profile_member_id == number for row in state.rows_of(profile))


def judge_group(state: Forwarding, kind: int, given: p4r.ActionProfileGroup) -> Judgement:
    found = Judgement()
    profile = state.known.profiles.get(given.action_profile_id)
    if profile is None or not profile.has_groups or not given.group_id:
        found.refuse(*UNKNOWN_ID)
    if profile is None:
        return found
    groups = state.groups[profile.id]
    old = groups.get(given.group_id)
    if kind != INSERT and old is None:
        found.refuse(Code.NOT_FOUND)
    if kind == DELETE:
        if any(row.action.action_profile_group_id == given.group_id for row in state.rows_of(profile)):
            found.refuse(Code.FAILED_PRECONDITION)
        found.change = lambda: _drop(groups, given.group_id)
        return found
    if kind == INSERT and old is not None:
        found.refuse(Code.ALREADY_EXISTS)
    if kind == INSERT:
        _check_style(state, profile, one_shot=False, is_entry=False, found=found)
    _check_group(state, profile, given, old, found)
    members = [p4r.ActionProfileGroup.Member() for _ in given.members]
    for member, one in zip(members, given.members, strict=True):
        member.CopyFrom(one)
        _as_read(member)
    made = Group(max_size=given.max_size, members=tuple(members))
    found.change = lambda: groups.update({given.group_id: made})
    return found


def _check_group(
    state: Forwarding, profile: Profile, given: p4r.ActionProfileGroup, old: Group | None, found: Judgement
) -> None:
    seen: set[int] = set()
    for one in given.members:
        if one.member_id in seen:
            found.refuse(Code.INVALID_ARGUMENT)
        seen.add(one.member_id)
        _check_reference(one.member_id, state.members[profile.id], found)
        _check_weight(profile, one, found)
        _check_watch(state, one, found)
    _check_max_size(profile, given, old, found)
    size = _weight(profile, given.members)
    most = given.max_size if given.max_size > 0 else profile.max_group_size
    if most and size > most:
        found.refuse(Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT)  # the code is named for one case only
    _check_total(state, profile, size - (0 if old is None else _weight(profile, old.members)), found)


def _check_max_size(profile: Profile, given: p4r.ActionProfileGroup, old: Group | None, found: Judgement) -> None:
    if old is not None and given.max_size != old.max_size:
        found.refuse(Code.INVALID_ARGUMENT)
    if given.max_size < 0 or (profile.max_group_size and given.max_size > profile.max_group_size):
        found.refuse(Code.INVALID_ARGUMENT)
    elif profile.max_group_size and given.max_size == 0:
        found.allow(Code.INVALID_ARGUMENT)  # "must be greater than 0", but no client fills it in


def _drop(there: dict[int, p4r.Action] | dict[int, Group], number: int) -> None:
    del there[number]
