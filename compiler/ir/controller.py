"""What goes between packets and controllers: packet-ins, packet-outs, digests (P4Runtime, "Packet I/O", "Digest")."""

from __future__ import annotations

from dataclasses import dataclass

PACKET_IN, PACKET_OUT = "packet_in", "packet_out"
EGRESS_PORT, SUBMIT_TO_INGRESS = "egress_port", "submit_to_ingress"
"""What a packet-out says by the names of its fields."""
PADDING = "unused"
"""How the names of a packet-out's other fields begin; they mean nothing."""
CPU_PORT = 509
"""The ingress port of a packet-out that is submitted to the pipeline. No packet leaves by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerField:
    """One piece of metadata; `id` counts from 1 within its header."""

    name: str
    id: int
    width_bits: int
    type: str = ""
    """Of `Pipeline.types`, where control planes have other values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestField:
    name: str
    width_bits: int
    type: str = ""
    """As of `ControllerField`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What packets may tell the controller in few fields, many packets in one message (P4Runtime, "DigestEntry")."""

    name: str
    id: int
    fields: tuple[DigestField, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerHeader:
    """The metadata that every packet-in, or every packet-out, carries beside its frame.

    A packet-out leaves by its `egress_port` past all tables. Where its header has `submit_to_ingress` and the packet
    sets it, it enters the pipeline instead, by `CPU_PORT`.
    """

    id: int
    fields: tuple[ControllerField, ...]
    doc: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields)
