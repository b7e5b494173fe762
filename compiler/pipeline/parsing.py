"""The parser: from the first byte of a frame to the transport header of the workload's packet.

VXLAN is looked for only on uplinks (ports up to `MAX_UPLINK_PORT`), so a workload's own VXLAN traffic is plain UDP. Of
IPv4, later fragments end at the IP header, with its options; of IPv6, those with other extension headers than a
fragment's do. The first fragment of TCP and UDP has its transport header looked at. What an ICMP error quotes is looked
at as far as it has to be there: an IP header without options and 8 bytes (RFC 792, RFC 4443).
"""

from __future__ import annotations

from compiler.ir.expressions import Expr
from compiler.ir.headers import ACCEPT, Case, Match, State
from compiler.pipeline import headers as h
from compiler.pipeline import options
from compiler.pipeline.metadata import MAX_UPLINK_PORT
from compiler.pipeline.notation import field, here, meta, peek


def _state(
    name: str,
    *,
    extract: str = "",
    select: tuple[Expr, ...] = (),
    cases: tuple[Case, ...] = (),
    default: str = ACCEPT,
    doc: str = "",
) -> State:
    return State(name=name, extract=extract or None, select=select, cases=cases, default=default, doc=doc, span=here())


def _case(next_state: str, *values: int | tuple[int, int]) -> Case:
    """A case; a value is a number, or a number and a mask."""
    matches = (Match(value=v) if isinstance(v, int) else Match(value=v[0], mask=v[1]) for v in values)
    return Case(matches=tuple(matches), next=next_state)


def _below(limit: int) -> tuple[tuple[int, int], ...]:
    """Values and masks of 16 bits that together take every number below `limit`."""
    found: list[tuple[int, int]] = []
    start = 0
    while start < limit:
        size = 1 << (limit - start).bit_length() - 1
        found.append((start, 0xFFFF & ~(size - 1)))
        start += size
    return tuple(found)


_QUOTED_BYTES = {4: 8 + h.IPV4_BYTES + h.QUOTED_PAYLOAD, 6: 8 + h.IPV6_BYTES + h.QUOTED_PAYLOAD}
"""By IP version: of an ICMP error, its own header and what it quotes at least."""

_NETWORK_CASES = (
    _case("arp", h.ETHERTYPE_ARP),
    _case("ipv4", h.ETHERTYPE_IPV4),
    _case("ipv6", h.ETHERTYPE_IPV6),
)

# Offsets of an untagged Ethernet frame with an IPv4 header of 20 bytes, in bits.
_VXLAN_SIGNS = (
    peek(12 * 8, 16),  # EtherType
    peek(14 * 8, 8),  # version and header length
    peek(20 * 8 + 2, 14),  # more fragments, fragment offset
    peek(23 * 8, 8),  # protocol
    peek(36 * 8, 16),  # UDP destination port
)


def _part_of_options(words: int, left: tuple[int, ...]) -> str | None:
    """The next part of the options of an IPv4 header of so many words, of the sizes that are left."""
    return next((h.options_header(size) for size in left if 4 * (words - 5) & size), None)


def _options_state(size: int, left: tuple[int, ...]) -> State:
    following = {words: _part_of_options(words, left) for words in _WITH_OPTIONS if 4 * (words - 5) & size}
    cases = tuple(_case(part, words) for words, part in following.items() if part is not None)
    select = (field("ipv4.header_length"),) if cases else ()
    return _state(
        h.options_header(size), extract=h.options_header(size), select=select, cases=cases, default=options.STATE
    )


_WITH_OPTIONS = range(6, 16)
"""Words of an IPv4 header."""

PARSER = (
    _state(
        "start",
        select=(meta("ingress_port"),),
        cases=(_case("uplink", (0, 0xFFFF & ~MAX_UPLINK_PORT)),),
        default="ethernet",
    ),
    _state(
        "uplink",
        select=_VXLAN_SIGNS,
        cases=(_case("outer_ethernet", h.ETHERTYPE_IPV4, 0x45, 0, h.PROTOCOL_UDP, h.VXLAN_PORT),),
        default="ethernet",
        doc="Is it VXLAN over IPv4?",
    ),
    _state("outer_ethernet", extract="outer_ethernet", default="outer_ipv4"),
    _state("outer_ipv4", extract="outer_ipv4", default="outer_udp"),
    _state("outer_udp", extract="outer_udp", default="vxlan"),
    _state("vxlan", extract="vxlan", default="ethernet"),
    _state(
        "ethernet",
        extract="ethernet",
        select=(field("ethernet.type"),),
        cases=(_case("vlan", h.ETHERTYPE_VLAN), *_NETWORK_CASES),
    ),
    _state("vlan", extract="vlan", select=(field("vlan.type"),), cases=_NETWORK_CASES),
    _state("arp", extract="arp"),
    _state(
        "ipv4",
        extract="ipv4",
        select=(
            field("ipv4.version"),
            field("ipv4.header_length"),
            field("ipv4.flags"),
            field("ipv4.fragment_offset"),
            field("ipv4.protocol"),
        ),
        cases=(
            _case("tcp", 4, 5, (0, 0), 0, h.PROTOCOL_TCP),
            _case("udp", 4, 5, (0, 0), 0, h.PROTOCOL_UDP),
            _case("sctp", 4, 5, (0, 1), 0, h.PROTOCOL_SCTP),
            _case("icmp", 4, 5, (0, 1), 0, h.PROTOCOL_ICMP),
            *(
                _case(part, 4, words, *[(0, 0)] * 3)
                for words in _WITH_OPTIONS
                if (part := _part_of_options(words, h.OPTIONS_BYTES)) is not None
            ),
        ),
    ),
    *(_options_state(size, h.OPTIONS_BYTES[at:]) for at, size in enumerate(h.OPTIONS_BYTES, 1)),
    _state(
        options.STATE,
        select=(field("ipv4.fragment_offset"), field("ipv4.protocol")),
        cases=(_case("tcp", 0, h.PROTOCOL_TCP), _case("udp", 0, h.PROTOCOL_UDP)),
        doc="The ports are there all the same.",
    ),
    _state(
        "ipv6",
        extract="ipv6",
        select=(field("ipv6.version"), field("ipv6.next_header")),
        cases=(
            _case("tcp", 6, h.PROTOCOL_TCP),
            _case("udp", 6, h.PROTOCOL_UDP),
            _case("sctp", 6, h.PROTOCOL_SCTP),
            _case("icmpv6", 6, h.PROTOCOL_ICMPV6),
            _case("fragment", 6, h.PROTOCOL_FRAGMENT),
        ),
    ),
    _state(
        "fragment",
        extract="fragment",
        select=(field("fragment.next_header"), field("fragment.offset")),
        cases=(_case("tcp", h.PROTOCOL_TCP, 0), _case("udp", h.PROTOCOL_UDP, 0)),
        doc="Of the fragments of a packet the first has the transport header.",
    ),
    _state("tcp", extract="tcp"),
    _state("udp", extract="udp"),
    _state("sctp", extract="sctp"),
    _state(
        "icmp",
        extract="icmp",
        select=(field("icmp.type"), field("ipv4.total_length")),
        cases=(
            *(_case(ACCEPT, (0, 0), short) for short in _below(h.IPV4_BYTES + _QUOTED_BYTES[4])),
            *(_case("quoted_ipv4", error, (0, 0)) for error in h.ICMP_ERRORS),
        ),
    ),
    _state(
        "icmpv6",
        extract="icmpv6",
        select=(field("icmpv6.type"), field("ipv6.payload_length")),
        cases=(
            _case("neighbor", 135, 32),
            *(_case(ACCEPT, (0, 0), short) for short in _below(_QUOTED_BYTES[6])),
            *(_case("quoted_ipv6", error, (0, 0)) for error in h.ICMPV6_ERRORS),
        ),
        doc="A solicitation of 32 bytes carries one link-layer address option.",
    ),
    _state("neighbor", extract="neighbor"),
    _state(
        "quoted_ipv4",
        extract="quoted_ipv4",
        select=(
            field("quoted_ipv4.version"),
            field("quoted_ipv4.header_length"),
            field("quoted_ipv4.fragment_offset"),
            field("quoted_ipv4.protocol"),
        ),
        cases=(
            _case("quoted_ports", 4, 5, 0, h.PROTOCOL_TCP),
            _case("quoted_udp", 4, 5, 0, h.PROTOCOL_UDP),
            _case("quoted_ports", 4, 5, 0, h.PROTOCOL_SCTP),
        ),
        doc="By an ICMP error that is long enough to name a connection.",
    ),
    _state(
        "quoted_ipv6",
        extract="quoted_ipv6",
        select=(field("quoted_ipv6.version"), field("quoted_ipv6.next_header")),
        cases=(
            _case("quoted_ports", 6, h.PROTOCOL_TCP),
            _case("quoted_udp", 6, h.PROTOCOL_UDP),
            _case("quoted_ports", 6, h.PROTOCOL_SCTP),
        ),
        doc="As quoted_ipv4.",
    ),
    _state("quoted_ports", extract="quoted_ports"),
    _state("quoted_udp", extract="quoted_udp"),
)
