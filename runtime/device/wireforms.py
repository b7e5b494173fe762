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
from typing import Any, TypeAlias

from finsy.proto import p4r

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import width_bits
from compiler.ir.tables import Action, Key, MatchKind, Param, Table
from runtime.device import wirepatterns as wire
from runtime.device.keyforms import KeyForm
from runtime.device.records import ActionSet, RowAction, RowKey
from runtime.device.refusals import RefusedError

Recognised: TypeAlias = tuple[RowKey, RowAction | None, bytes, int]
"""Key, action (None when the message has none), metadata, controller_metadata."""
DecodeAction: TypeAlias = Callable[[p4r.TableAction], RowAction]

REMEMBERED = 4096
"""Actions and metadata are kept by their bytes, for entries share them (next hops, owners); then all are forgotten."""
_TABLE_ID, _MATCH, _ACTION = 1, 2, 3
"""Of `p4.v1.TableEntry`."""
_ACTION_TAG = wire.varint(_ACTION << 3 | wire.LENGTH)[0]
_CALL_TAG = wire.varint(1 << 3 | wire.LENGTH)
"""`p4.v1.TableAction.action`."""
_ACTION_ID, _PARAMS = 1, 4
"""Of `p4.v1.Action`."""
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

    __slots__ = ("_calls", "_decode_action", "_fields", "_numbers_of", "_pack", "_remembered", "_rests")

    def __init__(self, table: Table, actions: Mapping[str, Action], keys: KeyForm, decode_action: DecodeAction) -> None:
        head = re.escape(wire.number_field(_TABLE_ID, table.id))
        patterns = [_key_pattern(key) for key in table.keys]
        self._fields = re.compile(head + b"".join(pattern for pattern, _ in patterns), re.DOTALL).match
        self._numbers_of = _numbers_of(table.keys, [start for _, start in patterns])
        self._pack = keys.pack
        self._calls = _call_forms(table, actions)
        self._decode_action = decode_action
        self._remembered: dict[bytes, RowAction] = {}
        self._rests: dict[bytes, tuple[bytes, int]] = {b"": (b"", 0)}

    @property
    def remembered(self) -> int:
        """How many actions, or metadata, whichever are more."""
        return max(len(self._remembered), len(self._rests))

    def read(self, raw: bytes) -> Recognised | None:
        """`raw` is a `p4.v1.TableEntry` as protobuf writes it."""
        found = self._fields(raw)
        if found is None:
            return None
        numbers = self._numbers_of(found.groups())
        if numbers is None:
            return None
        key, at = self._pack(*numbers), found.end()
        if at == len(raw):
            return key, None, b"", 0
        if raw[at] != _ACTION_TAG:
            return None
        start, size = at + 2, raw[at + 1]
        if size > wire.LONGEST_PREFIX_BYTE:
            start, size = at + 3, size & 127 | raw[at + 2] << 7
        end = start + size
        given = raw[start:end]
        action = self._remembered.get(given) or self._read_action(given)
        behind = self._rests.get(raw[end:]) or self._read_rest(raw[end:])
        if action is None or behind is None:
            return None
        return key, action, *behind

    def _read_action(self, raw: bytes) -> RowAction | None:
        action = self._read_call(raw)
        if action is None:
            try:
                action = self._decode_action(p4r.TableAction.FromString(raw))
            except RefusedError:
                return None  # to be told by whoever reads it the plain way
            if isinstance(action, ActionSet):
                return None  # rare, and large
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[raw] = action
        return action

    def _read_call(self, raw: bytes) -> ActionCall | None:
        for name, match, starts in self._calls:
            found = match(raw)
            if found is not None:
                groups = found.groups()
                values = [int.from_bytes(one[start:], "big") for one, start in zip(groups, starts, strict=True)]
                return ActionCall(action=name, arguments=tuple(values))
        return None

    def _read_rest(self, raw: bytes) -> tuple[bytes, int] | None:
        """What comes behind the action, when it is only what controllers keep for themselves."""
        rest = p4r.TableEntry.FromString(raw)
        if any(field.name not in _BEHIND for field, _ in rest.ListFields()):
            return None
        if len(self._rests) >= REMEMBERED:
            self._rests.clear()
        self._rests[raw] = rest.metadata, rest.controller_metadata  # pyright: ignore[reportDeprecated]
        return self._rests[raw]


def table_form(
    table: Table, actions: Mapping[str, Action], keys: KeyForm, decode_action: DecodeAction
) -> TableForm | None:
    """None for a table whose entries are always read the plain way."""
    offered = [actions[ref.name] for ref in table.actions]
    nodes = [table, *table.keys, *offered, *(param for action in offered for param in action.params)]
    if any(_has_more(node) for node in nodes):
        return None
    if not table.keys or any(key.match not in (MatchKind.EXACT, MatchKind.LPM) for key in table.keys):
        return None
    return TableForm(table, actions, keys, decode_action)


def _has_more(node: Table | Key | Action | Param) -> bool:
    """Whether a node has something that forms know nothing of; whatever nodes come to have, they are safe from it."""
    return any(
        getattr(node, field.name) != field.default for field in fields(node) if field.name not in _KNOWN[type(node)]
    )


def _key_pattern(key: Key) -> tuple[bytes, int]:
    pattern = wire.exact_pattern if key.match is MatchKind.EXACT else wire.lpm_pattern
    return pattern(_MATCH, key.id, width_bits(key.expr))


def _numbers_of(keys: Sequence[Key], starts: list[int]) -> Callable[[tuple[Any, ...]], list[int] | None]:
    """From the groups of a match to the numbers of `KeyForm`; None for a prefix that is none."""
    from_bytes = int.from_bytes
    if all(key.match is MatchKind.EXACT for key in keys):
        return lambda groups: [from_bytes(one[start:], "big") for one, start in zip(groups, starts, strict=True)]
    plan = [(start, key.match is MatchKind.LPM, width_bits(key.expr)) for start, key in zip(starts, keys, strict=True)]
    tag = wire.varint(wire.PREFIX_LEN << 3 | wire.VARINT)[0]

    def numbers(groups: tuple[Any, ...]) -> list[int] | None:
        found: list[int] = []
        for one, (start, is_lpm, width) in zip(groups, plan, strict=True):
            if not is_lpm:
                found.append(from_bytes(one[start:], "big"))
            elif one is None:
                found += (0, 0)
            else:
                # One byte of prefix length behind its tag, or the two of 128.
                size, length = (2, one[-1]) if one[-2] == tag else (3, wire.LONGEST_PREFIX_BYTE + 1)
                value = from_bytes(one[start:-size], "big")
                if length > width or value & (1 << width - length) - 1:
                    return None
                found += (value, length)
        return found

    return numbers


def _call_forms(
    table: Table, actions: Mapping[str, Action]
) -> tuple[tuple[str, Callable[[bytes], re.Match[bytes] | None], list[int]], ...]:
    """Name, pattern and starts of values, for each action of a direct table that entries may use."""
    if table.selector is not None:
        return ()
    forms: list[tuple[str, Callable[[bytes], re.Match[bytes] | None], list[int]]] = []
    for action in (actions[ref.name] for ref in table.actions if ref.in_entries):
        if action.restriction:
            continue  # its arguments are checked where they are decoded
        patterns = [wire.param_pattern(_PARAMS, param.id, param.width_bits) for param in action.params]
        head = _CALL_TAG + wire.ANY_LENGTH + re.escape(wire.number_field(_ACTION_ID, action.id))
        whole = re.compile(head + b"".join(pattern for pattern, _ in patterns), re.DOTALL)
        forms.append((action.name, whole.fullmatch, [start for _, start in patterns]))
    return tuple(forms)
