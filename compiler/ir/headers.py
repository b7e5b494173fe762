"""Headers, the checksums and pseudo headers they take part in, and the parser that finds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from compiler.ir.expressions import Expr
from compiler.span import NOWHERE, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field in wire order, big-endian."""

    name: str
    width_bits: int


class Coverage(Enum):
    """What a checksum is computed over: an Internet checksum (RFC 1071), or a CRC32c (RFC 9260, appendix A)."""

    HEADER = "header"
    """The header alone (IPv4)."""
    PAYLOAD = "payload"
    """The header and everything behind it (ICMP)."""
    PSEUDO = "pseudo"
    """The same, and the pseudo header of the IP header in front (TCP, UDP, ICMPv6)."""
    CRC32C = "crc32c"
    """The header and everything behind it up to the end of the IP packet, and no pseudo header (SCTP). Not a sum: it
    can follow changes in the header's first 4 bytes, and be pushed only with a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """The checksum field of a header type."""

    field: str
    coverage: Coverage
    zero_is_none: bool = False
    """UDP: a field of 0 says that there is no checksum. SCTP: that somebody else still writes it (a network card)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderType:
    """A layout that several headers may share; its width is a multiple of 8 bits."""

    name: str
    fields: tuple[Field, ...]
    checksum: Checksum | None = None
    pseudo_fields: tuple[str, ...] = ()
    """Fields that the pseudo header of the next header's checksum holds: the addresses of an IP header."""
    doc: str = ""

    @property
    def width_bits(self) -> int:
        return sum(f.width_bits for f in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header that a packet may hold; the order of `Pipeline.headers` is their order in a packet.

    `covered_by` names the headers whose checksum covers fields of this one besides its own (a neighbour solicitation is
    covered by ICMPv6's), `pseudo_of` those whose pseudo header holds this one's `pseudo_fields`.
    """

    name: str
    type: str
    covered_by: tuple[str, ...] = ()
    pseudo_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One value of a select case. `mask` None compares all bits; a mask of 0 takes any value."""

    value: int
    mask: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Values for the select's expressions, one each, and the state to go to when all match."""

    matches: tuple[Match, ...]
    next: str


ACCEPT = "accept"
"""Where a parser ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Extract a header, then go where the first matching case says, else to `default`.

    A packet too short for the header or for a `Peek` is left untouched as a whole, never half parsed.
    """

    name: str
    extract: str | None = None
    select: tuple[Expr, ...] = ()
    cases: tuple[Case, ...] = ()
    default: str = ACCEPT
    doc: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)
