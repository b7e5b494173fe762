"""The service's RPCs as handlers of gRPC: bytes that are no message are refused like anything else that is wrong.

gRPC's own handlers log a traceback for each of them, so any client could fill a log. Called by `runtime.device.server`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
from finsy.proto import p4r
from google.protobuf.message import DecodeError, Message

from runtime.device.admission import READ, Admission, Client
from runtime.device.opening import Opening
from runtime.device.refusals import RefusedError, invalid
from runtime.device.service import Service, abort
from runtime.device.slices import in_slices
from runtime.device.status import status_pb2
from runtime.device.status.reporting import Reporter, counts_of

T = TypeVar("T")
SERVICE, STATUS_SERVICE = "p4.v1.P4Runtime", "turnout.device.v1.Status"
CAPABILITIES = "Capabilities"
STATUS, COUNTS = "Status", "GetCounts"
"""What its RPCs are called where RPCs are counted."""


def add_to_server(opening: Opening, admission: Admission, reporter: Reporter, server: Any) -> None:
    """What needs the device's state is refused before its request is read, until that is there."""

    def unary(rpc: str, method: Callable[[Service, Any, Any], Any], kind: type[Message]) -> Any:
        async def handle(_requests: Any, context: Any) -> Any:
            client, service = await _entered(admission, rpc, context, opening.entered)
            async with _request(admission, client, kind, context) as (request, _):
                return await method(service, request, context)

        return grpc.stream_unary_rpc_method_handler(handle, None, _encode)  # pyright: ignore[reportUnknownVariableType]

    async def status(_requests: Any, context: Any) -> Any:
        client, _ = await _entered(admission, STATUS, context, opening.check_reader)
        async with _request(admission, client, status_pb2.GetRequest, context):
            return await in_slices(reporter.device(opening.parts, opening.starting()))

    async def counts(_requests: Any, context: Any) -> status_pb2.Counts:
        client, service = await _entered(admission, COUNTS, context, opening.entered)
        async with _request(admission, client, status_pb2.GetCountsRequest, context):
            opening.check_reader(context)
            return counts_of(service.parts)

    async def capabilities(_requests: Any, context: Any) -> p4r.CapabilitiesResponse:
        client, _ = await _entered(admission, CAPABILITIES, context, opening.check_reader)
        async with _request(admission, client, p4r.CapabilitiesRequest, context) as (request, _):
            return opening.capabilities(request, context)

    async def write(_requests: Any, context: Any) -> p4r.WriteResponse:
        client, service = await _entered(admission, "Write", context, opening.entered)
        async with _request(admission, client, p4r.WriteRequest, context) as (request, raw):
            return await service.Write(request, raw, context)

    async def read(_requests: Any, context: Any) -> None:
        client, service = await _entered(admission, READ, context, opening.entered)
        async with _request(admission, client, p4r.ReadRequest, context) as (request, _):
            answer = await service.Read(request, context)
        await service.send_all(answer, context)

    async def stream(requests: AsyncIterator[Any], context: Any) -> None:
        _, service = await _entered(admission, "StreamChannel", context, opening.entered)
        await service.StreamChannel(_decoded(requests), context)

    methods: dict[str, tuple[Callable[[Service, Any, Any], Any], type[Message]]] = {
        "SetForwardingPipelineConfig": (Service.SetForwardingPipelineConfig, p4r.SetForwardingPipelineConfigRequest),
        "GetForwardingPipelineConfig": (Service.GetForwardingPipelineConfig, p4r.GetForwardingPipelineConfigRequest),
    }
    handlers = {rpc: unary(rpc, method, kind) for rpc, (method, kind) in methods.items()}
    handlers[CAPABILITIES] = grpc.stream_unary_rpc_method_handler(capabilities, None, _encode)
    handlers["Write"] = grpc.stream_unary_rpc_method_handler(write, None, _encode)
    handlers[READ] = grpc.stream_stream_rpc_method_handler(read, None, _encode)
    handlers["StreamChannel"] = grpc.stream_stream_rpc_method_handler(stream, None, _encode)
    own: dict[str, Any] = {
        "Get": grpc.stream_unary_rpc_method_handler(status, None, _encode),
        COUNTS: grpc.stream_unary_rpc_method_handler(counts, None, _encode),
    }
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(SERVICE, handlers),
            grpc.method_handlers_generic_handler(STATUS_SERVICE, own),
        )
    )


@asynccontextmanager
async def _request(
    admission: Admission, client: Client, kind: type[Message], context: Any
) -> AsyncGenerator[tuple[Any, bytes]]:
    """The request of an RPC that has one, and its bytes, while it is worked on; its refusal is the RPC's end."""
    async with client.requests:
        try:
            data = await admission.received(client, context)
            yield _read(kind, data), data
        except RefusedError as refusal:
            await abort(context, refusal)


async def _entered(admission: Admission, rpc: str, context: Any, check: Callable[[Any], T]) -> tuple[Client, T]:
    """Who calls, and what `check` has for it. It raises `RefusedError`."""
    try:
        return admission.enter(context, rpc), check(context)
    except RefusedError as refusal:
        await abort(context, refusal)


async def _decoded(requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    """Raises `RefusedError`, which ends the stream."""
    async for data in requests:
        yield _read(p4r.StreamMessageRequest, data)


def _read(kind: type[Message], data: bytes) -> Any:
    """Raises INVALID_ARGUMENT."""
    try:
        return kind.FromString(data)
    except DecodeError as problem:
        raise invalid(f"the request is no {kind.DESCRIPTOR.full_name}: its bytes cannot be decoded") from problem


def _encode(message: Message | bytes) -> bytes:
    """Answers of reads are bytes already."""
    return message if isinstance(message, bytes) else message.SerializeToString()
