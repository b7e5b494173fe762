"""One message to a client, which may take nothing or be gone."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from runtime.device.admission import client_of
from runtime.device.complaints import Complaints
from runtime.device.refusals import exhausted


class GoneError(Exception):
    """The client has ended the RPC, or its connection is lost: whatever is still to be said has nobody to hear it."""


async def give(message: object, context: Any, unread_s: float, complaints: Complaints, kind: str) -> None:
    """Send a message of an RPC that a complaint would call `kind`.

    Raises RESOURCE_EXHAUSTED when the client takes nothing for `unread_s` seconds, and `GoneError`.
    """
    try:
        async with asyncio.timeout(unread_s):
            await context.write(message)
    except TimeoutError as problem:
        complaints.note(client_of(context), f"{kind} ended, since nothing was taken from them")
        raise exhausted(f"the client has taken nothing for {unread_s} s of what waits for it") from problem
    except grpc.aio.InternalError as problem:
        # What gRPC says when an RPC ends between its being asked for and the sending.
        raise GoneError from problem
