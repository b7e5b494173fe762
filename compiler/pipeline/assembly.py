"""The whole pipeline, put together from its parts."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Control, DropReason, Heat, Pipeline
from compiler.ir.tables import Counter
from compiler.pipeline import (
    admission,
    affinity,
    associations,
    classification,
    connections,
    delivery,
    gateway,
    lifetimes,
    outside,
    policing,
    ports,
    redirect,
    redirectlimit,
    serverreturn,
    storage,
)
from compiler.pipeline.family import FAMILIES
from compiler.pipeline.headers import HEADER_TYPES, HEADERS
from compiler.pipeline.metadata import LEG_UPLINK, METADATA
from compiler.pipeline.notation import all_of, drop, eq, field, gt, here, meta, ne, negate, run, valid, when
from compiler.pipeline.parsing import PARSER

VERSION = "12"
"""Raised with every change of a table, an action or an id."""

DROP_REASONS = (
    DropReason(name="no_backend", id=1, doc="The service has no ready backend; the sender is told, where it can be."),
    DropReason(name="no_route", id=2, doc="The network has no such destination."),
    DropReason(name="no_neighbor", id=3, doc="The next hop is not known."),
    DropReason(name="flow_clash", id=4, doc="Other connections have the source port and those that were tried."),
    DropReason(name="flow_table_full", id=5, doc="Only established connections are left in the two sets."),
    DropReason(name="tunnel_loop", id=6, doc="A packet from a tunnel would go into a tunnel."),
    DropReason(name="fragmentation_needed", id=7, doc="Too large for the way out, and may be fragmented; this is not."),
    DropReason(name="error_not_sent", id=8, doc="Too large or too old, and no ICMP error can be sent."),
    DropReason(name="other_network", id=9, doc="The flow's next hop has become one of another network."),
    DropReason(name="no_proxy", id=10, doc="A connection of the mesh that is not to go on without a proxy."),
    DropReason(name="mesh_denied", id=11, doc="A MeshRedirect denies the connection."),
    DropReason(name="rate_exceeded", id=12, doc="Beyond the rate of the portal or registry, in this direction."),
    DropReason(name="mesh_limit", id=13, doc="Beyond the connections a second that a MeshRedirect gives the workload."),
    DropReason(name="source_denied", id=14, doc="The service does not let this client outside in."),
    DropReason(name="egress_denied", id=15, doc="No NetworkPolicy of the sender allows the connection."),
    DropReason(name="ingress_denied", id=16, doc="No NetworkPolicy of the receiver allows the connection."),
    DropReason(name="no_source_port", id=17, doc="A service gateway has found no free port for the backend."),
)

COUNTERS = (
    Counter(name="drops", id=0x12000001, size=32, doc="Dropped packets, by reason."),
    Counter(name="service_requests", id=0x12000002, size=1 << 16, doc="Packets to a service, by service id."),
    Counter(name="service_replies", id=0x12000003, size=1 << 16, doc="Packets from a service, by service id."),
)

INGRESS = Control(
    name="ingress",
    body=(
        run("classify"),
        when(
            all_of(valid("arp"), ne(meta("leg"), 0), negate(valid("vxlan"))),
            run("answer_arp"),
            otherwise=(
                when(
                    all_of(valid("neighbor"), ne(meta("leg"), 0), negate(valid("vxlan"))),
                    run("answer_nd"),
                    otherwise=(when(gt(meta("leg"), LEG_UPLINK), run("serve")),),
                ),
            ),
        ),
    ),
    heat=Heat.HOT,
    doc="What no policy concerns runs off the end, untouched.",
    span=here(1),
)

SERVE = Control(
    name="serve",
    body=(
        when(
            valid("ipv4"),
            when(
                all_of(eq(field("ipv4.version"), 4), gt(field("ipv4.header_length"), 4)),
                run("connection_ipv4"),
            ),
            otherwise=(
                when(
                    valid("ipv6"),
                    when(eq(field("ipv6.version"), 6), run("connection_ipv6")),
                ),
            ),
        ),
        storage.steer(),
        when(ne(meta("nexthop"), 0), run("forward")),
        when(valid("vxlan"), drop("no_route")),
    ),
    heat=Heat.HOT,
    doc="What is in a network: its connection, its way out.",
    span=here(1),
)


@cache
def pipeline() -> Pipeline:
    """The pipeline that every device runs."""
    return Pipeline(
        name="turnout",
        version=VERSION,
        header_types=HEADER_TYPES,
        headers=HEADERS,
        metadata=METADATA,
        parser=PARSER,
        actions=(
            *classification.ACTIONS,
            *delivery.ACTIONS,
            *outside.ACTIONS,
            *(action for family in FAMILIES for action in admission.actions(family)),
            *(action for family in FAMILIES for action in connections.actions(family)),
            *(action for family in FAMILIES for action in redirect.actions(family)),
            *(redirectlimit.action(family) for family in FAMILIES),
            *storage.ACTIONS,
            *affinity.ACTIONS,
            *policing.ACTIONS,
            gateway.ACTION,
            serverreturn.ACTION,
            ports.ACTION,
            *(action for family in FAMILIES for action in policing.actions(family)),
        ),
        stores=(*(lifetimes.store(family) for family in FAMILIES), affinity.STORE),
        tables=(
            *classification.TABLES,
            *delivery.TABLES,
            *(table for family in FAMILIES for table in outside.tables(family)),
            *(admission.table(family) for family in FAMILIES),
            *(table for family in FAMILIES for table in connections.tables(family)),
            *(table for family in FAMILIES for table in redirect.tables(family)),
            *(redirectlimit.table(family) for family in FAMILIES),
            *storage.TABLES,
            *(table for family in FAMILIES for table in storage.host_tables(family)),
            *(table for family in FAMILIES for table in affinity.tables(family)),
            *(table for family in FAMILIES for table in policing.tables(family)),
            *(gateway.table(family) for family in FAMILIES),
            *(serverreturn.table(family) for family in FAMILIES),
            *(ports.table(family) for family in FAMILIES),
        ),
        counters=COUNTERS,
        drop_counter="drops",
        drop_reasons=DROP_REASONS,
        controls=(
            INGRESS,
            SERVE,
            *classification.CONTROLS,
            *(control for family in FAMILIES for control in redirect.controls(family)),
            *storage.CONTROLS,
            *(outside.remember_entrance(family) for family in FAMILIES),
            *(control for family in FAMILIES for control in connections.controls(family)),
            *associations.CONTROLS,
            *delivery.CONTROLS,
        ),
        main="ingress",
        doc="Services, tunnels and routes of the networks that a device serves.",
    )
