"""What became of each update or read request, as the status of an RPC has it (specification, "Error Reporting").

It is metadata, of which clients take little: 8 KiB unless they say otherwise, "8192 + 100 an update" as the section
"gRPC Metadata Maximum Size" advises. One byte more, and gRPC puts RESOURCE_EXHAUSTED in the place of everything.
So every error is there, in order, with its code; texts are, as long as there is room for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from finsy.proto import p4r, rpc_status
from google.protobuf.any_pb2 import Any

from runtime.device.refusals import Code, RefusedError
from runtime.device.slices import PAUSE, Steps

BASE_BYTES = 4096
"""Beside those of each update: the half of what a client takes at least."""
FRAMING = 3
"""Bytes of an error's tag and length within the status."""
AT_ONCE = 1000


def status_of(what: str, outcomes: Sequence[RefusedError | None], bytes_each: int) -> Steps[rpc_status.Status]:
    """`what` are they, such as `updates`; None for one that went well. `bytes_each`: on average over all of them."""
    return _made(what, outcomes, BASE_BYTES + bytes_each * len(outcomes))


def _made(what: str, outcomes: Sequence[RefusedError | None], room: int) -> Steps[rpc_status.Status]:
    status = rpc_status.Status(code=Code.UNKNOWN)
    bare: dict[int, Any] = {}
    room -= sum(_bare(outcome, bare).ByteSize() + FRAMING for outcome in outcomes)
    without_text = 0
    for at, outcome in enumerate(outcomes):
        made = bare[_code(outcome)]
        if outcome is not None:
            with_text = _packed(outcome.to_p4_error())
            room -= with_text.ByteSize() - made.ByteSize()
            if room >= 0:
                made = with_text
            else:
                room, without_text = 0, without_text + 1
        status.details.append(made)
        if at % AT_ONCE == AT_ONCE - 1:
            yield PAUSE
    failed = sum(outcome is not None for outcome in outcomes)
    status.message = f"{failed} of {len(outcomes)} {what} failed"
    if without_text:
        status.message += f"; {without_text} are told by their codes alone, their texts would be too long for a status"
    return status


def _bare(outcome: RefusedError | None, known: dict[int, Any]) -> Any:
    code = _code(outcome)
    if code not in known:
        error = p4r.Error(canonical_code=code)
        if outcome is not None:
            error = outcome.to_p4_error()
            error.ClearField("message")
        known[code] = _packed(error)
    return known[code]


def _code(outcome: RefusedError | None) -> int:
    return Code.OK if outcome is None else outcome.code


def _packed(error: p4r.Error) -> Any:
    made = Any()
    made.Pack(error)
    return made
