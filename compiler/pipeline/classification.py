"""Where a packet comes from: ports, tunnels, and the neighbours that the pipeline answers for."""

from __future__ import annotations

from compiler.ir.nodes import Control, Heat
from compiler.ir.tables import Action, ActionRef, Key, Param, Table
from compiler.pipeline import outside
from compiler.pipeline.metadata import LEG_NETWORK, LEG_PROXY, LEG_UPLINK
from compiler.pipeline.notation import (
    all_of,
    apply,
    assign,
    eq,
    field,
    here,
    meta,
    ne,
    negate,
    param,
    reply,
    rewrite,
    valid,
    when,
)

_MISS = ActionRef(name="miss", in_entries=False, as_default=True)
ARP_REQUEST, ARP_REPLY = 1, 2
ICMPV6_ADVERTISEMENT = 136
SOLICITED_OVERRIDE = 0x60000000
TARGET_LINK_LAYER_ADDRESS = 2


def _inside(name: str, number: int, leg: int, doc: str) -> Action:
    """Whoever sends is let into a network; `leg` says who that is."""
    return Action(
        name=name,
        id=number,
        params=(Param(name="network", id=1, width_bits=16), Param(name="nexthop", id=2, width_bits=16)),
        body=(
            assign(meta("leg"), leg),
            assign(meta("network"), param("network", 16)),
            assign(meta("source_nexthop"), param("nexthop", 16)),
        ),
        doc=doc,
        span=here(),
    )


ACTIONS = (
    Action(name="miss", id=0x01000001, doc="Nothing is known: go on.", span=here(1)),
    _inside("set_workload", 0x01000002, LEG_NETWORK, "The port of a workload; `nexthop` is the way back to it."),
    Action(
        name="set_uplink",
        id=0x01000003,
        body=(assign(meta("leg"), LEG_UPLINK),),
        doc="A port of the underlay.",
        span=here(1),
    ),
    Action(
        name="enter_network",
        id=0x01000004,
        params=(Param(name="network", id=1, width_bits=16),),
        body=(assign(meta("leg"), LEG_NETWORK), assign(meta("network"), param("network", 16))),
        doc="The packet in the tunnel belongs to a network. The outer headers come off on the way out.",
        span=here(1),
    ),
    Action(
        name="answer",
        id=0x01000005,
        params=(Param(name="mac", id=1, width_bits=48, format="mac"),),
        body=(assign(meta("answer_mac"), param("mac", 48)),),
        doc="The MAC address that an ARP request or a neighbour solicitation is answered with.",
        span=here(1),
    ),
    _inside("set_proxy", 0x0100000A, LEG_PROXY, "The port of a network's proxy."),
)

TABLES = (
    Table(
        name="port",
        id=0x02000001,
        keys=(
            Key(name="port", id=1, expr=meta("ingress_port")),
            Key(name="vlan", id=2, expr=meta("vlan_id")),
        ),
        actions=(ActionRef(name="set_workload"), ActionRef(name="set_uplink"), ActionRef(name="set_proxy"), _MISS),
        default_action="miss",
        size=1024,
        counter_id=0x13000001,
        doc="The ports of the device. `vlan` is 0 for untagged frames.",
        span=here(1),
    ),
    Table(
        name="tunnel",
        id=0x02000002,
        keys=(
            Key(name="destination", id=1, expr=field("outer_ipv4.dst"), format="ipv4"),
            Key(name="vni", id=2, expr=field("vxlan.vni")),
        ),
        actions=(ActionRef(name="enter_network"), _MISS),
        default_action="miss",
        size=4096,
        counter_id=0x13000002,
        doc="VXLAN tunnels that end here (RFC 7348).",
        span=here(1),
    ),
    Table(
        name="arp",
        id=0x02000003,
        keys=(
            Key(name="network", id=1, expr=meta("network")),
            Key(name="address", id=2, expr=field("arp.target_address"), format="ipv4"),
        ),
        actions=(ActionRef(name="answer"), _MISS),
        default_action="miss",
        size=1 << 16,
        doc="IPv4 addresses that ARP is answered for; network 0 is the underlay.",
        span=here(1),
    ),
    Table(
        name="nd",
        id=0x02000004,
        keys=(
            Key(name="network", id=1, expr=meta("network")),
            Key(name="address", id=2, expr=field("neighbor.target"), format="ipv6"),
        ),
        actions=(ActionRef(name="answer"), _MISS),
        default_action="miss",
        size=1 << 16,
        doc="IPv6 addresses that neighbour solicitations are answered for; network 0 is the underlay.",
        span=here(1),
    ),
)

CLASSIFY = Control(
    name="classify",
    body=(
        when(all_of(valid("vlan"), negate(valid("vxlan"))), assign(meta("vlan_id"), field("vlan.id"))),
        apply("port"),
        when(
            eq(meta("leg"), LEG_UPLINK),
            when(
                valid("vxlan"),
                apply("tunnel"),
                otherwise=outside.enter(),
            ),
        ),
    ),
    heat=Heat.HOT,
    doc="Which leg the packet is on, and in which network.",
    span=here(1),
)

ANSWER_ARP = Control(
    name="answer_arp",
    body=(
        when(
            all_of(
                eq(field("arp.operation"), ARP_REQUEST),
                eq(field("arp.hardware_type"), 1),
                eq(field("arp.protocol_type"), 0x0800),
                eq(field("arp.hardware_length"), 6),
                eq(field("arp.protocol_length"), 4),
                ne(field("arp.sender_address"), 0),
                ne(field("arp.sender_address"), field("arp.target_address")),
            ),
            apply(
                "arp",
                on_hit=(
                    assign(field("ethernet.dst"), field("ethernet.src")),
                    assign(field("ethernet.src"), meta("answer_mac")),
                    assign(meta("swap_ipv4"), field("arp.target_address")),
                    assign(field("arp.operation"), ARP_REPLY),
                    assign(field("arp.target_mac"), field("arp.sender_mac")),
                    assign(field("arp.target_address"), field("arp.sender_address")),
                    assign(field("arp.sender_mac"), meta("answer_mac")),
                    assign(field("arp.sender_address"), meta("swap_ipv4")),
                    reply(),
                ),
            ),
        ),
    ),
    doc="Answer an ARP request (RFC 826), but neither a probe nor an announcement (RFC 5227).",
    span=here(1),
)

ANSWER_ND = Control(
    name="answer_nd",
    body=(
        when(
            all_of(
                eq(field("ipv6.hop_limit"), 255),
                eq(field("icmpv6.code"), 0),
                eq(field("neighbor.option_type"), 1),
                eq(field("neighbor.option_length"), 1),
                ne(field("ipv6.src"), 0),
                ne(field("ipv6.src"), field("neighbor.target")),
            ),
            apply(
                "nd",
                on_hit=(
                    assign(field("ethernet.dst"), field("ethernet.src")),
                    assign(field("ethernet.src"), meta("answer_mac")),
                    rewrite(
                        (field("ipv6.dst"), field("ipv6.src")),
                        (field("ipv6.src"), field("neighbor.target")),
                        (field("icmpv6.type"), ICMPV6_ADVERTISEMENT),
                        (field("icmpv6.rest"), SOLICITED_OVERRIDE),
                        (field("neighbor.option_type"), TARGET_LINK_LAYER_ADDRESS),
                        (field("neighbor.option_mac"), meta("answer_mac")),
                    ),
                    reply(),
                ),
            ),
        ),
    ),
    doc="Answer a neighbour solicitation (RFC 4861, section 7.2.4), but not one of duplicate address detection.",
    span=here(1),
)

CONTROLS = (CLASSIFY, ANSWER_ARP, ANSWER_ND)
