"""Mistakes of controllers, by name: each damages a well-formed update in one way that the specification speaks of.

A fault may find nothing to damage, and a damaged update may still be well formed: what is to be answered is the
oracle's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from finsy.proto import p4r
from google.protobuf.message import Message

from tests.conformance.fuzzing.dice import Dice
from tests.conformance.oracle.program import Program, Value

Fault: TypeAlias = Callable[[Dice, Program, p4r.Update], None]
_ANY_ID = (0, 1, 0x02FFFFFF, 0x01FFFFFF, 0xFFFFFFFF)
_KINDS = ("exact", "lpm", "ternary", "range", "optional")


def _entry(update: p4r.Update) -> p4r.TableEntry | None:
    """The table entry that an update is about, also by its direct resource."""
    match update.entity.WhichOneof("entity"):
        case "table_entry":
            return update.entity.table_entry
        case "direct_counter_entry":
            return update.entity.direct_counter_entry.table_entry
        case "direct_meter_entry":
            return update.entity.direct_meter_entry.table_entry
        case _:
            return None


def _calls(update: p4r.Update) -> list[p4r.Action]:
    """Every action with its parameters."""
    match update.entity.WhichOneof("entity"):
        case "action_profile_member":
            return [update.entity.action_profile_member.action]
        case "table_entry":
            action = update.entity.table_entry.action
            sets = [one.action for one in action.action_profile_action_set.action_profile_actions]
            return [action.action] if action.WhichOneof("type") == "action" else sets
        case _:
            return []


def _weighted(update: p4r.Update) -> list[p4r.ActionProfileAction | p4r.ActionProfileGroup.Member]:
    kind = update.entity.WhichOneof("entity")
    if kind == "action_profile_group":
        return list(update.entity.action_profile_group.members)
    if kind == "table_entry":
        return list(update.entity.table_entry.action.action_profile_action_set.action_profile_actions)
    return []


def _wrong_id(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Of a table, action, profile, counter or meter: none, unknown, or that of another thing."""
    places = [(message, field) for message, field in _ids(update.entity)]
    if places:
        message, field = dice.one(places)
        setattr(message, field, dice.one([*known.names, *_ANY_ID]))


def _ids(message: Message) -> Iterator[tuple[Message, str]]:
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in value if field.is_repeated else (value,):
                yield from _ids(one)
        elif field.name.endswith("_id") and field.cpp_type == field.CPPTYPE_UINT32 and not field.is_repeated:
            yield message, field.name


def _wrong_field_id(dice: Dice, known: Program, update: p4r.Update) -> None:
    entry = _entry(update)
    if entry is not None and entry.match:
        dice.one(entry.match).field_id = dice.one((0, 99, 0xFFFFFFFF, *(one.field_id for one in entry.match)))


def _missing(dice: Dice, known: Program, update: p4r.Update) -> None:
    """A field, a parameter, a member is left out."""
    places = [place for place in _repeated(update) if len(place)]
    if places:
        place = dice.one(places)
        del place[dice.below(len(place))]


def _twice(dice: Dice, known: Program, update: p4r.Update) -> None:
    places = [place for place in _repeated(update) if len(place)]
    if places:
        place = dice.one(places)
        place.add().CopyFrom(place[dice.below(len(place) - 1)])


def _turned(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Another order, which means nothing."""
    for place in _repeated(update):
        kept = [one.SerializeToString() for one in place]
        for one, data in zip(place, reversed(kept), strict=True):
            one.ParseFromString(data)


def _repeated(update: p4r.Update) -> list[Any]:
    entry = _entry(update)
    places: list[Any] = [] if entry is None else [entry.match]
    places += [call.params for call in _calls(update)]
    if update.entity.HasField("action_profile_group"):
        places.append(update.entity.action_profile_group.members)
    if update.entity.HasField("packet_replication_engine_entry"):
        engine = update.entity.packet_replication_engine_entry
        replicas = (engine.multicast_group_entry.replicas, engine.clone_session_entry.replicas)
        places += [*replicas, *(one.backup_replicas for given in replicas for one in given)]
    return places


def _wrong_kind(dice: Dice, known: Program, update: p4r.Update) -> None:
    """A field is matched in another way than the table says, with the same value, or in none."""
    entry = _entry(update)
    if entry is None or not entry.match:
        return
    match = dice.one(entry.match)
    value = match.exact.value or match.lpm.value or match.ternary.value or b"\x01"
    kind = dice.one((*_KINDS, ""))
    for other in _KINDS:
        match.ClearField(other)  # pyright: ignore[reportArgumentType]
    if kind in ("exact", "optional"):
        getattr(match, kind).value = value
    elif kind == "lpm":
        match.lpm.value, match.lpm.prefix_len = value, 8
    elif kind == "ternary":
        match.ternary.value, match.ternary.mask = value, value
    elif kind == "range":
        match.range.low, match.range.high = value, value


def _wrong_bytes(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Too wide, by one bit or by many; with zeros in front; empty; the highest that fits."""
    places = list(_values(known, update))
    if not places:
        return
    message, field, value = dice.one(places)
    width = value.width_bits if value is not None else 16
    odd = (
        (1 << width).to_bytes(width // 8 + 1, "big"),
        b"\0" * (1 + dice.below(9)) + getattr(message, field),
        b"",
        b"\xff" * (width // 8 + 1),
        ((1 << width) - 1).to_bytes((width + 7) // 8, "big"),
        b"\x01" + b"\0" * 40,
    )
    setattr(message, field, dice.one(odd))


def _values(known: Program, update: p4r.Update) -> Iterator[tuple[Message, str, Value | None]]:
    """Every byte string, with its type where there is one."""
    entry = _entry(update)
    table = known.tables.get(entry.table_id) if entry is not None else None
    for match in entry.match if entry is not None else ():
        kind = match.WhichOneof("field_match_type")
        if kind is not None:
            message = getattr(match, kind)
            for field in message.DESCRIPTOR.fields:
                if field.type == field.TYPE_BYTES:
                    yield message, field.name, table.fields.get(match.field_id) if table is not None else None
    for call in _calls(update):
        action = known.actions.get(call.action_id)
        for param in call.params:
            yield param, "value", action.params.get(param.param_id) if action is not None else None


def _wrong_prefix(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Prefix lengths that are none, bits behind the prefix."""
    prefixes = [match.lpm for match in _matches(update) if match.HasField("lpm")]
    if prefixes:
        prefix = dice.one(prefixes)
        if dice.below(2):
            prefix.prefix_len = dice.one((0, -1, 1000, 1, prefix.prefix_len + 1, (1 << 31) - 1))
        else:
            prefix.value = prefix.value[:-1] + bytes([prefix.value[-1] | 1]) if prefix.value else b"\x01"


def _wrong_mask(dice: Dice, known: Program, update: p4r.Update) -> None:
    masks = [match.ternary for match in _matches(update) if match.HasField("ternary")]
    if masks:
        dice.one(masks).mask = dice.one((b"\0", b"\x01", b"", b"\xff\xff\xff\xff\xff"))


def _wrong_range(dice: Dice, known: Program, update: p4r.Update) -> None:
    ranges = [match.range for match in _matches(update) if match.HasField("range")]
    if ranges:
        found = dice.one(ranges)
        if dice.below(2):
            found.low, found.high = found.high, found.low
        else:
            found.low, found.high = b"\0", dice.one((b"\xff", b"\xff\xff", b"\x0f\xff", b"\xff\xff\xff\xff"))


def _matches(update: p4r.Update) -> list[p4r.FieldMatch]:
    entry = _entry(update)
    return list(entry.match) if entry is not None else []


def _wrong_priority(dice: Dice, known: Program, update: p4r.Update) -> None:
    entry = _entry(update)
    if entry is not None:
        entry.priority = dice.one((0, 1, -1, (1 << 31) - 1, -(1 << 31)))


def _wrong_type(dice: Dice, known: Program, update: p4r.Update) -> None:
    update.type = dice.one((0, 1, 2, 3, 4, 77))  # pyright: ignore[reportAttributeAccessIssue]


def _no_entity(dice: Dice, known: Program, update: p4r.Update) -> None:
    update.ClearField("entity")
    if dice.below(2):
        update.entity.SetInParent()


def _other_entity(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Another kind with nothing in it, or with ids that nobody has."""
    names = [field.name for field in update.entity.DESCRIPTOR.fields]
    chosen = getattr(update.entity, dice.one(names))
    chosen.SetInParent()
    for field in chosen.DESCRIPTOR.fields:
        if field.name.endswith("_id") and dice.below(2):
            setattr(chosen, field.name, dice.one([*known.names, *_ANY_ID]))


def _wrong_weight(dice: Dice, known: Program, update: p4r.Update) -> None:
    weighted = _weighted(update)
    if weighted:
        dice.one(weighted).weight = dice.one((0, -1, 1, 100, (1 << 31) - 1, -(1 << 31)))


def _watched(dice: Dice, known: Program, update: p4r.Update) -> None:
    weighted = _weighted(update)
    if weighted:
        one = dice.one(weighted)
        if dice.below(2):
            one.watch_port = dice.one((b"\x01", b"", b"\0\x02", b"\xff\xff", b"\xff\xff\xff\xfd"))
        else:
            one.watch = dice.one((1, 0, -1))  # pyright: ignore[reportDeprecated]


def _wrong_size(dice: Dice, known: Program, update: p4r.Update) -> None:
    if update.entity.HasField("action_profile_group"):
        update.entity.action_profile_group.max_size = dice.one((0, -1, 1, 1000, (1 << 31) - 1))


def _wrong_reference(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Of an entry to a member or group, of a group to a member; or the other kind of action altogether."""
    if update.entity.HasField("action_profile_group") and update.entity.action_profile_group.members:
        dice.one(update.entity.action_profile_group.members).member_id = dice.one((0, 99, 1, 0xFFFFFFFF))
    elif update.entity.HasField("table_entry"):
        action = update.entity.table_entry.action
        match dice.below(5):
            case 0:
                action.action_profile_member_id = dice.one((99, 0, 1, 0xFFFFFFFF))
            case 1:
                action.action_profile_group_id = dice.one((99, 0, 1, 0xFFFFFFFF))
            case 2:
                action.action_profile_action_set.SetInParent()
            case 3:
                action.action.action_id = dice.one([0, *known.actions])
            case _:
                action.Clear()
                action.SetInParent()


def _odd_set(dice: Dice, known: Program, update: p4r.Update) -> None:
    if update.entity.table_entry.action.HasField("action_profile_action_set"):
        chosen = update.entity.table_entry.action.action_profile_action_set
        chosen.action_selection_mode = dice.one((0, 1, 2, 9))  # pyright: ignore[reportAttributeAccessIssue]
        chosen.size_semantics = dice.one((0, 1, 2, 9))  # pyright: ignore[reportAttributeAccessIssue]


def _odd_entry(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Flags and direct resources that do not belong here."""
    entry = _entry(update)
    if entry is None:
        return
    match dice.below(7):
        case 0:
            entry.is_default_action = not entry.is_default_action
        case 1:
            entry.is_const = True
        case 2:
            entry.idle_timeout_ns = dice.one((1, -1, 1 << 62))
        case 3:
            entry.time_since_last_hit.SetInParent()
        case 4:
            entry.counter_data.packet_count = dice.one((-1, 1, 0))
        case 5:
            entry.meter_config.cir = dice.one((0, -1, 100))
        case _:
            entry.meter_counter_data.green.packet_count = dice.one((0, 1))


def _odd_copies(dice: Dice, known: Program, update: p4r.Update) -> None:
    """Of a multicast group or clone session: ids, replicas and what is beside them."""
    if not update.entity.HasField("packet_replication_engine_entry"):
        return
    engine = update.entity.packet_replication_engine_entry
    group, session = engine.multicast_group_entry, engine.clone_session_entry
    is_group = engine.HasField("multicast_group_entry")
    replicas = group.replicas if is_group else session.replicas
    match dice.below(5):
        case 0 if is_group:
            group.multicast_group_id = dice.one((0, 0xFFFF, 0x10000, 0xFFFFFFFF))
        case 0:
            session.session_id = dice.one((0, 0xFFFF, 0x10000, 0xFFFFFFFF))
        case 1 if not is_group:
            session.packet_length_bytes = dice.one((1, 13, 14, -1, (1 << 31) - 1, -(1 << 31)))
        case 2 if not is_group:
            session.class_of_service = dice.one((1, 0xFFFFFFFF))
        case 3:
            engine.Clear()
        case _ if replicas:
            _odd_replica(dice, dice.one(replicas))
        case _:
            replicas.add(instance=dice.below(2))


def _odd_replica(dice: Dice, replica: p4r.Replica) -> None:
    match dice.below(4):
        case 0:
            replica.port = dice.one((b"", b"\0", b"\0\0\x01", b"\x01\xff", b"\x02\0", b"\xff\xff\xff\xfd"))
        case 1:
            replica.egress_port = dice.one((0, 1, 2, 511, 512, 0xFFFFFFFD))  # pyright: ignore[reportDeprecated]
        case 2:
            replica.instance = dice.one((0, 0xFFFF, 0x10000, 0xFFFFFFFF))
        case _:
            odd = (replica.port, b"\0" + replica.port, b"\x05", b"\0\0\x05", b"", b"\x02\0")
            replica.backup_replicas.add(port=dice.one(odd), instance=dice.one((0, 1, 2, 0x10000)))


def _odd_index(dice: Dice, known: Program, update: p4r.Update) -> None:
    for name in ("counter_entry", "meter_entry", "register_entry"):
        if update.entity.HasField(name):  # pyright: ignore[reportArgumentType]
            getattr(update.entity, name).index.index = dice.one((-1, 1 << 40, -(1 << 63), 256, 4, 3))
            update.type = dice.one((p4r.Update.MODIFY, p4r.Update.INSERT, p4r.Update.DELETE))


def _other_type(dice: Dice, known: Program, update: p4r.Update) -> None:
    """What is there is inserted, what is not is deleted."""
    update.type = dice.one((p4r.Update.DELETE, p4r.Update.INSERT, p4r.Update.MODIFY))


FAULTS: Sequence[tuple[str, Fault]] = (
    ("other type of update", _other_type),
    ("wrong id", _wrong_id),
    ("wrong field id", _wrong_field_id),
    ("missing part", _missing),
    ("part given twice", _twice),
    ("parts in another order", _turned),
    ("wrong kind of match", _wrong_kind),
    ("wrong bytes", _wrong_bytes),
    ("wrong prefix", _wrong_prefix),
    ("wrong mask", _wrong_mask),
    ("wrong range", _wrong_range),
    ("wrong priority", _wrong_priority),
    ("type unset or unknown", _wrong_type),
    ("no entity", _no_entity),
    ("other entity", _other_entity),
    ("wrong weight", _wrong_weight),
    ("watched port", _watched),
    ("wrong max_size", _wrong_size),
    ("wrong reference", _wrong_reference),
    ("odd action set", _odd_set),
    ("odd entry", _odd_entry),
    ("odd index", _odd_index),
    ("odd copies", _odd_copies),
)
