"""Packets and outcomes as a person reads them."""

from __future__ import annotations

from scapy.layers.l2 import Ether

from compiler.ir.interpreter import Outcome
from runtime.verification.vector import PacketIn


def packet_text(packet: PacketIn) -> str:
    return f"{Ether(packet.frame).summary()}, by port {packet.port}\n{packet.frame.hex()}"


def outcome_text(outcome: Outcome) -> str:
    shown = Ether(outcome.packet).summary() if outcome.packet else ""
    head = f"{outcome.verdict.value} port={outcome.egress_port} reason={outcome.drop_reason} {shown}"
    return f"{head.rstrip()}\n{outcome.packet.hex()}"
