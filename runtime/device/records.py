"""What a controller has written, as the device keeps it. Never changed once it is there: a read may hold on to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from compiler.ir.entries import ActionCall, CloneSession, GroupRef, MemberRef, MeterConfig, MulticastGroup, Watch

RowKey: TypeAlias = bytes
"""What names an entry within its table: matches and priority in the table's form (`runtime.device.keyforms`)."""


@dataclass(frozen=True, slots=True)
class WeightedAction:
    call: ActionCall
    weight: int
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class ActionSet:
    """A one-shot action set (specification, section "One Shot Action Selector Programming"), as it was written.

    `mode` and `semantics` are the numbers of P4Runtime's enums; they only say what is the case anyway.
    """

    actions: tuple[WeightedAction, ...]
    mode: int = 0
    semantics: int = 0


RowAction: TypeAlias = ActionCall | MemberRef | GroupRef | ActionSet


@dataclass(slots=True)
class Row:
    """One table entry, with what only controllers understand. There may be millions: a `replace`d copy, never a change.

    Not declared frozen, since that makes making one three times as slow.
    """

    key: RowKey
    action: RowAction
    metadata: bytes = b""
    controller_metadata: int = 0
    hidden_group: int = 0
    """The group that stands for an action set in the target, 0 for any other action."""
    meter: MeterConfig | None = None
    """Of the entry's direct meter, None for one that says green."""
    idle_timeout_ns: int = 0
    """As it was written; 0: the entry may be idle for ever."""


@dataclass(frozen=True, slots=True)
class DigestConfig:
    """How digests are told (specification, "DigestEntry"); 0 of the size is no limit."""

    max_timeout_ns: int = 0
    max_list_size: int = 0
    ack_timeout_ns: int = 0


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A multicast group, with what only controllers understand.

    `old_style` are the places of replicas whose port was written as the deprecated `egress_port`.
    """

    entry: MulticastGroup
    metadata: bytes = b""
    old_style: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A clone session; `old_style` as in `GroupRow`."""

    entry: CloneSession
    old_style: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Tally:
    """The value of a counter."""

    packets: int = 0
    bytes: int = 0


ZERO = Tally()
ColorTallies: TypeAlias = tuple[Tally, Tally, Tally]
"""What a meter has told: green, yellow and red."""
