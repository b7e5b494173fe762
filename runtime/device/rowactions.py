"""The action of an entry, `p4.v1.TableAction`, to that of a `Row` and back: a call, a member, a group, or a set.

Made once for each table. Codecs of tables and the forms of their entries' bytes have it in common, so that neither
refers to the other: a pipeline that has gone is in no cycle (`runtime.device.garbage`).
"""

from __future__ import annotations

from dataclasses import dataclass

from finsy.proto import p4r

from compiler.ir.entries import ActionCall, GroupRef, MemberRef
from compiler.ir.tables import Selector
from runtime.device.actioncodec import ActionChoice
from runtime.device.records import ActionSet, RowAction, WeightedAction
from runtime.device.refusals import invalid, unimplemented
from runtime.device.translation import Ports
from runtime.device.watching import decode_watch, encode_watch

_SET = p4r.ActionProfileActionSet
_HASHED = (_SET.DEFAULT_MODE_DETERMINED_BY_ACTION_SELECTOR, _SET.HASH)
_WEIGHED = (_SET.DEFAULT_SIZE_DETERMINED_BY_ACTION_SELECTOR, _SET.SUM_OF_WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowActionCodec:
    """Those of one table's entries."""

    where: str
    """Begins what is said of a refused one."""
    selector: Selector | None
    choice: ActionChoice
    ports: Ports | None = None
    """Of ports that members watch, where the pipeline translates ports."""

    def decode(self, action: p4r.TableAction) -> RowAction:
        """Raises INVALID_ARGUMENT, PERMISSION_DENIED (an action that is only a default), UNIMPLEMENTED."""
        kind = action.WhichOneof("type")
        if kind is None:
            raise invalid(f"{self.where}: the action is missing")
        if self.selector is None:
            if kind != "action":
                raise invalid(f"{self.where} has no action profile: its entries carry an action, given is {kind}")
            return self.choice.decode_for_entry(action.action)
        match kind:
            case "action_profile_member_id":
                return MemberRef(member_id=id_of(action.action_profile_member_id, f"{self.where}: member id"))
            case "action_profile_group_id":
                return GroupRef(group_id=id_of(action.action_profile_group_id, f"{self.where}: group id"))
            case "action_profile_action_set":
                return self._decode_set(action.action_profile_action_set, self.selector)
            case "action":
                raise invalid(f"{self.where} has an action profile: its entries carry a member, a group or a set")

    def _decode_set(self, given: p4r.ActionProfileActionSet, selector: Selector) -> ActionSet:
        where = f"{self.where}, action set"
        mode, semantics = given.action_selection_mode, given.size_semantics
        if mode not in _HASHED or semantics not in _WEIGHED:
            raise unimplemented(f"{where}: members are chosen by hash, and weights are what counts; nothing else is")
        actions = tuple(self._decode_weighted(one, where) for one in given.action_profile_actions)
        total = sum(one.weight for one in actions)
        if total > selector.max_group_size:
            raise invalid(f"{where}: the weights sum to {total}, at most {selector.max_group_size} are possible")
        return ActionSet(actions, int(mode), int(semantics))

    def _decode_weighted(self, given: p4r.ActionProfileAction, where: str) -> WeightedAction:
        if given.weight <= 0:
            raise invalid(f"{where}: a weight is above 0, given is {given.weight}")
        return WeightedAction(
            self.choice.decode_for_entry(given.action), given.weight, decode_watch(given, where, self.ports)
        )

    def to_bytes(self, action: RowAction) -> bytes:
        """The `p4.v1.TableAction` of a row."""
        made = p4r.TableAction()
        self.encode_into(made, action)
        return made.SerializeToString()

    def encode_into(self, into: p4r.TableAction, action: RowAction) -> None:
        match action:
            case ActionCall():
                into.action.CopyFrom(self.choice.encode(action))
            case MemberRef():
                into.action_profile_member_id = action.member_id
            case GroupRef():
                into.action_profile_group_id = action.group_id
            case ActionSet():
                into.action_profile_action_set.action_selection_mode = _SET.ActionSelectionMode.ValueType(action.mode)
                into.action_profile_action_set.size_semantics = _SET.SizeSemantics.ValueType(action.semantics)
                into.action_profile_action_set.SetInParent()
                for one in action.actions:
                    encoded = p4r.ActionProfileAction(action=self.choice.encode(one.call), weight=one.weight)
                    encode_watch(one.watch, encoded, self.ports)
                    into.action_profile_action_set.action_profile_actions.append(encoded)


def id_of(value: int, what: str) -> int:
    """Raises INVALID_ARGUMENT for 0, which is none."""
    if value == 0:
        raise invalid(f"{what} is missing")
    return value
