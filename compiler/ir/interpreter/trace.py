"""What happened to a packet, step by step: small records, each of which prints as one line.

Values are kept as text in the form that people write (`compiler.ir.formats`), so that a trace can be stored and shown
without its pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.span import NOWHERE, Span

NamedTexts = tuple[tuple[str, str], ...]
"""Names and values, as in (("network", "1"), ("address", "10.96.0.10"))."""


def _listed(values: NamedTexts) -> str:
    return ", ".join(f"{name}={value}" for name, value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The parser was in a state and took its header, if it takes one."""

    state: str
    header: str | None

    def __str__(self) -> str:
        return f"parse {self.state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedEarly:
    """The packet ended before what a parser state wants."""

    state: str

    def __str__(self) -> str:
        return f"parse {self.state}: the packet is too short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A control began."""

    control: str

    def __str__(self) -> str:
        return f"control {self.control}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A table had an entry. `span` is where the policy says it, and `owner` which object; `found_in` the learned table
    that the entry is of."""

    table: str
    key: NamedTexts
    action: str
    arguments: NamedTexts
    found_in: str
    group_id: int | None = None
    member_id: int | None = None
    owner: str = field(default="", compare=False)
    span: Span = field(default=NOWHERE, compare=False)

    def __str__(self) -> str:
        where = f" in {self.found_in}" if self.found_in != self.table else ""
        member = f" member {self.member_id}" if self.member_id is not None else ""
        group = f" of group {self.group_id}" if self.group_id is not None else ""
        source = f"  [{self.span}]" if self.span != NOWHERE else ""
        call = f"{self.action}({_listed(self.arguments)})"
        return f"table {self.table} ({_listed(self.key)}): hit{where}{member}{group}, {call}{source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A table had no entry and ran its default action."""

    table: str
    key: NamedTexts
    action: str

    def __str__(self) -> str:
        return f"table {self.table} ({_listed(self.key)}): miss, {self.action}()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A header field got another value. Checksums that follow are not listed."""

    field: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"set {self.field}: {self.old} -> {self.new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshaped:
    """Headers came or went, or the packet was cut; `what` says it."""

    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """An entry was added to a learned table."""

    table: str
    key: NamedTexts
    action: str
    arguments: NamedTexts
    profile: str
    slot: int
    is_renewed: bool = False
    """It was there, and has other arguments now."""

    def __str__(self) -> str:
        call, word = f"{self.action}({_listed(self.arguments)})", "renew" if self.is_renewed else "learn"
        return f"{word} {self.table} ({_listed(self.key)}): {call} as {self.profile} in slot {self.slot}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evicted:
    """A learned entry left: as the victim of a new one, with its pair, or because its pair could not be learned."""

    table: str
    key: NamedTexts
    why: str
    slot: int

    def __str__(self) -> str:
        return f"evict {self.table} ({_listed(self.key)}) from slot {self.slot}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """No slot could be had for a learned entry."""

    table: str
    key: NamedTexts

    def __str__(self) -> str:
        return f"learn {self.table} ({_listed(self.key)}): full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A value with which a learned table has no entry was looked for; `key` is the last one tried."""

    table: str
    key: NamedTexts
    is_free: bool
    tried: int

    def __str__(self) -> str:
        return f"seek {self.table} ({_listed(self.key)}): {'free' if self.is_free else 'taken'}, {self.tried} tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """A learned entry saw an event and changed its expiry profile."""

    table: str
    event: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.table} entry: {self.event}, {self.old} -> {self.new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """An indexed counter counted the packet."""

    counter: str
    index: int

    def __str__(self) -> str:
        return f"count {self.counter}[{self.index}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """A meter told the packet's colour. `meter` is an indexed one's with its index, or the table of a direct one."""

    meter: str
    color: str

    def __str__(self) -> str:
        return f"meter {self.meter}: {self.color}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDigest:
    """The controller was told something."""

    digest: str
    values: NamedTexts

    def __str__(self) -> str:
        return f"digest {self.digest} ({_listed(self.values)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloned:
    """Copies of the packet as it came left by these ports."""

    session: int
    ports: tuple[int, ...]

    def __str__(self) -> str:
        ports = ", ".join(map(str, self.ports)) or "none"
        return f"clone by session {self.session}: ports {ports}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The verdict, as in `forward to port 17` or `drop: no_route`."""

    verdict: str

    def __str__(self) -> str:
        return self.verdict


TraceStep = (
    Parsed
    | SentDigest
    | EndedEarly
    | Ran
    | Hit
    | Missed
    | Set
    | Reshaped
    | Learned
    | Evicted
    | Full
    | Sought
    | Advanced
    | Counted
    | Metered
    | Cloned
    | Ended
)


def trace_to_text(trace: tuple[TraceStep, ...]) -> str:
    """A line a step, each with a newline."""
    return "".join(f"{step}\n" for step in trace)
