"""The service's RPCs as handlers of gRPC: bytes that are no message are refused like anything else that is wrong.

gRPC's own handlers log a traceback for each of them, so any client could fill a log. Called by `runtime.device.server`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from finsy.proto import p4r
from google.protobuf.message import DecodeError, Message

from runtime.device.admission import READ, Admission, Client
from runtime.device.refusals import RefusedError, invalid
from runtime.device.service import Service, abort
from runtime.device.slices import in_slices
from runtime.device.status import status_pb2
from runtime.device.status.reporting import Reporter

SERVICE, STATUS_SERVICE = "p4.v1.P4Runtime", "turnout.device.v1.Status"
STATUS = "Status"
"""What its one RPC is called where RPCs are counted."""


def add_to_server(service: Service, admission: Admission, reporter: Reporter, server: Any) -> None:
    def unary(rpc: str, method: Callable[[Any, Any], Any], kind: type[Message]) -> Any:
        async def handle(_requests: Any, context: Any) -> Any:
            async with _request(admission, rpc, kind, context) as (request, _):
                return await method(request, context)

        return grpc.stream_unary_rpc_method_handler(handle, None, _encode)  # pyright: ignore[reportUnknownVariableType]

    async def status(_requests: Any, context: Any) -> Any:
        async with _request(admission, STATUS, status_pb2.GetRequest, context):
            await service.check_reader(context)
            return await in_slices(reporter.device())

    async def write(_requests: Any, context: Any) -> p4r.WriteResponse:
        async with _request(admission, "Write", p4r.WriteRequest, context) as (request, raw):
            return await service.Write(request, raw, context)

    async def read(_requests: Any, context: Any) -> None:
        async with _request(admission, READ, p4r.ReadRequest, context) as (request, _):
            answer = await service.Read(request, context)
        await service.send_all(answer, context)

    async def stream(requests: AsyncIterator[Any], context: Any) -> None:
        await _entered(admission, "StreamChannel", context)
        await service.StreamChannel(_decoded(requests), context)

    methods: dict[str, tuple[Callable[[Any, Any], Any], type[Message]]] = {
        "SetForwardingPipelineConfig": (service.SetForwardingPipelineConfig, p4r.SetForwardingPipelineConfigRequest),
        "GetForwardingPipelineConfig": (service.GetForwardingPipelineConfig, p4r.GetForwardingPipelineConfigRequest),
        "Capabilities": (service.Capabilities, p4r.CapabilitiesRequest),
    }
    handlers = {rpc: unary(rpc, method, kind) for rpc, (method, kind) in methods.items()}
    handlers["Write"] = grpc.stream_unary_rpc_method_handler(write, None, _encode)
    handlers[READ] = grpc.stream_stream_rpc_method_handler(read, None, _encode)
    handlers["StreamChannel"] = grpc.stream_stream_rpc_method_handler(stream, None, _encode)
    own: dict[str, Any] = {"Get": grpc.stream_unary_rpc_method_handler(status, None, _encode)}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(SERVICE, handlers),
            grpc.method_handlers_generic_handler(STATUS_SERVICE, own),
        )
    )


@asynccontextmanager
async def _request(
    admission: Admission, rpc: str, kind: type[Message], context: Any
) -> AsyncGenerator[tuple[Any, bytes]]:
    """The request of an RPC that has one, and its bytes, while it is worked on."""
    client = await _entered(admission, rpc, context)
    async with client.requests:
        try:
            data = await admission.received(client, context)
            request = _read(kind, data)
        except RefusedError as refusal:
            await abort(context, refusal)
        yield request, data


async def _entered(admission: Admission, rpc: str, context: Any) -> Client:
    try:
        return admission.enter(context, rpc)
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
