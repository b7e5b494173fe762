"""Who comes in: RPCs of one client that may be open, requests that may be worked on, and how long one may take to come.

gRPC hands over unary requests only when they are whole. Here all RPCs are streams to it, which are the same on the
wire: so a client is known before its request is read, and what is not read stays with it (HTTP/2 flow control).
Called by `runtime.device.handlers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc

from runtime.device.complaints import Complaints
from runtime.device.limits import Limits
from runtime.device.refusals import Code, RefusedError, exhausted, invalid
from runtime.device.rights import certificate_names

READ = "Read"


class Client:
    """What one client has open."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.calls = 0
        self.reads = 0
        self.requests = asyncio.Semaphore(limits.requests)


class Admission:
    """Of one device."""

    def __init__(self, limits: Limits, complaints: Complaints) -> None:
        self._limits = limits
        self._complaints = complaints
        self._clients: dict[str, Client] = {}
        self.largest_bytes = 0
        """Of all requests, as long as this device runs."""

    def __iter__(self) -> Iterator[Client]:
        """All that have something open."""
        return iter(list(self._clients.values()))

    def enter(self, context: Any, rpc: str) -> Client:
        """Count an RPC until it is over: not before its client has read it all. Raises RESOURCE_EXHAUSTED."""
        name = client_of(context)
        client = self._clients.get(name) or Client(name, self._limits)
        if client.calls >= self._limits.calls:
            raise self._refusal(client, f"{client.calls} RPCs are open")
        if rpc == READ and client.reads >= self._limits.reads:
            raise self._refusal(client, f"{client.reads} reads are open")
        self._clients[name] = client
        client.calls += 1
        client.reads += rpc == READ
        context.add_done_callback(lambda _over: self._leave(client, rpc, context.code()))  # pyright: ignore[reportUnknownLambdaType]
        return client

    async def received(self, client: Client, context: Any) -> bytes:
        """The one request of an RPC. Raises `RefusedError`."""
        try:
            async with asyncio.timeout(self._limits.receive_s):
                data = await context.read()
        except TimeoutError as problem:
            self._complaints.note(client.name, "requests given up: they did not come to an end")
            text = f"the request was not there after {self._limits.receive_s} s"
            raise RefusedError(Code.DEADLINE_EXCEEDED, text) from problem
        if not isinstance(data, bytes):
            raise invalid("the RPC ended without a request")
        self.largest_bytes = max(self.largest_bytes, len(data))
        return data

    def _refusal(self, client: Client, why: str) -> RefusedError:
        self._complaints.note(client.name, f"RPCs refused: {why}")
        return exhausted(f"{why} of {client.name}, no more are taken until some of them are over")

    def _leave(self, client: Client, rpc: str, code: grpc.StatusCode | None) -> None:
        """`code`: with which the device has ended it, if it has not just answered."""
        if code is not None and code is not grpc.StatusCode.OK:
            self._complaints.refused(rpc, Code[code.name])
        client.calls -= 1
        client.reads -= rpc == READ
        if not client.calls:
            self._clients.pop(client.name, None)


def client_of(context: Any) -> str:
    """Who calls: the first name of its certificate, else its host. gRPC tells clients of unix sockets not apart."""
    names = certificate_names(context.auth_context())
    if names:
        return f"client {names[0]!r}"
    family, _, address = context.peer().partition(":")
    return f"host {address.rpartition(':')[0]}" if address else f"clients of the {family} socket"
