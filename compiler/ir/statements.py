"""Statements of controls and actions.

Actions hold straight-line statements and `If`; only controls change the packet, apply tables, run other controls and
give verdicts: an action runs in the midst of a look-up, and could not say that the packet cannot be changed. A verdict
ends the packet's way through the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.ir.expressions import Expr, FieldRef, MetaRef
from compiler.span import NOWHERE, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Set metadata, or a field that no checksum covers."""

    target: MetaRef | FieldRef
    value: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field of a `Rewrite` and its new value."""

    target: FieldRef
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Set fields and keep every checksum that covers them as right, or as wrong, as it was (RFC 1624).

    All values are computed before any field is set. Covered are: the IPv4 header's by its own checksum; addresses also
    by the TCP, UDP or ICMPv6 checksum of the packet, through the pseudo header; fields of TCP, UDP, ICMP and ICMPv6 by
    their own. A UDP checksum of 0 (none) stays 0 (RFC 768); one that becomes 0 is sent as 0xffff. The exact sum is in
    `compiler.ir.interpreter.checksums`; no other updated checksum is ever 0xffff. SCTP's CRC32c follows its ports, over
    as many bytes as the IP header says (`compiler.ir.interpreter.crc32c`); one of 0 stays 0.
    """

    changes: tuple[Change, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class If:
    """One branch or the other; the condition has width 1."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Look the table's key up, run the entry's action or the default one, then go on in `on_hit` or `on_miss`.

    `rarely`, one bit, is a hint that changes nothing: where it is 1 a hit is not to be expected, so code made for hits
    need not be tried.
    """

    table: str
    on_hit: tuple[Statement, ...] = ()
    on_miss: tuple[Statement, ...] = ()
    rarely: Expr | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Run a control, at most once on any path."""

    control: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedHeader:
    """A header to add, and the values of its fields; a checksum field left out is computed, any other left out is 0."""

    header: str
    values: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Add headers, each at its place in the pipeline's header order; together they are contiguous in the packet.

    Computed checksums: IPv4 over its header; ICMP and ICMPv6 over everything from themselves to the packet's end.
    """

    headers: tuple[PushedHeader, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop:
    """Take valid headers out of the packet; they are contiguous and at its front."""

    headers: tuple[str, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushVlan:
    """Put an 802.1Q tag (TPID 0x8100) with this VLAN id behind the Ethernet header, whose type moves into the tag."""

    vlan_id: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopVlan:
    """Take the 802.1Q tag out; the Ethernet header gets the tag's type back. `vlan` must be valid."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """Cut the packet so that `keep_bytes` remain from the first byte of `header` on.

    Headers that end behind the cut are no longer valid, what is left of them is payload. A shorter packet stays as it
    is.
    """

    header: str
    keep_bytes: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """Add to a learned table the key that this packet's `Apply` of that table has missed, or its `Seek` has found.

    `profile` is the id of the expiry profile to start with. Two entries learned in one store for one packet are a pair:
    they leave together. When no slot can be had (see `compiler.ir.tables.Store`), nothing is added, what this packet
    learned before in that store is taken out again, and `on_full` runs: half a connection would translate one direction
    only.

    With `renews` the key is the one that the packet has now, whether the table was asked or not, and an entry that has
    it gets these arguments and this profile, is seen now, and goes on counting. Such an entry is nobody's other half,
    whatever the packet learns besides in that store, which it does before, and may push that out.

    One that is `counted` counts for the member that the packet was given (`compiler.ir.tables.Fewest`).
    """

    table: str
    action: str
    arguments: tuple[Expr, ...]
    profile: Expr
    on_full: tuple[Statement, ...] = ()
    renews: bool = False
    counted: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seek:
    """Look for a value of metadata with which a learned table has no entry; `on_none` runs where none is found,
    and `on_other` where another one than the present value is.

    `target` is a part of the table's key, at most 16 bits wide; the others are as they are. Tried are its present
    value, whatever that is, then `tries` others, each of them `first` or more. These come from one 32-bit number that
    is drawn: its low 16 bits, and then each time its high 16 bits (made odd) more, so no two are equal; then one below
    `first` becomes 2^width - `first` more, and may be one of the others. The last one that was tried stays. Nothing
    else changes: no action runs, no entry is seen or counts the packet. The key that has been found is one that the
    packet has missed, so a Learn may take it.

    Neither v1model nor PNA has anything like it: a table can be applied once.
    """

    table: str
    target: MetaRef
    first: int
    tries: int
    on_other: tuple[Statement, ...] = ()
    on_none: tuple[Statement, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Tell the entry whose action this is that an event happened: it changes profile as its store's transitions say.

    PNA prints `set_entry_expire_time`; v1model has nothing like it, there the control plane ages entries.
    """

    event: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Count the packet (and its bytes, as received) in an indexed counter; an index beyond its size counts nothing."""

    counter: str
    index: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """Have an indexed meter tell the packet's colour, into metadata of 2 bits: 0 green, 1 yellow, 2 red.

    A cell without a configuration says green, as does an index beyond the meter's size.
    """

    meter: str
    index: Expr
    target: MetaRef
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteDirect:
    """The same by the meter of the entry whose action this is."""

    target: MetaRef
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigest:
    """Tell the controller something, at once; the packet goes on. Fields left out are 0.

    A digest may be lost, where more of them are sent than the controller takes.
    """

    digest: str
    values: tuple[tuple[str, Expr], ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Send the packet out of a port."""

    port: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Send the packet back out of the port that it came in by."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToKernel:
    """Leave the packet to whoever comes next; nothing of it has been changed on any path that reaches this."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Drop the packet and count it under the reason, in the pipeline's counter of drops."""

    reason: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Punt:
    """Give the packet, as it is now, to the controller as a packet-in.

    `values` are fields of the pipeline's `packet_in`; those left out are 0. Where the controller has no room, which the
    interpreter never sees, the packet is dropped for the reason `full`.
    """

    values: tuple[tuple[str, Expr], ...]
    full: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Multicast:
    """Send a copy of the packet, as it is now, to each replica of a multicast group; the packet itself is gone.

    `group` has 16 bits. For a group that no controller has written, as for 0, and for one without replicas the packet
    is dropped for the reason `unknown`. With `not_back` no copy leaves by the port that the packet came in by. A
    replica of the controller's port is a packet-in that says `values`, as `Punt` does; it is lost where nobody has
    room.
    """

    group: Expr
    unknown: str
    values: tuple[tuple[str, Expr], ...] = ()
    not_back: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """Send a copy of the packet, as it came in, to each replica of a clone session; the packet itself goes on.

    Nothing of the packet has been changed on any path that reaches this. `session` has 16 bits; one that no controller
    has written has no replicas. `values` as in `Multicast`.
    """

    session: Expr
    values: tuple[tuple[str, Expr], ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Verdict = Forward | Reply | ToKernel | Drop | Punt | Multicast
Statement = (
    Assign
    | Rewrite
    | If
    | Apply
    | Run
    | Push
    | Pop
    | PushVlan
    | PopVlan
    | Truncate
    | Learn
    | Seek
    | Advance
    | Count
    | SendDigest
    | Execute
    | ExecuteDirect
    | Forward
    | Reply
    | ToKernel
    | Drop
    | Punt
    | Multicast
    | Clone
)
