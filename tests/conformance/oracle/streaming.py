"""What is sent on a stream besides arbitration: the code of the StreamError that answers it.

Sections "Packet I/O" and "Stream Error Reporting". Reporting is optional, so OK stands for no answer; this device
reports every error.
"""

from __future__ import annotations

from collections.abc import Mapping

from finsy.proto import p4r

from tests.conformance.oracle.judgement import BAD_BYTES, Code, Judgement
from tests.conformance.oracle.program import Program


def judge_message(known: Program | None, given: p4r.StreamMessageRequest, *, is_primary: bool) -> Judgement:
    found = Judgement()
    match given.WhichOneof("update"):
        case "packet":
            _judge_packet(known, given.packet, found)
        case "digest_ack":
            if known is None or given.digest_ack.digest_id not in known.digests:
                found.refuse(Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)
        case _:
            found.refuse(Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT)
            return found
    if not is_primary:
        found.must = {Code.PERMISSION_DENIED, *found.must}
    if known is None:
        found.refuse(Code.FAILED_PRECONDITION)
    return found


def _judge_packet(known: Program | None, given: p4r.PacketOut, found: Judgement) -> None:
    """Exactly one value for each field that P4Info names; where the frame then goes is the device's affair."""
    fields: Mapping[int, int] = {} if known is None else known.packet_out
    ids = [one.metadata_id for one in given.metadata]
    if not fields or sorted(ids) != sorted(fields):
        found.refuse(Code.INVALID_ARGUMENT)
    for one in given.metadata:
        width_bits = fields.get(one.metadata_id, 0)
        if width_bits and (not one.value or int.from_bytes(one.value, "big") >> width_bits):
            found.refuse(*BAD_BYTES)
    found.allow(Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.OUT_OF_RANGE, Code.FAILED_PRECONDITION)
    found.allow(Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)  # a queue that is full, a link that is down
