"""What a control plane puts into tables: entries, members and groups, in the names and numbers of a pipeline.

Shared by the compiler of policies, the interpreter, the client and the device. Numbers are unsigned; addresses and MAC
addresses are numbers too. Leaves P4Runtime messages to `runtime` and bytes of maps to `compiler.printers.layout`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.span import NOWHERE, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lpm:
    """The bits of `value` behind the prefix are 0; a prefix of length 0 is written as this too."""

    value: int
    prefix_len: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ternary:
    """The bits of `value` outside the mask are 0."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Both ends included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Optional:
    """None matches anything."""

    value: int | None


MatchValue = Exact | Lpm | Ternary | Range | Optional


def numbers_of(match: MatchValue) -> tuple[int, ...]:
    """Value; value and prefix length; value and mask; both ends; value and 1 (0 and 0 for "any")."""
    match match:
        case Exact():
            return (match.value,)
        case Lpm():
            return match.value, match.prefix_len
        case Ternary():
            return match.value, match.mask
        case Range():
            return match.low, match.high
        case Optional():
            return (0, 0) if match.value is None else (match.value, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCall:
    """An action with one argument for each parameter, in the order of `Action.params`."""

    action: str
    arguments: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterConfig:
    """Rates in units a second and bursts in units, named as in P4Runtime. Which of them count says the meter's type."""

    cir: int
    cburst: int
    pir: int
    pburst: int
    eburst: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRef:
    """The entry's action is that of a selector's member."""

    member_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRef:
    """The entry's action is that of a member which the selector picks from a group."""

    group_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """One entry; `matches` has a value for each key of the table, in the order of `Table.keys`.

    Entries are equal when all but span and owner is. `owner` names the policy object that wants the entry, as in
    "DpuService shop/web:http"; a device keeps it as P4Runtime's `metadata`. `priority` is positive for tables with
    ternary, range or optional keys (the largest wins) and 0 for all others. Without any matches it is the table's
    default entry, which is always there.
    """

    table: str
    matches: tuple[MatchValue, ...]
    action: ActionCall | MemberRef | GroupRef
    priority: int = 0
    meter: MeterConfig | None = None
    """Of its direct meter; None for one that gives green."""
    owner: str = field(default="", compare=False)
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> EntryKey:
        return EntryKey(table=self.table, matches=self.matches, priority=self.priority)

    @property
    def is_default(self) -> bool:
        return not self.matches


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryKey:
    """What names an entry within a device; no matches name the default entry."""

    table: str
    matches: tuple[MatchValue, ...]
    priority: int = 0

    @property
    def is_default(self) -> bool:
        return not self.matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a selector; ids are unique within the selector and above 0."""

    selector: str
    id: int
    action: ActionCall
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The port that a member's life depends on: while it is down, no packet is given to the member. 0 is no port.

    `is_number`: it was written as P4Runtime's deprecated `watch`, and is told so.
    """

    port: int
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedMember:
    member_id: int
    weight: int = 1
    watch: Watch | None = None

    @property
    def watched_port(self) -> int:
        """0 for a member that lives whatever ports do."""
        return self.watch.port if self.watch is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of a selector's members; `max_size` 0 leaves the selector's own limit."""

    selector: str
    id: int
    members: tuple[WeightedMember, ...]
    max_size: int = 0
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def watched_ports(self) -> frozenset[int]:
        """The ports that a member's life depends on."""
        return frozenset(member.watched_port for member in self.members) - {0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A copy that takes the place of a replica's."""

    port: int
    instance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A copy of a packet: the port that it leaves by, and which of the copies to that port it is.

    The first of `backups` whose port is up takes its place while its port is down (`compiler.ir.backups`).
    """

    port: int
    instance: int = 0
    backups: tuple[Backup, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MulticastGroup:
    """Ids have 16 bits and are above 0; no two replicas are equal."""

    id: int
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneSession:
    """As a group, and how many bytes of the frame a copy keeps; 0 for all of it."""

    id: int
    replicas: tuple[Replica, ...] = ()
    packet_length_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """All that a control plane wants in one device, each part sorted by its key."""

    members: tuple[Member, ...] = ()
    groups: tuple[Group, ...] = ()
    table_entries: tuple[TableEntry, ...] = ()
