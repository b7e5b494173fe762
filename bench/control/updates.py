"""Updates of the pipeline `tables.ir`, as a controller sends them: entry number N of each kind of table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from finsy.proto import p4r

SERVICE, ROUTE, NEIGHBOR, BACKEND, BACKENDS = 0x02000001, 0x02000002, 0x02000003, 0x02000004, 0x11000004
TO_SERVICE, VIA, DELIVER = 0x01000001, 0x01000002, 0x01000003
INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
NETWORKS, NEXT_HOPS, SERVICES = 7, 500, 2000
Kind = p4r.Update.Type.ValueType
Make = Callable[[Kind, int], p4r.Update]


def _bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def _entry(kind: Kind, table_id: int, *exact: int) -> tuple[p4r.Update, p4r.TableEntry]:
    update = p4r.Update(type=kind)
    entry = update.entity.table_entry
    entry.table_id = table_id
    for number, value in enumerate(exact, 1):
        entry.match.add(field_id=number).exact.value = _bytes(value)
    return update, entry


def _call(entry: p4r.TableEntry, action_id: int, *arguments: int) -> None:
    action = entry.action.action
    action.action_id = action_id
    for number, value in enumerate(arguments, 1):
        action.params.add(param_id=number, value=_bytes(value))


def service(kind: Kind, number: int) -> p4r.Update:
    """Four exact fields and a counter; many entries share an action."""
    update, entry = _entry(kind, SERVICE, 1 + number % NETWORKS, 0x0A000000 + number, 17, 53 + number % 1000)
    if kind != DELETE:
        _call(entry, TO_SERVICE, 1 + number % SERVICES)
    return update


def host(kind: Kind, number: int) -> p4r.Update:
    """In the same table, each entry with arguments of its own."""
    update, entry = _entry(kind, SERVICE, 1 + number % NETWORKS, 0x0B000000 + number, 6, 80)
    if kind != DELETE:
        _call(entry, DELIVER, number & 0x1FF, 0x020000000000 + number)
    return update


def route(kind: Kind, number: int) -> p4r.Update:
    """A prefix of 24 bits in a network."""
    update, entry = _entry(kind, ROUTE, 1 + number % NETWORKS)
    match = entry.match.add(field_id=2)
    match.lpm.value, match.lpm.prefix_len = _bytes(0x0A000000 + (number << 8)), 24
    if kind != DELETE:
        _call(entry, VIA, 1 + number % NEXT_HOPS)
    return update


def neighbor(kind: Kind, number: int) -> p4r.Update:
    """One field of 16 bits: an array in the kernel."""
    update, entry = _entry(kind, NEIGHBOR, number)
    if kind != DELETE:
        _call(entry, DELIVER, number & 0x1FF, 0x020000000000 + number)
    return update


def member(kind: Kind, number: int) -> p4r.Update:
    update = p4r.Update(type=kind)
    made = update.entity.action_profile_member
    made.action_profile_id, made.member_id = BACKENDS, 1 + number
    if kind != DELETE:
        made.action.action_id = DELIVER
        made.action.params.add(param_id=1, value=_bytes(number & 0x1FF))
        made.action.params.add(param_id=2, value=_bytes(0x020000000000 + number))
    return update


def group(kind: Kind, number: int) -> p4r.Update:
    """Of two members."""
    update = p4r.Update(type=kind)
    made = update.entity.action_profile_group
    made.action_profile_id, made.group_id = BACKENDS, 1 + number
    if kind != DELETE:
        made.members.add(member_id=1 + 2 * number, weight=1)
        made.members.add(member_id=2 + 2 * number, weight=1)
    return update


def backend(kind: Kind, number: int) -> p4r.Update:
    """Points to a group."""
    update, entry = _entry(kind, BACKEND, number)
    if kind != DELETE:
        entry.action.action_profile_group_id = 1 + number
    return update


def mixed(count: int) -> Iterator[p4r.Update]:
    """Inserts, changes and deletions of three kinds of table in turn; `count` of each must be there."""
    for number in range(count):
        yield service(INSERT, 2_000_000 + number)
        yield route(MODIFY, number)
        yield service(DELETE, number)
        yield neighbor(MODIFY, number % 1000)
        yield host(MODIFY, number)
