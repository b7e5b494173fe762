"""Does an entry, a member or a group fit the pipeline? Says nothing about what else is in the tables."""

from __future__ import annotations

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
)
from compiler.ir.expressions import width_bits
from compiler.ir.interpreter.errors import InvalidEntry, NotFound, PermissionDenied
from compiler.ir.names import Names
from compiler.ir.tables import Action, Key, MatchKind, Selector, Table

_VALUE_TYPES: dict[MatchKind, type[MatchValue]] = {
    MatchKind.EXACT: Exact,
    MatchKind.LPM: Lpm,
    MatchKind.TERNARY: Ternary,
    MatchKind.RANGE: Range,
    MatchKind.OPTIONAL: Optional,
}
MAX_MEMBER_ID = (1 << 32) - 1


def find_table(names: Names, name: str) -> Table:
    """Raises `NotFound`."""
    if name not in names.tables:
        raise NotFound(f"the pipeline has no table '{name}'")
    return names.tables[name]


def find_selector(names: Names, name: str) -> Selector:
    """Raises `NotFound`."""
    if name not in names.selectors:
        raise NotFound(f"the pipeline has no selector '{name}'")
    return names.selectors[name]


def check_entry(names: Names, entry: TableEntry, *, is_there: bool = False) -> None:
    """Only an entry that is there may be the default entry. Raises `InvalidEntry`, `PermissionDenied` or `NotFound`."""
    table = find_table(names, entry.table)
    if table.store is not None:
        raise PermissionDenied(f"table {table.name} is learned: the data plane alone adds to it")
    if entry.is_default and is_there:
        _check_default(names, table, entry)
        return
    if table.has_const_entries:
        raise PermissionDenied(f"table {table.name} is constant: its entries are those of the pipeline")
    check_matches(table, entry.matches, entry.priority)
    match entry.action:
        case ActionCall() as call:
            if table.selector is not None:
                raise InvalidEntry(f"table {table.name} has a selector: its entries name a member or a group")
            check_call(names, table, call)
        case MemberRef() | GroupRef():
            if table.selector is None:
                raise InvalidEntry(f"table {table.name} has no selector: its entries name an action")


def check_matches(table: Table, matches: tuple[MatchValue, ...], priority: int) -> None:
    if len(matches) != len(table.keys):
        raise InvalidEntry(f"table {table.name} has {len(table.keys)} keys, the entry has {len(matches)} values")
    for key, value in zip(table.keys, matches, strict=True):
        _check_match(table, key, value)
    if table.has_priority and priority <= 0:
        raise InvalidEntry(f"an entry of table {table.name} needs a priority above 0")
    if not table.has_priority and priority != 0:
        raise InvalidEntry(f"an entry of table {table.name} has no priority")


def _check_default(names: Names, table: Table, entry: TableEntry) -> None:
    if table.has_const_default:
        raise PermissionDenied(f"the default action of table {table.name} is constant")
    if not isinstance(entry.action, ActionCall):
        raise InvalidEntry(f"the default entry of table {table.name} names an action")
    check_call(names, table, entry.action, as_default=True)


def check_call(names: Names, table: Table, call: ActionCall, *, as_default: bool = False) -> None:
    offered = {reference.name: reference for reference in table.actions}
    if call.action not in offered:
        raise InvalidEntry(f"table {table.name} does not offer action '{call.action}'")
    if as_default and not offered[call.action].as_default:
        raise PermissionDenied(f"action {call.action} is not for the default of table {table.name}")
    if not as_default and not offered[call.action].in_entries:
        raise PermissionDenied(f"action {call.action} is only for the default of table {table.name}")
    check_arguments(names.actions[call.action], call)


def check_arguments(action: Action, call: ActionCall) -> None:
    params = action.params
    if len(params) != len(call.arguments):
        raise InvalidEntry(f"action {call.action} has {len(params)} parameters, not {len(call.arguments)}")
    for param, argument in zip(params, call.arguments, strict=True):
        _check_width(f"argument {param.name} of action {call.action}", argument, param.width_bits)


def check_member(names: Names, member: Member) -> None:
    find_selector(names, member.selector)
    if not 0 < member.id <= MAX_MEMBER_ID:
        raise InvalidEntry(f"a member of selector {member.selector} has the id {member.id}, not one of 1 to 2**32 - 1")
    check_call(names, names.selector_tables[member.selector], member.action)


def group_limit(selector: Selector, group: Group) -> int:
    """The largest sum of weights that the group may have."""
    return min(selector.max_group_size, group.max_size) if group.max_size else selector.max_group_size


def check_group(names: Names, group: Group) -> None:
    """All but its size and that its members exist."""
    selector = find_selector(names, group.selector)
    name = f"group {group.id} of selector {group.selector}"
    if not 0 < group.id <= MAX_MEMBER_ID:
        raise InvalidEntry(f"{name}: the id is not one of 1 to 2**32 - 1")
    if not 0 <= group.max_size <= selector.max_group_size:
        raise InvalidEntry(f"{name}: max_size {group.max_size} is not within 0 to {selector.max_group_size}")
    seen: set[int] = set()
    for member in group.members:
        if member.weight < 1:
            raise InvalidEntry(f"{name}: member {member.member_id} has weight {member.weight}")
        if member.member_id in seen:
            raise InvalidEntry(f"{name}: member {member.member_id} is there twice")
        seen.add(member.member_id)


def _check_width(what: str, value: int, width: int) -> None:
    if not 0 <= value < 1 << width:
        raise InvalidEntry(f"{what} is {value}, which does not fit into {width} bits")


def _check_match(table: Table, key: Key, value: MatchValue) -> None:
    what, width = f"key {key.name} of table {table.name}", width_bits(key.expr)
    if not isinstance(value, _VALUE_TYPES[key.match]):
        raise InvalidEntry(f"{what} is matched {key.match.value}, not {type(value).__name__.lower()}")
    match value:
        case Exact(value=number):
            _check_width(what, number, width)
        case Lpm(value=number, prefix_len=prefix_len):
            _check_width(what, number, width)
            if not 0 <= prefix_len <= width:
                raise InvalidEntry(f"{what} has a prefix of {prefix_len} of {width} bits")
            if number & ((1 << width - prefix_len) - 1):
                raise InvalidEntry(f"{what} has bits behind its prefix of {prefix_len}")
        case Ternary(value=number, mask=mask):
            _check_width(what, number, width)
            _check_width(f"the mask of {what}", mask, width)
            if number & ~mask:
                raise InvalidEntry(f"{what} has bits outside its mask")
        case Range(low=low, high=high):
            _check_width(what, low, width)
            _check_width(what, high, width)
            if low > high:
                raise InvalidEntry(f"{what} is a range from {low} down to {high}")
        case Optional(value=number):
            if number is not None:
                _check_width(what, number, width)
