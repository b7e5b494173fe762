"""The service's RPCs as handlers of gRPC: bytes that are no message are refused like anything else that is wrong.

gRPC's own handlers log a traceback for each of them, so any client could fill a log. Called by `runtime.device.server`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc
from finsy.proto import p4r
from google.protobuf.message import DecodeError, Message

from runtime.device.refusals import invalid
from runtime.device.service import Service

SERVICE = "p4.v1.P4Runtime"


class _Undecodable:
    """Bytes in the place of a message."""

    def __init__(self, kind: type[Message]) -> None:
        self.text = f"the request is no {kind.DESCRIPTOR.full_name}: its bytes cannot be decoded"


def add_to_server(service: Service, server: Any) -> None:
    handlers: dict[str, Any] = {
        "Write": _unary(service.Write, p4r.WriteRequest),
        "Read": _streamed(service.Read, p4r.ReadRequest),
        "SetForwardingPipelineConfig": _unary(
            service.SetForwardingPipelineConfig, p4r.SetForwardingPipelineConfigRequest
        ),
        "GetForwardingPipelineConfig": _unary(
            service.GetForwardingPipelineConfig, p4r.GetForwardingPipelineConfigRequest
        ),
        "StreamChannel": _both_streamed(service.StreamChannel, p4r.StreamMessageRequest),
        "Capabilities": _unary(service.Capabilities, p4r.CapabilitiesRequest),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _unary(method: Callable[[Any, Any], Any], kind: type[Message]) -> Any:
    async def handle(request: Any, context: Any) -> Any:
        await _check(request, context)
        return await method(request, context)

    return grpc.unary_unary_rpc_method_handler(handle, _decoder(kind), _encode)


def _streamed(method: Callable[[Any, Any], AsyncGenerator[Any]], kind: type[Message]) -> Any:
    async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
        await _check(request, context)
        async with aclosing(method(request, context)) as answers:
            async for answer in answers:
                yield answer

    return grpc.unary_stream_rpc_method_handler(handle, _decoder(kind), _encode)


def _both_streamed(method: Callable[[Any, Any], AsyncGenerator[Any]], kind: type[Message]) -> Any:
    async def handle(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async with aclosing(method(_checked(requests), context)) as answers:
            async for answer in answers:
                yield answer

    return grpc.stream_stream_rpc_method_handler(handle, _decoder(kind), _encode)


async def _check(request: Any, context: Any) -> None:
    if isinstance(request, _Undecodable):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, request.text)


async def _checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Raises `RefusedError`, which ends the stream."""
    async for request in requests:
        if isinstance(request, _Undecodable):
            raise invalid(request.text)
        yield request


def _decoder(kind: type[Message]) -> Callable[[bytes], Message | _Undecodable]:
    def decode(data: bytes) -> Message | _Undecodable:
        try:
            return kind.FromString(data)
        except DecodeError:
            return _Undecodable(kind)

    return decode


def _encode(message: Message) -> bytes:
    return message.SerializeToString()
