"""One action, compiled from the pipeline: `p4.v1.Action` to an action call and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finsy.proto import p4r

from compiler.ir.entries import ActionCall
from compiler.ir.restriction_parsing import action_restriction
from compiler.ir.restrictions import Restriction
from compiler.ir.tables import Action, ActionRef
from runtime.device.bytestrings import to_bytes, to_int
from runtime.device.refusals import denied, invalid
from runtime.device.translation import Translation


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamCodec:
    id: int
    width_bits: int
    where: str
    translation: Translation | None = None

    def decode(self, value: bytes, where: str) -> int:
        """Raises INVALID_ARGUMENT."""
        if self.translation is None and value:
            number = int.from_bytes(value, "big")
            if not number >> self.width_bits:
                return number  # no words for what is right: they take longer than the number
        named = f"{where}: {self.where}"
        if self.translation is not None:
            return self.translation.decode(value, named)
        return to_int(value, self.width_bits, named)

    def encode(self, value: int) -> bytes:
        return to_bytes(value) if self.translation is None else self.translation.encode(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCodec:
    """`params` is in the order of `Action.params`, which is that of `ActionCall.arguments`."""

    id: int
    name: str
    params: tuple[ParamCodec, ...]
    ids: list[int]
    """Of the parameters."""
    positions: Mapping[int, int]
    """Place in `params` by parameter id."""
    restriction: Restriction | None = None

    def decode(self, message: p4r.Action, where: str) -> ActionCall:
        """Raises INVALID_ARGUMENT for a parameter that is unknown, doubled, missing, empty or too wide.

        And for arguments that the action's restriction does not allow.
        """
        given = message.params
        if [param.param_id for param in given] == self.ids:
            arguments = [codec.decode(param.value, where) for codec, param in zip(self.params, given, strict=True)]
        else:
            arguments = self._in_order(message, where)
        call = ActionCall(action=self.name, arguments=tuple(arguments))
        if self.restriction is not None:
            violation = self.restriction.violation_by(call)
            if violation is not None:
                raise invalid(f"{where}: violates the @action_restriction of action {self.name}: {violation}")
        return call

    def _in_order(self, message: p4r.Action, where: str) -> list[int]:
        """The arguments as parameters are declared, from wherever they stand."""
        given: dict[int, int] = {}
        for param in message.params:
            position = self.positions.get(param.param_id)
            if position is None:
                raise invalid(f"{where}: action {self.name} has no parameter of id {param.param_id}")
            if position in given:
                raise invalid(f"{where}: {self.params[position].where} is given twice")
            codec = self.params[position]
            given[position] = codec.decode(param.value, where)
        if len(given) != len(self.params):
            missing = next(codec for position, codec in enumerate(self.params) if position not in given)
            raise invalid(f"{where}: {missing.where} is missing")
        return [given[position] for position in range(len(given))]

    def encode(self, call: ActionCall) -> p4r.Action:
        message = p4r.Action()
        self.fill(message, call)
        return message

    def fill(self, message: p4r.Action, call: ActionCall) -> None:
        """Encode into a message that is empty."""
        message.action_id = self.id
        add = message.params.add
        for codec, value in zip(self.params, call.arguments, strict=True):
            add(param_id=codec.id, value=codec.encode(value))


def action_codec(action: Action, types: Mapping[str, Translation]) -> ActionCodec:
    params = tuple(
        ParamCodec(
            id=p.id,
            width_bits=p.width_bits,
            where=f"action {action.name}, parameter {p.name}",
            translation=types[p.type] if p.type else None,
        )
        for p in action.params
    )
    return ActionCodec(
        id=action.id,
        name=action.name,
        params=params,
        ids=[p.id for p in action.params],
        positions={p.id: position for position, p in enumerate(action.params)},
        restriction=action_restriction(action.restriction, action) if action.restriction else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionChoice:
    """The actions of one table, and which of them its entries and its default may use."""

    where: str
    by_id: Mapping[int, tuple[ActionCodec, ActionRef]]
    by_name: Mapping[str, ActionCodec]

    def decode_for_entry(self, message: p4r.Action) -> ActionCall:
        """Raises INVALID_ARGUMENT (unknown, another table's) and PERMISSION_DENIED (only for the default)."""
        codec, ref = self._chosen(message)
        if not ref.in_entries:
            raise denied(f"{self.where}: action {codec.name} can only be the default action, not an entry's")
        return codec.decode(message, self.where)

    def decode_for_default(self, message: p4r.Action) -> ActionCall:
        """Raises INVALID_ARGUMENT (unknown, another table's) and PERMISSION_DENIED (only for entries)."""
        codec, ref = self._chosen(message)
        if not ref.as_default:
            raise denied(f"{self.where}: action {codec.name} cannot be the default action, only an entry's")
        return codec.decode(message, self.where)

    def id_of(self, message: p4r.Action) -> int:
        """The action id of a read filter, checked. Raises INVALID_ARGUMENT."""
        return self._chosen(message)[0].id

    def encode(self, call: ActionCall) -> p4r.Action:
        return self.by_name[call.action].encode(call)

    def fill(self, message: p4r.Action, call: ActionCall) -> None:
        """As of `ActionCodec`."""
        self.by_name[call.action].fill(message, call)

    def _chosen(self, message: p4r.Action) -> tuple[ActionCodec, ActionRef]:
        found = self.by_id.get(message.action_id)
        if found is None:
            names = ", ".join(sorted(self.by_name))
            raise invalid(f"{self.where}: no action of id {message.action_id:#010x}; it has {names}")
        return found


def action_choice(
    where: str, refs: tuple[ActionRef, ...], actions: Mapping[str, Action], types: Mapping[str, Translation]
) -> ActionChoice:
    codecs = {ref.name: action_codec(actions[ref.name], types) for ref in refs}
    return ActionChoice(
        where=where,
        by_id={codecs[ref.name].id: (codecs[ref.name], ref) for ref in refs},
        by_name=codecs,
    )
