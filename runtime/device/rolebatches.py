"""Batches and reads of a role that may not touch everything: what is left out before anybody else sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from finsy.proto import p4r

from runtime.device.batch import CONTINUE, SLICE, Outcomes
from runtime.device.refusals import aborted
from runtime.device.roles import RoleConfig, object_id, refusal_of
from runtime.device.slices import PAUSE, Steps

Pieces = Iterator[bytes]
"""Messages `p4.v1.ReadResponse` in their wire form."""
Apply = Callable[[p4r.WriteRequest, bytes | None], Steps[Outcomes]]


def apply_allowed(request: p4r.WriteRequest, raw: bytes, config: RoleConfig | None, apply: Apply) -> Steps[Outcomes]:
    """What became of each update: those that the role may not do fail with PERMISSION_DENIED.

    The others are done, if the batch goes on after errors; else none is. `raw` is the request as it came.
    """
    if config is None:
        return (yield from apply(request, raw))
    updates = request.updates
    refusals = yield from _refusals(request, config)
    first = next((at for at, refusal in enumerate(refusals) if refusal is not None), None)
    if first is None:
        return (yield from apply(request, raw))
    if request.atomicity != CONTINUE:
        not_tried = aborted(f"not tried, since update {first + 1} of the batch failed")
        return [refusal or not_tried for refusal in refusals]
    allowed = p4r.WriteRequest(device_id=request.device_id, role=request.role, election_id=request.election_id)
    allowed.updates.extend(one for one, refusal in zip(updates, refusals, strict=True) if refusal is None)
    rest = iter((yield from apply(allowed, None)))
    return [next(rest) if refusal is None else refusal for refusal in refusals]


def _refusals(request: p4r.WriteRequest, config: RoleConfig) -> Steps[Outcomes]:
    refusals: Outcomes = []
    for at, update in enumerate(request.updates):
        if at and at % SLICE == 0:
            yield PAUSE
        refusals.append(refusal_of(request.role, config, update.entity))
    return refusals


def readable(pieces: Pieces, config: RoleConfig | None) -> Pieces:
    """The entities of a role among what was found (specification, "Read RPC": the role is a filter)."""
    if config is None:
        return pieces
    filtered = (_covered(p4r.ReadResponse.FromString(piece), config) for piece in pieces)
    return (piece.SerializeToString() for piece in filtered if piece.entities)


def _covered(piece: p4r.ReadResponse, config: RoleConfig) -> p4r.ReadResponse:
    return p4r.ReadResponse(entities=[entity for entity in piece.entities if config.covers(object_id(entity))])
