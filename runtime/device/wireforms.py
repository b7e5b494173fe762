"""Entries recognised in their wire form: what a well-formed one of a table looks like, as a pattern of bytes. Pure.

Nearly all entries are what their table expects: every field in order, every value within its width. To read such a
message field by field costs more than all the rest of a write. So its bytes, as protobuf writes them, are matched
against a pattern made once for each table, and numbers come out. What does not match (anything wrong, anything rare)
is read the plain way by `TableCodec`, which alone knows what is wrong with it. A form says what `TableCodec` would, or
nothing (tests/property/test_wire_forms.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TypeAlias

from finsy.proto import p4r

from compiler.ir.expressions import width_bits
from compiler.ir.tables import Action, Key, MatchKind, Param, Table
from runtime.device import wirepatterns as wire
from runtime.device.keyforms import KeyForm
from runtime.device.records import ActionSet, RowAction, RowKey
from runtime.device.refusals import RefusedError
from runtime.device.wirecalls import Calls, Groups, of_numbers

Recognised: TypeAlias = tuple[RowKey, RowAction | None, bytes, int]
"""Key, action (None when the message has none), metadata, controller_metadata."""
DecodeAction: TypeAlias = Callable[[p4r.TableAction], RowAction]

REMEMBERED = 4096
"""Actions and metadata are kept by their bytes, for entries share them (next hops, owners); then all are forgotten."""
_TABLE_ID, _MATCH, _ACTION = 1, 2, 3
"""Of `p4.v1.TableEntry`."""
_ACTION_TAG = wire.varint(_ACTION << 3 | wire.LENGTH)
_METADATA_TAG = wire.tag(11)[0]
_CALL_TAG = wire.varint(1 << 3 | wire.LENGTH)
"""`p4.v1.TableAction.action`."""
_PREFIX_TAG = wire.varint(wire.PREFIX_LEN << 3 | wire.VARINT)[0]
_BEHIND = frozenset({"metadata", "controller_metadata"})
_KNOWN = {
    Table: {"name", "id", "keys", "actions", "default_action", "size", "counter_id", "selector", "doc", "span"},
    Key: {"name", "id", "expr", "match", "format", "refers_to"},
    Action: {"name", "id", "params", "body", "restriction", "doc", "span"},
    Param: {"name", "id", "width_bits", "format", "refers_to"},
}
"""What forms take into account. A table with anything else (a restriction, a translation) is read the plain way."""


class TableForm:
    """The wire form of one table's entries."""

    __slots__ = ("_calls", "_decode_action", "_given", "_key_of", "_match", "_remembered", "_rests")

    def __init__(self, table: Table, actions: Mapping[str, Action], keys: KeyForm, decode_action: DecodeAction) -> None:
        head = re.escape(wire.number_field(_TABLE_ID, table.id))
        patterns = [_key_pattern(key) for key in table.keys]
        self._given = len(patterns)
        """The group of what a `TableAction` is, where it is a plain call of at most 127 bytes."""
        self._calls = Calls(() if table.selector is not None else offered(table, actions), self._given + 1)
        call = _CALL_TAG + wire.SHORT + self._calls.pattern
        given = rb"(?:" + re.escape(_ACTION_TAG) + wire.SHORT + rb"(" + call + rb"))?"
        pattern = head + b"".join(pattern for pattern, _ in patterns) + given
        self._match = re.compile(pattern, re.DOTALL).match
        self._key_of = _key_of(table.keys, [start for _, start in patterns], keys.pack)
        self._decode_action = decode_action
        self._remembered: dict[bytes, RowAction] = {}
        self._rests: dict[bytes, tuple[bytes, int]] = {b"": (b"", 0)}

    @property
    def remembered(self) -> int:
        """How many actions, or metadata, whichever are more."""
        return max(len(self._remembered), len(self._rests))

    def read_within(self, raw: bytes, start: int, stop: int) -> Recognised | None:
        """A `p4.v1.TableEntry` as protobuf writes it, between two places."""
        found = self._match(raw, start, stop)
        if found is None:
            return None
        groups, end = found.groups(), found.end()
        key, given = self._key_of(groups), groups[self._given]
        if key is None:
            return None
        if given is not None:
            size = len(given)
            if raw[end - size - 1] != size or given[1] != size - 2:
                return None  # there is more in it than what was matched
            action = self._remembered.get(given) or self._remember(given, self._calls.of(groups))
        elif end == stop:
            return key, None, b"", 0
        else:
            given, end = _action_at(raw, end)
            action = self._remembered.get(given) or self._read_action(given)
            if action is None:
                return None
        if end == stop:
            return key, action, b"", 0
        rest = raw[end:stop]
        behind = self._rests.get(rest) or self._read_rest(rest)
        return None if behind is None else (key, action, *behind)

    def _read_action(self, raw: bytes) -> RowAction | None:
        try:
            action = self._decode_action(p4r.TableAction.FromString(raw))
        except RefusedError:
            return None  # to be told by whoever reads it the plain way
        if isinstance(action, ActionSet):
            return None  # rare, and large
        return self._remember(raw, action)

    def _remember(self, raw: bytes, action: RowAction) -> RowAction:
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[raw] = action
        return action

    def _read_rest(self, raw: bytes) -> tuple[bytes, int] | None:
        """What comes behind the action, when it is only what controllers keep for themselves."""
        if raw[0] == _METADATA_TAG and raw[1] == len(raw) - 2 <= wire.LONGEST_BYTE:
            return raw[2:], 0
        rest = p4r.TableEntry.FromString(raw)
        if any(field.name not in _BEHIND for field, _ in rest.ListFields()):
            return None
        if len(self._rests) >= REMEMBERED:
            self._rests.clear()
        self._rests[raw] = rest.metadata, rest.controller_metadata  # pyright: ignore[reportDeprecated]
        return self._rests[raw]


def has_form(table: Table, actions: Mapping[str, Action]) -> bool:
    """Whether entries of a table can be recognised so; those of others are always read the plain way."""
    if any(_has_more(node) for node in (table, *table.keys)) or not have_forms(table, actions):
        return False
    return bool(table.keys) and all(key.match in (MatchKind.EXACT, MatchKind.LPM) for key in table.keys)


def have_forms(table: Table, actions: Mapping[str, Action]) -> bool:
    """Whether all calls of a table's actions can be recognised so."""
    named = [actions[ref.name] for ref in table.actions]
    return not any(_has_more(node) for node in (*named, *(param for action in named for param in action.params)))


def offered(table: Table, actions: Mapping[str, Action]) -> list[Action]:
    """Those that entries, or members, may have."""
    return [actions[ref.name] for ref in table.actions if ref.in_entries]


def _has_more(node: Table | Key | Action | Param) -> bool:
    """Whether a node has something that forms know nothing of; whatever nodes come to have, they are safe from it."""
    return any(
        getattr(node, field.name) != field.default for field in fields(node) if field.name not in _KNOWN[type(node)]
    )


def _key_pattern(key: Key) -> tuple[bytes, int]:
    pattern = wire.exact_pattern if key.match is MatchKind.EXACT else wire.lpm_pattern
    return pattern(_MATCH, key.id, width_bits(key.expr))


def _key_of(keys: Sequence[Key], starts: list[int], pack: Callable[..., RowKey]) -> Callable[[Groups], RowKey | None]:
    """From the groups of a match to the key; None where a prefix is none."""
    if all(key.match is MatchKind.EXACT for key in keys):
        return of_numbers("pack(%s)", 0, starts, {"pack": pack})
    plan = [(start, key.match is MatchKind.LPM, width_bits(key.expr)) for start, key in zip(starts, keys, strict=True)]

    def packed(groups: Groups) -> RowKey | None:
        found: list[int] = []
        for one, (start, is_lpm, width) in zip(groups, plan, strict=False):
            if not is_lpm:
                found.append(int.from_bytes(one[start:], "big"))
            elif one is None:
                found += (0, 0)
            else:
                value, length = _prefix(one, start)
                if length > width or value & (1 << width - length) - 1:
                    return None
                found += (value, length)
        return pack(*found)

    return packed


def _prefix(field: bytes, start: int) -> tuple[int, int]:
    """Value and length: one byte behind its tag, or the two of 128."""
    size, length = (2, field[-1]) if field[-2] == _PREFIX_TAG else (3, wire.LONGEST_BYTE + 1)
    return int.from_bytes(field[start:-size], "big"), length


def _action_at(raw: bytes, at: int) -> tuple[bytes, int]:
    """The `TableAction` in a `TableEntry`, and where it ends; empty where none begins there, or too long a one."""
    if raw[at] != _ACTION_TAG[0]:
        return b"", at
    start, size = at + 2, raw[at + 1]
    if size > wire.LONGEST_BYTE:
        start, size = at + 3, size & wire.LONGEST_BYTE | raw[at + 2] << 7
        if raw[at + 2] > wire.LONGEST_BYTE:
            return b"", at
    return raw[start : start + size], start + size
