"""A vector: what a device holds, and then time, packets and writes in an order, with the outcomes that are accepted.

Plain data without bytes of maps or a pipeline; `vector_text` keeps it in a file. Levels run it, `comparison` compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from compiler.ir.entries import Entries, Group, Member, TableEntry
from compiler.ir.interpreter import Outcome, VerdictKind

START_MS = (1 << 32) - 60_000
"""When a vector begins unless it says otherwise: a minute before the 32 bits wrap that slots keep of a time."""
Change = TableEntry | Member | Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An outcome that is right; None leaves bytes or port to the level."""

    verdict: VerdictKind
    packet: bytes | None = None
    egress_port: int | None = None
    drop_reason: str | None = None

    def accepts(self, outcome: Outcome) -> bool:
        return (
            outcome.verdict is self.verdict
            and outcome.drop_reason == self.drop_reason
            and self.packet in (None, outcome.packet)
            and self.egress_port in (None, outcome.egress_port)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIn:
    """A frame that comes in by a port, with its 802.1Q tag in it. `about` says what it is.

    `gso_size`: bytes of payload in each segment of a frame that is still to be cut into segments, else 0.
    `is_settled` False: it comes before a control plane could insert what earlier packets made a v1model device learn.
    `accepted`: empty for exactly what the interpreter does.
    """

    port: int
    frame: bytes
    gso_size: int = 0
    is_settled: bool = True
    accepted: tuple[Accepted, ...] = ()
    about: str = field(default="", compare=False)

    def __str__(self) -> str:
        segments = f", segments of {self.gso_size}" if self.gso_size else ""
        return f"port {self.port}{segments}: {self.frame.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    ms: int

    def __str__(self) -> str:
        return f"+{self.ms} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Every learned entry that has expired leaves."""

    def __str__(self) -> str:
        return "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """Another program over what the device holds, where a level can have that; no packet may tell.

    With `is_fitting` the one without code for what the entries leave unused, else the whole one, loaded anew.
    """

    is_fitting: bool

    def __str__(self) -> str:
        return "the program that fits" if self.is_fitting else "the whole program anew"


class WriteKind(Enum):
    INSERT = "insert"
    MODIFY = "modify"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change between two packets; for DELETE only what names the thing counts."""

    kind: WriteKind
    change: Change

    def __str__(self) -> str:
        return f"{self.kind.value} {self.change}"


Step = PacketIn | Wait | Sweep | Reload | Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """`about` says what it shows, or what it once found. `slots` of each store; 0: any number will do."""

    name: str
    about: str = ""
    slots: int = 0
    entries: Entries = field(default_factory=Entries)
    start_ms: int = START_MS
    steps: tuple[Step, ...] = ()


def in_order(entries: Entries) -> Iterator[Change]:
    """What fills a device, in an order in which each part can be added."""
    yield from entries.members
    yield from entries.groups
    yield from entries.table_entries


def to_entries(changes: Iterable[Change]) -> Entries:
    """The other way round."""
    members: list[Member] = []
    groups: list[Group] = []
    table_entries: list[TableEntry] = []
    for change in changes:
        match change:
            case Member():
                members.append(change)
            case Group():
                groups.append(change)
            case TableEntry():
                table_entries.append(change)
    return Entries(members=tuple(members), groups=tuple(groups), table_entries=tuple(table_entries))
