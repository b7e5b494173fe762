"""A client that goes away at the very instant of a message, which no client can be made to do at will."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from runtime.device.complaints import Complaints
from runtime.device.giving import GoneError, give


class Gone:
    """The context of an RPC that has ended."""

    async def write(self, _message: bytes) -> None:
        raise grpc.aio.InternalError


def test_a_client_that_is_gone() -> None:
    with pytest.raises(GoneError):
        asyncio.run(give(b"", Gone(), 1.0, Complaints(), "streams"))
