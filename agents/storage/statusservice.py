"""What the agent says of itself, at the socket that containerd calls: turnout.storage.v1.Status.

    Volumes (google.protobuf.Empty) -> google.protobuf.BytesValue, JSON as volumestatus has it

Both ends are here: the agent's, and `turnout show volumes`.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, wrappers_pb2

from agents.storage.snapshotter import Snapshotter
from agents.storage.volumestatus import VolumeStatus, parse_volumes, volumes_to_json
from agents.storage.wire.errors import ImageError

SERVICE: Final = "turnout.storage.v1.Status"
TIMEOUT_S: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


def status_handlers(snapshots: Snapshotter) -> Any:
    def volumes(_: Any, context: Any) -> Any:
        try:
            return wrappers_pb2.BytesValue(value=volumes_to_json(snapshots.volumes()))
        except (ImageError, OSError, sqlite3.Error) as error:
            _LOG.exception("Volumes failed")
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    library: Any = grpc
    method = library.unary_unary_rpc_method_handler(
        volumes,
        request_deserializer=empty_pb2.Empty.FromString,
        response_serializer=wrappers_pb2.BytesValue.SerializeToString,
    )
    return library.method_handlers_generic_handler(SERVICE, {"Volumes": method})


def ask_volumes(socket: Path, timeout_s: float = TIMEOUT_S) -> tuple[VolumeStatus, ...]:
    """Of the agent that listens there. Raises ImageError where none does, or none that answers."""
    channel: Any = grpc.insecure_channel(f"unix:{socket.absolute()}")  # pyright: ignore[reportUnknownMemberType]
    with channel:
        ask = channel.unary_unary(
            f"/{SERVICE}/Volumes",
            request_serializer=empty_pb2.Empty.SerializeToString,
            response_deserializer=wrappers_pb2.BytesValue.FromString,
        )
        try:
            return parse_volumes(ask(empty_pb2.Empty(), timeout=timeout_s).value)
        except grpc.RpcError as error:
            raise _refusal(socket, timeout_s, error) from error


def _refusal(socket: Path, timeout_s: float, error: Any) -> ImageError:
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return ImageError(f"the storage agent at {socket} does not answer within {timeout_s:g} s")
        case grpc.StatusCode.UNIMPLEMENTED:
            return ImageError(f"what listens at {socket} is no storage agent, or one of an earlier version")
        case grpc.StatusCode.UNAVAILABLE if not socket.is_socket() or "connect" in str(error.details()).lower():
            return ImageError(f"no storage agent listens at {socket}; `turnout agent storage` is one")
        case _:
            return ImageError(f"the storage agent at {socket}: {error.details()}")
