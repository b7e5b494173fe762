"""What a Turnout device tells of itself: `turnout.device.v1.Status`, which no other P4Runtime server has."""

from __future__ import annotations

from typing import Any

import grpc

from runtime.client.channels import ClientTls, open_channel
from runtime.client.errors import ClientError, RejectedError, UnreachableError
from runtime.device.status import status_pb2 as told

METHOD, COUNTS_METHOD = "/turnout.device.v1.Status/Get", "/turnout.device.v1.Status/GetCounts"
TIMEOUT_S = 30.0


def read_status(address: str, tls: ClientTls | None = None) -> told.Device:
    """Raises `ClientError`: nobody answers there, or somebody who is no Turnout device, or refuses to."""
    opened: Any = open_channel(address, tls)
    with opened as channel:
        ask = channel.unary_unary(METHOD, told.GetRequest.SerializeToString, told.Device.FromString)
        try:
            return ask(told.GetRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise _explained(address, error) from error


def counts_at(channel: Any, address: str) -> dict[tuple[str, int], int]:
    """Known connections that count for a member of an action profile, by the profile's name and the member's id.

    Those with none are left out. Raises `ClientError`, as `read_status` does.
    """
    ask = channel.unary_unary(COUNTS_METHOD, told.GetCountsRequest.SerializeToString, told.Counts.FromString)
    try:
        found: told.Counts = ask(told.GetCountsRequest(), timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        raise _explained(address, error) from error
    return {(one.profile, one.member_id): one.connections for one in found.counts}


def starting_words(starting: told.Starting) -> str:
    """What a device does that starts: "replays its journal, 3000 of 10000 updates"."""
    counted = f", {starting.done} of {starting.of_all} {starting.unit}" if starting.of_all else ""
    return starting.what + counted


def _explained(address: str, error: Any) -> ClientError:
    code, text = error.code(), error.details()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ClientError(
            f"the server at {address} is no Turnout device, or an older one: it does not tell how it is "
            "(turnout.device.v1.Status)"
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return UnreachableError(f"{address} does not answer: {text}")
    return RejectedError(f"{address} does not tell how it is ({code.name}): {text}")
