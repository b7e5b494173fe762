"""The headers that the pipeline knows, in the order in which a packet holds them, and the parser.

Headers named `outer_*` and `vxlan` are the underlay's; those without are the packet of a workload, also when it came
through a tunnel. `error_*` are pushed in front of what an ICMP error of this device quotes; `quoted_*` are what one of
somebody else quotes.
"""

from __future__ import annotations

from compiler.ir.headers import Checksum, Coverage, Field, Header, HeaderType

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_IPV6 = 0x86DD
PROTOCOL_ICMP = 1
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17
PROTOCOL_FRAGMENT = 44
PROTOCOL_ICMPV6 = 58
PROTOCOL_SCTP = 132
ICMP_ERRORS = (3, 11, 12)
"""Types: destination unreachable, time exceeded, parameter problem (RFC 792). Not a redirect, nor the source quench,
which RFC 6633 ends."""
ICMPV6_ERRORS = (1, 2, 3, 4)
"""Types: destination unreachable, packet too big, time exceeded, parameter problem (RFC 4443)."""
IPV4_BYTES, IPV6_BYTES = 20, 40
OPTIONS_BYTES = (32, 16, 8, 4)
"""Parts that IPv4 options are taken in: their sums are all lengths that they can have."""
QUOTED_PAYLOAD = 8
"""Bytes of the transport header that an ICMP error quotes (RFC 792), enough for the sender to find its socket."""
VXLAN_PORT = 4789
SCTP_INIT, SCTP_ABORT, SCTP_SHUTDOWN, SCTP_SHUTDOWN_ACK, SCTP_SHUTDOWN_COMPLETE = 1, 6, 7, 8, 14
"""Types of chunks (RFC 9260, section 3.2)."""
TCP_FIN, TCP_SYN, TCP_RST, TCP_ACK = 0x01, 0x02, 0x04, 0x10


def _fields(text: str) -> tuple[Field, ...]:
    """Fields from `name:width` words."""
    pairs = (word.split(":") for word in text.split())
    return tuple(Field(name=name, width_bits=int(width)) for name, width in pairs)


def options_header(size: int) -> str:
    """The header, and its type, of a part of IPv4 options of so many bytes."""
    return f"options_{size}"


HEADER_TYPES = (
    HeaderType(name="ethernet", fields=_fields("dst:48 src:48 type:16"), doc="IEEE 802.3"),
    HeaderType(name="vlan", fields=_fields("priority:3 drop_eligible:1 id:12 type:16"), doc="IEEE 802.1Q tag"),
    HeaderType(
        name="arp",
        fields=_fields(
            "hardware_type:16 protocol_type:16 hardware_length:8 protocol_length:8 operation:16"
            " sender_mac:48 sender_address:32 target_mac:48 target_address:32"
        ),
        doc="RFC 826, for Ethernet and IPv4",
    ),
    HeaderType(
        name="ipv4",
        fields=_fields(
            "version:4 header_length:4 traffic_class:8 total_length:16 identification:16 flags:3 fragment_offset:13"
            " ttl:8 protocol:8 checksum:16 src:32 dst:32"
        ),
        checksum=Checksum(field="checksum", coverage=Coverage.HEADER),
        pseudo_fields=("src", "dst"),
        doc="RFC 791, without options",
    ),
    *(
        HeaderType(name=options_header(size), fields=_fields(f"data:{8 * size}"), doc="RFC 791: a part of options")
        for size in OPTIONS_BYTES
    ),
    HeaderType(
        name="ipv6",
        fields=_fields(
            "version:4 traffic_class:8 flow_label:20 payload_length:16 next_header:8 hop_limit:8 src:128 dst:128"
        ),
        pseudo_fields=("src", "dst"),
        doc="RFC 8200, without extension headers",
    ),
    HeaderType(
        name="fragment",
        fields=_fields("next_header:8 reserved:8 offset:13 reserved2:2 flags:1 identification:32"),
        doc="RFC 8200, section 4.5: the extension header of a fragment; `flags` is the one that more fragments follow",
    ),
    HeaderType(
        name="tcp",
        fields=_fields(
            "src_port:16 dst_port:16 sequence:32 acknowledgement:32 data_offset:4 reserved:4 flags:8"
            " window:16 checksum:16 urgent:16"
        ),
        checksum=Checksum(field="checksum", coverage=Coverage.PSEUDO),
        doc="RFC 9293, without options",
    ),
    HeaderType(
        name="udp",
        fields=_fields("src_port:16 dst_port:16 length:16 checksum:16"),
        checksum=Checksum(field="checksum", coverage=Coverage.PSEUDO, zero_is_none=True),
        doc="RFC 768",
    ),
    HeaderType(
        name="sctp",
        fields=_fields("src_port:16 dst_port:16 tag:32 checksum:32 chunk_type:8 chunk_flags:8 chunk_length:16"),
        checksum=Checksum(field="checksum", coverage=Coverage.CRC32C, zero_is_none=True),
        doc="RFC 9260: the common header and that of the first chunk",
    ),
    HeaderType(
        name="icmp",
        fields=_fields("type:8 code:8 checksum:16 rest:32"),
        checksum=Checksum(field="checksum", coverage=Coverage.PAYLOAD),
        doc="RFC 792; `rest` is the MTU in its low half for type 3 code 4 (RFC 1191)",
    ),
    HeaderType(
        name="icmpv6",
        fields=_fields("type:8 code:8 checksum:16 rest:32"),
        checksum=Checksum(field="checksum", coverage=Coverage.PSEUDO),
        doc="RFC 4443; `rest` is the MTU for type 2, flags for a neighbour advertisement",
    ),
    HeaderType(
        name="transport_start",
        fields=_fields("src_port:16 dst_port:16 rest:32"),
        doc="The first 8 bytes of a TCP or SCTP header, which is what an ICMP error quotes at least (RFC 792)",
    ),
    HeaderType(
        name="neighbor",
        fields=_fields("target:128 option_type:8 option_length:8 option_mac:48"),
        doc="RFC 4861: the rest of a neighbour solicitation or advertisement with one link-layer address option",
    ),
    HeaderType(name="vxlan", fields=_fields("flags:8 reserved:24 vni:24 reserved2:8"), doc="RFC 7348"),
)

HEADERS = (
    Header(name="outer_ethernet", type="ethernet"),
    Header(name="outer_ipv4", type="ipv4"),
    Header(name="outer_udp", type="udp"),
    Header(name="vxlan", type="vxlan"),
    Header(name="ethernet", type="ethernet"),
    Header(name="vlan", type="vlan"),
    Header(name="error_ipv4", type="ipv4"),
    Header(name="error_icmp", type="icmp"),
    Header(name="error_ipv6", type="ipv6", pseudo_of=("error_icmpv6",)),
    Header(name="error_icmpv6", type="icmpv6"),
    Header(name="arp", type="arp"),
    Header(name="ipv4", type="ipv4", pseudo_of=("tcp", "udp")),
    *(Header(name=options_header(size), type=options_header(size)) for size in OPTIONS_BYTES),
    Header(name="ipv6", type="ipv6", pseudo_of=("tcp", "udp", "icmpv6")),
    Header(name="fragment", type="fragment"),
    Header(name="tcp", type="tcp"),
    Header(name="udp", type="udp"),
    Header(name="sctp", type="sctp"),
    Header(name="icmp", type="icmp"),
    Header(name="icmpv6", type="icmpv6"),
    Header(name="neighbor", type="neighbor", covered_by=("icmpv6",)),
    Header(name="quoted_ipv4", type="ipv4", covered_by=("icmp",), pseudo_of=("quoted_udp",)),
    Header(name="quoted_ipv6", type="ipv6", covered_by=("icmpv6",), pseudo_of=("quoted_udp",)),
    Header(name="quoted_ports", type="transport_start", covered_by=("icmp", "icmpv6")),
    Header(name="quoted_udp", type="udp", covered_by=("icmp", "icmpv6")),
)

_TYPES = {header_type.name: header_type for header_type in HEADER_TYPES}
FIELD_WIDTHS = {header.name: {f.name: f.width_bits for f in _TYPES[header.type].fields} for header in HEADERS}
"""Header name -> field name -> width in bits."""
