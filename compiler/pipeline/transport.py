"""Ports and protocol of a packet, by whichever transport header it has."""

from __future__ import annotations

from compiler.ir.statements import Statement
from compiler.pipeline.headers import PROTOCOL_TCP, PROTOCOL_UDP
from compiler.pipeline.lifetimes import TCP_NEW, UDP_NEW
from compiler.pipeline.notation import assign, field, meta, valid, when


def read_ports(*others: Statement) -> Statement:
    """What a packet of TCP or UDP says of its connection; `others` where it is neither."""
    return when(
        valid("tcp"),
        assign(meta("protocol"), PROTOCOL_TCP),
        assign(meta("src_port"), field("tcp.src_port")),
        assign(meta("dst_port"), field("tcp.dst_port")),
        assign(meta("tcp_flags"), field("tcp.flags")),
        assign(meta("profile"), TCP_NEW),
        otherwise=(
            when(
                valid("udp"),
                assign(meta("protocol"), PROTOCOL_UDP),
                assign(meta("src_port"), field("udp.src_port")),
                assign(meta("dst_port"), field("udp.dst_port")),
                assign(meta("profile"), UDP_NEW),
                otherwise=others,
            ),
        ),
    )
