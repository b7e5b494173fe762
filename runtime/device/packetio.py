"""Packets between controllers and the pipeline as P4Runtime carries them (specification, "Packet I/O"). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finsy.proto import p4r

from compiler.ir.controller import EGRESS_PORT, SUBMIT_TO_INGRESS, ControllerHeader
from runtime.device.bytestrings import to_bytes, to_int
from runtime.device.refusals import invalid
from runtime.device.translation import Translation

MIN_FRAME, MAX_FRAME = 14, 9600
"""Bytes of a packet-out: an Ethernet header at least, a jumbo frame at most."""


@dataclass(frozen=True, slots=True)
class PacketOut:
    """A frame for a port, or, where `port` is None, for the pipeline."""

    port: int | None
    frame: bytes


Types = Mapping[str, Translation]


def encode_packet_in(header: ControllerHeader, values: Sequence[int], frame: bytes, types: Types) -> p4r.PacketIn:
    """A value for each field of the header, in its order."""
    metadata = [
        p4r.PacketMetadata(
            metadata_id=field.id, value=types[field.type].encode(value) if field.type else to_bytes(value)
        )
        for field, value in zip(header.fields, values, strict=True)
    ]
    return p4r.PacketIn(payload=frame, metadata=metadata)


def decode_packet_out(header: ControllerHeader | None, message: p4r.PacketOut, types: Types) -> PacketOut:
    """Raises INVALID_ARGUMENT: metadata that is not exactly what P4Info asks for, or no Ethernet frame."""
    if header is None:
        raise invalid("the pipeline takes no packet-out: its P4Info has no packet_out")
    given = _metadata(header, message, types)
    if not MIN_FRAME <= len(message.payload) <= MAX_FRAME:
        size = len(message.payload)
        raise invalid(f"packet-out: the payload has {size} bytes, an Ethernet frame has {MIN_FRAME} to {MAX_FRAME}")
    submits = bool(given.get(SUBMIT_TO_INGRESS))
    return PacketOut(None if submits else given[EGRESS_PORT], message.payload)


def _metadata(header: ControllerHeader, message: p4r.PacketOut, types: Types) -> dict[str, int]:
    fields = {field.id: field for field in header.fields}
    given: dict[str, int] = {}
    for one in message.metadata:
        field = fields.get(one.metadata_id)
        if field is None:
            raise invalid(f"packet-out: there is no metadata field of id {one.metadata_id}")
        if field.name in given:
            raise invalid(f"packet-out, metadata field {field.name}: is given twice")
        where = f"packet-out, metadata field {field.name}"
        if field.type:
            given[field.name] = types[field.type].decode(one.value, where)
        else:
            given[field.name] = to_int(one.value, field.width_bits, where)
    missing = next((field.name for field in header.fields if field.name not in given), None)
    if missing is not None:
        raise invalid(f"packet-out, metadata field {missing}: is missing")
    return given
