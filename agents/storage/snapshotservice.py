"""The snapshotter over gRPC, as containerd's proxy plugin calls it: containerd.services.snapshots.v1."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, timestamp_pb2

from agents.storage.io.events import Events, Kind
from agents.storage.snapshotter import Snapshotter
from agents.storage.statusservice import status_handlers
from agents.storage.wire import snapshots_pb2 as wire
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import (
    Info,
    InvalidSnapshotError,
    Mount,
    SnapshotContentError,
    SnapshotError,
    SnapshotExistsError,
    SnapshotStateError,
    UnknownSnapshotError,
)

SERVICE: Final = "containerd.services.snapshots.v1.Snapshots"
_THREADS: Final = 16
_INFOS_A_MESSAGE: Final = 100
_LOG: Final = logging.getLogger(__name__)
_CODES: Final[dict[type[SnapshotError], Any]] = {
    UnknownSnapshotError: grpc.StatusCode.NOT_FOUND,
    SnapshotExistsError: grpc.StatusCode.ALREADY_EXISTS,
    InvalidSnapshotError: grpc.StatusCode.INVALID_ARGUMENT,
    SnapshotStateError: grpc.StatusCode.FAILED_PRECONDITION,
    SnapshotContentError: grpc.StatusCode.UNAVAILABLE,
}


class SnapshotService:
    """A method for each of the service's; requests are for one snapshotter whatever name containerd gave it."""

    def __init__(self, snapshots: Snapshotter) -> None:
        self._snapshots = snapshots

    def prepare(self, request: wire.PrepareSnapshotRequest) -> wire.MountsResponse:
        return _mounts(self._snapshots.prepare(request.key, request.parent, dict(request.labels)))

    def view(self, request: wire.PrepareSnapshotRequest) -> wire.MountsResponse:
        return _mounts(self._snapshots.view(request.key, request.parent, dict(request.labels)))

    def mounts(self, request: wire.KeyRequest) -> wire.MountsResponse:
        return _mounts(self._snapshots.mounts(request.key))

    def commit(self, request: wire.CommitSnapshotRequest) -> empty_pb2.Empty:
        self._snapshots.commit(request.name, request.key, dict(request.labels))
        return empty_pb2.Empty()

    def remove(self, request: wire.KeyRequest) -> empty_pb2.Empty:
        self._snapshots.remove(request.key)
        return empty_pb2.Empty()

    def stat(self, request: wire.KeyRequest) -> wire.InfoResponse:
        return wire.InfoResponse(info=_info(self._snapshots.stat(request.key)))

    def update(self, request: wire.UpdateSnapshotRequest) -> wire.InfoResponse:
        labels, paths = dict(request.info.labels), tuple(request.update_mask.paths)
        return wire.InfoResponse(info=_info(self._snapshots.update(request.info.name, labels, paths)))

    def list(self, request: wire.ListSnapshotsRequest) -> Iterator[wire.ListSnapshotsResponse]:
        found = self._snapshots.infos(tuple(request.filters))
        for start in range(0, len(found), _INFOS_A_MESSAGE):
            yield wire.ListSnapshotsResponse(info=map(_info, found[start : start + _INFOS_A_MESSAGE]))

    def usage(self, request: wire.KeyRequest) -> wire.UsageResponse:
        usage = self._snapshots.usage(request.key)
        return wire.UsageResponse(size=usage.size_bytes, inodes=usage.inodes)

    def cleanup(self, request: wire.CleanupRequest) -> empty_pb2.Empty:  # noqa: ARG002
        self._snapshots.cleanup()
        return empty_pb2.Empty()


def _mounts(mounts: tuple[Mount, ...]) -> wire.MountsResponse:
    return wire.MountsResponse(
        mounts=[wire.Mount(type=mount.type, source=mount.source, options=mount.options) for mount in mounts]
    )


def _info(info: Info) -> wire.Info:
    return wire.Info(
        name=info.name,
        parent=info.parent,
        kind=wire.Kind.Name(info.kind.value),
        created_at=_time(info.created_ns),
        updated_at=_time(info.updated_ns),
        labels=info.labels,
    )


def _time(time_ns: int) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=time_ns // 1_000_000_000, nanos=time_ns % 1_000_000_000)


def make_server(snapshots: Snapshotter, address: Path, events: Events | None = None) -> Any:
    """A gRPC server that listens once it is started. A socket that nobody listens on is replaced."""
    _clear(address)
    server: Any = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="snapshots"))  # pyright: ignore[reportUnknownMemberType]
    server.add_generic_rpc_handlers(
        (_handlers(SnapshotService(snapshots), events or Events()), status_handlers(snapshots))
    )
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{address}")
    except RuntimeError as error:
        raise ImageError(f"{address}: nobody can listen there: {error}") from error
    finally:
        os.umask(before)
    return server


def _clear(address: Path) -> None:
    address.parent.mkdir(parents=True, exist_ok=True)
    if not address.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            address.unlink()
        else:
            raise ImageError(f"{address}: another process listens there")


def _handlers(service: SnapshotService, events: Events) -> Any:
    unary: dict[str, tuple[Callable[[Any], Any], type[Any]]] = {
        "Prepare": (service.prepare, wire.PrepareSnapshotRequest),
        "View": (service.view, wire.PrepareSnapshotRequest),
        "Mounts": (service.mounts, wire.KeyRequest),
        "Commit": (service.commit, wire.CommitSnapshotRequest),
        "Remove": (service.remove, wire.KeyRequest),
        "Stat": (service.stat, wire.KeyRequest),
        "Update": (service.update, wire.UpdateSnapshotRequest),
        "Usage": (service.usage, wire.KeyRequest),
        "Cleanup": (service.cleanup, wire.CleanupRequest),
    }
    library: Any = grpc
    handlers = {
        name: library.unary_unary_rpc_method_handler(
            _told(_answering(method, name), name, events), request.FromString, _encoded
        )
        for name, (method, request) in unary.items()
    }
    handlers["List"] = library.unary_stream_rpc_method_handler(
        _streaming(service.list), wire.ListSnapshotsRequest.FromString, _encoded
    )
    return library.method_handlers_generic_handler(SERVICE, handlers)


def _encoded(message: Any) -> bytes:
    return message.SerializeToString()


def _answering(method: Callable[[Any], Any], name: str) -> Callable[[Any, Any], Any]:
    def answer(request: Any, context: Any) -> Any:
        try:
            return method(request)
        except SnapshotError as error:
            context.abort(_CODES[type(error)], str(error))
        except (ImageError, OSError, sqlite3.Error) as error:
            _LOG.exception("%s failed", name)
            context.abort(grpc.StatusCode.UNAVAILABLE, f"{name}: {error}")

    return answer


def _told(answer: Callable[[Any, Any], Any], name: str, events: Events) -> Callable[[Any, Any], Any]:
    """The same, and an event of it: how long it took, and with what code it ended."""

    def answer_and_tell(request: Any, context: Any) -> Any:
        begun, otherwise = time.monotonic(), grpc.StatusCode.UNKNOWN
        try:
            found = answer(request, context)
            otherwise = grpc.StatusCode.OK
            return found
        finally:
            code = context.code() or otherwise
            fields = {name: value for name in ("key", "name", "parent") if (value := getattr(request, name, ""))}
            seconds = round(time.monotonic() - begun, 6)
            events.tell(Kind.CALLED, method=name, code=code.name, seconds=seconds, **fields)

    return answer_and_tell


def _streaming(method: Callable[[Any], Iterator[Any]]) -> Callable[[Any, Any], Iterator[Any]]:
    def answer(request: Any, context: Any) -> Iterator[Any]:
        try:
            yield from method(request)
        except SnapshotError as error:
            context.abort(_CODES[type(error)], str(error))

    return answer
