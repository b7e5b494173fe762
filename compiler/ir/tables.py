"""Tables, actions, selectors, learned tables, counters, meters. Ids are P4Runtime ids, written down, never counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from compiler.ir.entries import ActionCall, MatchValue
from compiler.ir.expressions import Expr
from compiler.ir.statements import Statement
from compiler.span import NOWHERE, Span


class MatchKind(Enum):
    """How a key matches (P4Runtime specification, section 9.1.1)."""

    EXACT = "exact"
    LPM = "lpm"
    TERNARY = "ternary"
    RANGE = "range"
    OPTIONAL = "optional"


WITH_PRIORITY = frozenset({MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL})
"""A table with a key of these has entries with priorities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Some entry of `table` has the same value in `field`, an exact key (`compiler.ir.references`)."""

    table: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One match field; `id` counts from 1 within its table."""

    name: str
    id: int
    expr: Expr
    match: MatchKind = MatchKind.EXACT
    format: str = ""
    """How people write it: "" (number), "ipv4", "ipv6", "mac"."""
    type: str = ""
    """Of `Pipeline.types`, where control planes have other values."""
    refers_to: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One action parameter; `id` counts from 1 within its action."""

    name: str
    id: int
    width_bits: int
    format: str = ""
    type: str = ""
    """As of a key."""
    refers_to: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Straight-line statements over parameters, metadata and headers."""

    name: str
    id: int
    params: tuple[Param, ...] = ()
    body: tuple[Statement, ...] = ()
    restriction: str = ""
    """Which arguments a control plane may give it, in the language of `compiler.ir.restrictions`."""
    doc: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRef:
    """An action that a table offers, and whether for entries, for the default, or for both."""

    name: str
    in_entries: bool = True
    as_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Members of a selector's groups one after the other, for packets that ask for it.

    Where `asked` (1 bit) is 1, the number of the cell `cell` (16 bits at most) says whose turn it is in the cycle of
    `compiler.ir.turns`, and becomes one more (32 bits, it wraps). Packets at the same time get different numbers; each
    cell begins with 0. A packet that misses takes none, and the turn of one that is dropped later is over.
    """

    asked: Expr
    cell: Expr

    @property
    def exprs(self) -> tuple[Expr, ...]:
        return self.asked, self.cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Fewest:
    """The less busy one of two members, for packets that ask for it: that for which fewer entries of a store count.

    Where `asked` (1 bit) is 1, a number of 32 bits is drawn. With n = the length of the group's cycle
    (`compiler.ir.turns`), the first slot of it is (number mod 2^16) mod n, the second one (number div 2^16) mod (n - 1)
    + 1 slots behind, around the end; the second's member is chosen if it has fewer. So members of equal weight are two
    different ones, and a weight says how often one is drawn.

    A packet that the selector has given a member, in whatever way, has its first `Learn` in `store` that is `counted`
    count for that member: until the entry leaves, and while its profile is none that is `is_over`. It counts by the
    member's id, so a member that changes keeps its number, and one that is deleted leaves its number to its entries.
    """

    asked: Expr
    store: str

    @staticmethod
    def slots(number: int, length: int) -> tuple[int, int]:
        """Which two slots of a cycle a number of 32 bits means."""
        first = (number & 0xFFFF) % length
        return first, (first + (number >> 16) % (length - 1) + 1) % length if length > 1 else first


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """An action selector (PSA 7.11): members, groups of weighted members, and a hash that picks one.

    How a target picks is its own affair; the interpreter and the eBPF target use the Maglev ring of
    `compiler.ir.maglev`, indexed by `mix64` over `inputs`.
    """

    name: str
    id: int
    size: int
    """Members of all groups together, weights counted."""
    max_group_size: int
    inputs: tuple[Expr, ...]
    turns: Turns | None = None
    """None: a hash picks for every packet. P4's selectors know nothing else (`compiler.printers.p4`)."""
    fewest: Fewest | None = None
    """Only beside `turns`, which are for packets that do not ask for this."""

    @property
    def exprs(self) -> tuple[Expr, ...]:
        """All that picking reads."""
        turns = self.turns.exprs if self.turns is not None else ()
        return (*self.inputs, *turns, *((self.fewest.asked,) if self.fewest is not None else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An expiry profile of learned entries. Entries of lower `rank` are given up first."""

    name: str
    id: int
    timeout_ms: int
    rank: int
    is_over: bool = False
    """What the entry stands for has ended: it counts for no member any more (`Fewest`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An entry in profile `current` that sees `event`, its pair's other half being in `other`, goes to profile `next`.

    Of several that apply, the first one in the order of the store counts.
    """

    current: str
    event: str
    next: str
    other: str = ""
    """"" applies whatever the other half is in, and without one."""
    other_next: str = ""
    """Where the other half, if there is one, goes at the same time; "": it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What learned tables keep their entries in: a set-associative array shared by tables of equal key types.

    A key's hash is `mix64` over the key fields. With n = size / ways sets, its first set is hash mod n, its second
    (hash >> 32) mod n (if both are one, that one). It is looked for in the first, then in the second, in each from way
    (hash >> 30) mod ways on, round to the one before: keys of one set begin at different ways. A quarter of the slots
    taken, seven of eight entries are at the very place that is looked at first.
    It is learned into the first free slot of its first set while that has two of them; else of the set that has more,
    the first if both have as many. So most entries are where a search looks first, and keys find both sets full only
    when a good third of all slots are taken. When both are full, the victim is the slot with the lowest (rank, last
    seen, position in that order), where expired entries count as rank -1; one whose rank is above that of the new
    entry's profile is never a victim, nor is one learned for the same packet: then the store is full for this key. It
    is full as well for a key that was learned for the same packet. A victim's pair leaves with it.
    An entry is seen when it is learned and at each hit; the packet that learns it is not counted. It has expired when
    now - last seen >= its profile's timeout; an expired entry still matches until it is swept, and a pair is swept when
    both halves have expired.
    The keys of the tables of one store are disjoint: an `Apply` of one finds entries of the others too and runs their
    action.
    """

    name: str
    size: int
    """Slots, a power of two."""
    ways: int
    profiles: tuple[Profile, ...]
    events: tuple[str, ...]
    transitions: tuple[Transition, ...]
    doc: str = ""


class MeterUnit(Enum):
    """What a meter's rates and bursts are numbers of; bytes are those of the frame as received."""

    PACKETS = "packets"
    BYTES = "bytes"


class MeterType(Enum):
    """How a meter tells colours (P4Runtime specification, section "Meter & DirectMeter"); always colour-blind."""

    TWO_RATE_THREE_COLOR = "two_rate_three_color"
    """RFC 2698."""
    SINGLE_RATE_THREE_COLOR = "single_rate_three_color"
    """RFC 2697."""
    SINGLE_RATE_TWO_COLOR = "single_rate_two_color"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """An indexed meter. `compiler.ir.metering` says what its cells compute."""

    name: str
    id: int
    size: int
    unit: MeterUnit
    type: MeterType = MeterType.TWO_RATE_THREE_COLOR
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectMeter:
    """The meter of a table: each entry has a cell of its own, which comes and goes with it."""

    id: int
    unit: MeterUnit
    type: MeterType = MeterType.TWO_RATE_THREE_COLOR


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialEntry:
    """An entry that a table has from the start; one that `is_const` is there for ever."""

    matches: tuple[MatchValue, ...]
    action: ActionCall
    priority: int = 0
    is_const: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A match-action table.

    Its default entry runs `default_action` with `default_arguments`, for ever if `has_const_default`; else a control
    plane may give it any action that the table offers as a default, and packets that miss are counted by the table's
    direct counter.
    """

    name: str
    id: int
    keys: tuple[Key, ...]
    actions: tuple[ActionRef, ...]
    default_action: str
    size: int
    counter_id: int | None = None
    """Id of its direct counter of packets and bytes, if it has one."""
    meter: DirectMeter | None = None
    idle_timeout: bool = False
    """Entries may have an idle timeout, after which the control plane is told of them; they stay."""
    selector: Selector | None = None
    store: str | None = None
    """The store of a learned table: written by the data plane, read and deleted through P4Runtime."""
    default_arguments: tuple[int, ...] = ()
    has_const_default: bool = True
    entries: tuple[InitialEntry, ...] = ()
    """What the table holds from the start. All are constant, and no other can be written, if `has_const_entries`."""
    has_const_entries: bool = False
    restriction: str = ""
    """Which entries it may hold, in the language of `compiler.ir.restrictions`."""
    doc: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def has_priority(self) -> bool:
        """Whether its entries have one."""
        return any(key.match in WITH_PRIORITY for key in self.keys)

    @property
    def default_call(self) -> ActionCall:
        """What the default entry does at first."""
        return ActionCall(action=self.default_action, arguments=self.default_arguments)

    @property
    def default_actions(self) -> tuple[str, ...]:
        """All that a packet which misses may run."""
        if self.has_const_default:
            return (self.default_action,)
        return tuple(ref.name for ref in self.actions if ref.as_default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """An indexed counter of packets and bytes."""

    name: str
    id: int
    size: int
    doc: str = ""
