"""The way out: next hops, ICMP errors, translation, tunnels."""

from __future__ import annotations

from compiler.ir.expressions import Concat, Const, Expr, Extend, width_bits
from compiler.ir.nodes import Control, Heat
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, Param, Table
from compiler.pipeline import associations, fragments, options, related
from compiler.pipeline.family import FAMILIES, IPV4, Family
from compiler.pipeline.headers import (
    ETHERTYPE_IPV4,
    PROTOCOL_ICMP,
    PROTOCOL_ICMPV6,
    PROTOCOL_UDP,
    QUOTED_PAYLOAD,
    VXLAN_PORT,
)
from compiler.pipeline.notation import (
    add,
    all_of,
    any_of,
    apply,
    assign,
    bit_and,
    bit_or,
    drop,
    eq,
    field,
    forward,
    gt,
    hashed,
    here,
    lt,
    meta,
    ne,
    network_length,
    param,
    pop,
    pop_vlan,
    push,
    push_vlan,
    pushed,
    reply,
    rewrite,
    run,
    sub,
    truncate,
    valid,
    when,
)
from compiler.pipeline.storage import mark

_MISS = ActionRef(name="miss", in_entries=False, as_default=True)
DONT_FRAGMENT = 2
VXLAN_OVERHEAD_IPV4 = 14 + 8 + 8 + 20

_OUT_PARAMS = (
    Param(name="network", id=1, width_bits=16),
    Param(name="port", id=2, width_bits=16),
    Param(name="mtu", id=3, width_bits=16),
    Param(name="dst_mac", id=4, width_bits=48, format="mac"),
    Param(name="src_mac", id=5, width_bits=48, format="mac"),
)
_OUT_BODY = (
    assign(meta("egress_network"), param("network", 16)),
    assign(meta("egress_port"), param("port", 16)),
    assign(meta("mtu"), param("mtu", 16)),
    assign(meta("egress_dst_mac"), param("dst_mac", 48)),
    assign(meta("egress_src_mac"), param("src_mac", 48)),
)

ACTIONS = (
    Action(
        name="deliver",
        id=0x01000006,
        params=(*_OUT_PARAMS, Param(name="vlan", id=6, width_bits=12)),
        body=(*_OUT_BODY, assign(meta("egress_vlan"), param("vlan", 12))),
        doc="To a port of this device; `vlan` 0 sends untagged. `mtu` counts the IP packet.",
        span=here(1),
    ),
    Action(
        name="encapsulate",
        id=0x01000007,
        params=(
            *_OUT_PARAMS,
            Param(name="vni", id=6, width_bits=24),
            Param(name="tunnel_src", id=7, width_bits=32, format="ipv4"),
            Param(name="tunnel_dst", id=8, width_bits=32, format="ipv4"),
            Param(name="tunnel_src_mac", id=9, width_bits=48, format="mac"),
            Param(name="tunnel_dst_mac", id=10, width_bits=48, format="mac"),
        ),
        body=(
            *_OUT_BODY,
            assign(meta("encapsulate"), 1),
            assign(meta("tunnel_vni"), param("vni", 24)),
            assign(meta("tunnel_src"), param("tunnel_src", 32)),
            assign(meta("tunnel_dst"), param("tunnel_dst", 32)),
            assign(meta("tunnel_src_mac"), param("tunnel_src_mac", 48)),
            assign(meta("tunnel_dst_mac"), param("tunnel_dst_mac", 48)),
        ),
        doc="Through a VXLAN tunnel to another device. `mtu` counts the inner IP packet.",
        span=here(1),
    ),
    Action(
        name="set_gateway",
        id=0x01000008,
        params=(
            Param(name="ipv4", id=1, width_bits=32, format="ipv4"),
            Param(name="ipv6", id=2, width_bits=128, format="ipv6"),
        ),
        body=(assign(meta("gateway_ipv4"), param("ipv4", 32)), assign(meta("gateway_ipv6"), param("ipv6", 128))),
        doc="The addresses that ICMP errors of a network come from.",
        span=here(1),
    ),
    Action(
        name="via",
        id=0x01000009,
        params=(Param(name="nexthop", id=1, width_bits=16),),
        body=(assign(meta("nexthop"), param("nexthop", 16)),),
        doc="Where the destination is: a key of table neighbor.",
        span=here(1),
    ),
)

TABLES = (
    Table(
        name="neighbor",
        id=0x02000005,
        keys=(Key(name="nexthop", id=1, expr=meta("nexthop")),),
        actions=(ActionRef(name="deliver"), ActionRef(name="encapsulate"), _MISS),
        default_action="miss",
        size=1 << 14,
        doc="How to reach a next hop.",
        span=here(1),
    ),
    Table(
        name="network",
        id=0x02000006,
        keys=(Key(name="network", id=1, expr=meta("network")),),
        actions=(ActionRef(name="set_gateway"), _MISS),
        default_action="miss",
        size=4096,
        doc="What is the same for a whole network.",
        span=here(1),
    ),
)


def icmp_error(error_type: int, code: int, mtu: Expr | int = 0) -> tuple[Statement, ...]:
    return (
        assign(meta("error"), 1),
        assign(meta("error_type"), error_type),
        assign(meta("error_code"), code),
        assign(meta("error_mtu"), mtu),
    )


_CHECK_IPV4 = Control(
    name="check_ipv4",
    body=(
        assign(meta("inner_length"), field("ipv4.total_length")),
        assign(meta("traffic_class"), field("ipv4.traffic_class")),
        when(
            lt(field("ipv4.ttl"), 2),
            *icmp_error(11, 0),
            otherwise=(
                when(
                    gt(network_length(), meta("mtu")),
                    when(eq(bit_and(field("ipv4.flags"), DONT_FRAGMENT), 0), drop("fragmentation_needed")),
                    *icmp_error(3, 4, meta("mtu")),
                ),
            ),
        ),
    ),
    heat=Heat.HOT,
    doc="Time to live and size (RFC 1812, sections 5.3.1 and 4.2.2.7; RFC 1191).",
    span=here(1),
)

_CHECK_IPV6 = Control(
    name="check_ipv6",
    body=(
        assign(meta("inner_length"), add(field("ipv6.payload_length"), 40)),
        assign(meta("traffic_class"), field("ipv6.traffic_class")),
        when(
            lt(field("ipv6.hop_limit"), 2),
            *icmp_error(3, 0),
            otherwise=(when(gt(network_length(), meta("mtu")), *icmp_error(2, 0, meta("mtu"))),),
        ),
    ),
    heat=Heat.HOT,
    doc="Hop limit and size (RFC 8200, sections 3 and 5; RFC 4443, sections 3.2 and 3.3).",
    span=here(1),
)


def swap_macs() -> tuple[Statement, ...]:
    return (
        assign(meta("swap_mac"), field("ethernet.dst")),
        assign(field("ethernet.dst"), field("ethernet.src")),
        assign(field("ethernet.src"), meta("swap_mac")),
    )


def _rest(high: Expr) -> Concat:
    """The last 32 bits of an ICMP error's header, 16 zeros and then the MTU."""
    return Concat(parts=(Const(value=0, width_bits=16), high))


def tell_by_icmp(source: Expr) -> tuple[Statement, ...]:
    """Send `icmp_error`'s error to the sender from the address `source`, whose width says of which family."""
    head = _error_head_ipv4(source) if width_bits(source) == IPV4.address_bits else _error_head_ipv6(source)
    return (*head, *swap_macs(), reply())


def _error_head_ipv4(source: Expr) -> tuple[Statement, ...]:
    return (
        truncate("ipv4", 20 + QUOTED_PAYLOAD),
        push(
            pushed(
                "error_ipv4",
                version=4,
                header_length=5,
                traffic_class=0xC0,
                total_length=20 + 8 + 20 + QUOTED_PAYLOAD,
                ttl=64,
                protocol=PROTOCOL_ICMP,
                src=source,
                dst=field("ipv4.src"),
            ),
            pushed("error_icmp", type=meta("error_type"), code=meta("error_code"), rest=_rest(meta("error_mtu"))),
        ),
    )


def _error_head_ipv6(source: Expr, extension_bytes: int = 0) -> tuple[Statement, ...]:
    quoted = 40 + extension_bytes + QUOTED_PAYLOAD
    return (
        truncate("ipv6", quoted),
        push(
            pushed(
                "error_ipv6",
                version=6,
                payload_length=8 + quoted,
                next_header=PROTOCOL_ICMPV6,
                hop_limit=64,
                src=source,
                dst=field("ipv6.src"),
            ),
            pushed("error_icmpv6", type=meta("error_type"), code=meta("error_code"), rest=_rest(meta("error_mtu"))),
        ),
    )


_ERROR_IPV4 = Control(
    name="error_ipv4",
    body=(
        when(options.there(), drop("error_not_sent")),
        when(any_of(valid("tcp"), valid("udp"), valid("sctp")), *tell_by_icmp(meta("gateway_ipv4"))),
        drop("error_not_sent"),
    ),
    doc="Tell the sender by ICMP (RFC 792), of TCP, UDP, SCTP only: never of an ICMP error (RFC 1122, section 3.2.2).",
    span=here(1),
)

_ERROR_IPV6 = Control(
    name="error_ipv6",
    body=(
        when(
            any_of(valid("tcp"), valid("udp"), valid("sctp")),
            when(
                valid(fragments.HEADER),
                *_error_head_ipv6(meta("gateway_ipv6"), fragments.HEADER_BYTES),
                *swap_macs(),
                reply(),
            ),
            *tell_by_icmp(meta("gateway_ipv6")),
        ),
        drop("error_not_sent"),
    ),
    doc="Tell the sender by ICMPv6 (RFC 4443), of TCP, UDP, SCTP only, and of the first fragment of these.",
    span=here(1),
)


def _send(family: Family) -> Control:
    """Translate as decided, and one hop less to live."""
    ip = family.name
    hop = field(family.hops)
    one_hop_less = (hop, sub(hop, 1))
    addresses = (
        (field(f"{ip}.src"), meta(family.named("new_src"))),
        (field(f"{ip}.dst"), meta(family.named("new_dst"))),
    )
    new_src_port, new_dst_port = meta("new_src_port"), meta("new_dst_port")
    return Control(
        name=family.named("send"),
        body=(
            when(
                meta("encapsulate"),
                assign(meta("entropy"), Extend(operand=_spread(family), width_bits=16)),
                assign(meta("entropy"), bit_or(meta("entropy"), 0xC000)),
            ),
            when(
                all_of(meta("translate"), valid("tcp")),
                rewrite(
                    *addresses,
                    one_hop_less,
                    (field("tcp.src_port"), new_src_port),
                    (field("tcp.dst_port"), new_dst_port),
                ),
                otherwise=(
                    when(
                        all_of(meta("translate"), valid("udp")),
                        rewrite(
                            *addresses,
                            one_hop_less,
                            (field("udp.src_port"), new_src_port),
                            (field("udp.dst_port"), new_dst_port),
                        ),
                        otherwise=(
                            associations.sending(
                                family, related.sending(family, fragments.sending(family, rewrite(one_hop_less)))
                            ),
                        ),
                    ),
                ),
            ),
        ),
        heat=Heat.HOT,
        doc=_send.__doc__ or "",
        span=here(),
    )


def _spread(family: Family) -> Expr:
    """14 bits of the flow's hash for the outer source port, 49152 to 65535 (RFC 7348, section 5).

    The same inputs as the key of the flow table, so a compiler computes one hash for both.
    """
    ip = family.name
    addresses = field(f"{ip}.src"), field(f"{ip}.dst")
    return hashed(14, meta("network"), meta("leg"), meta("protocol"), *addresses, meta("src_port"), meta("dst_port"))


_ENCAPSULATE = push(
    pushed("outer_ethernet", dst=meta("tunnel_dst_mac"), src=meta("tunnel_src_mac"), type=ETHERTYPE_IPV4),
    pushed(
        "outer_ipv4",
        version=4,
        header_length=5,
        traffic_class=meta("traffic_class"),
        total_length=add(meta("inner_length"), VXLAN_OVERHEAD_IPV4),
        flags=DONT_FRAGMENT,
        ttl=64,
        protocol=PROTOCOL_UDP,
        src=meta("tunnel_src"),
        dst=meta("tunnel_dst"),
    ),
    pushed(
        "outer_udp",
        src_port=meta("entropy"),
        dst_port=VXLAN_PORT,
        length=add(meta("inner_length"), VXLAN_OVERHEAD_IPV4 - 20),
        checksum=0,
    ),
    pushed("vxlan", flags=0x08, vni=meta("tunnel_vni")),
)

FORWARD = Control(
    name="forward",
    body=(
        apply("neighbor", on_miss=(drop("no_neighbor"),)),
        when(ne(meta("egress_network"), meta("network")), drop("other_network")),
        when(all_of(meta("encapsulate"), valid("vxlan")), drop("tunnel_loop")),
        when(valid("ipv4"), run("check_ipv4"), otherwise=(when(valid("ipv6"), run("check_ipv6")),)),
        when(
            meta("error"),
            when(valid("vxlan"), drop("error_not_sent")),
            apply("network", on_miss=(drop("error_not_sent"),)),
            when(valid("ipv4"), run("error_ipv4"), otherwise=(when(valid("ipv6"), run("error_ipv6")),)),
        ),
        mark(),
        when(valid("vlan"), pop_vlan()),
        when(valid("vxlan"), pop("outer_ethernet", "outer_ipv4", "outer_udp", "vxlan")),
        when(valid("ipv4"), run("send_ipv4"), otherwise=(when(valid("ipv6"), run("send_ipv6")),)),
        assign(field("ethernet.dst"), meta("egress_dst_mac")),
        assign(field("ethernet.src"), add(meta("egress_src_mac"), meta("signature"))),
        when(
            meta("encapsulate"),
            _ENCAPSULATE,
            otherwise=(when(ne(meta("egress_vlan"), 0), push_vlan(meta("egress_vlan"))),),
        ),
        forward(meta("egress_port")),
    ),
    heat=Heat.HOT,
    doc="Send a packet whose next hop is known.",
    span=here(1),
)

CONTROLS = (_CHECK_IPV4, _CHECK_IPV6, _ERROR_IPV4, _ERROR_IPV6, *(_send(family) for family in FAMILIES), FORWARD)
