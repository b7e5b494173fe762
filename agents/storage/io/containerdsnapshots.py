"""What containerd's own snapshotters have, asked over its socket: for files that containerd uses and does not keep.

A label of a snapshot names such a file. Snapshots are by namespace; all of them are asked, since the files are one
node's. Read only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import grpc

from agents.storage.wire import namespaces_pb2, snapshots_pb2
from agents.storage.wire.errors import ImageError

_NAMESPACES: Final = "/containerd.services.namespaces.v1.Namespaces/List"
_SNAPSHOTS: Final = "/containerd.services.snapshots.v1.Snapshots/List"
_NAMESPACE: Final = "containerd-namespace"
"""Metadata of a call: whose snapshots are meant."""
TIMEOUT_S: Final = 20.0


def labelled(socket: Path, snapshotter: str, label: str, timeout_s: float = TIMEOUT_S) -> frozenset[str]:
    """All values of a label. Raises ImageError, with the socket, where not all of them can be had."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        try:
            return frozenset(
                value
                for namespace in _namespaces(channel, timeout_s)
                for value in _values(channel, namespace, snapshotter, label, timeout_s)
            )
        except grpc.RpcError as error:
            raise ImageError(f"containerd at {socket}: {error.details()}") from error


def _namespaces(channel: grpc.Channel, timeout_s: float) -> list[str]:
    call = channel.unary_unary(
        _NAMESPACES,
        request_serializer=namespaces_pb2.ListNamespacesRequest.SerializeToString,
        response_deserializer=namespaces_pb2.ListNamespacesResponse.FromString,
    )
    answer = call(namespaces_pb2.ListNamespacesRequest(), timeout=timeout_s)
    return [namespace.name for namespace in answer.namespaces]


def _values(channel: grpc.Channel, namespace: str, snapshotter: str, label: str, timeout_s: float) -> list[str]:
    call = channel.unary_stream(
        _SNAPSHOTS,
        request_serializer=snapshots_pb2.ListSnapshotsRequest.SerializeToString,
        response_deserializer=snapshots_pb2.ListSnapshotsResponse.FromString,
    )
    request = snapshots_pb2.ListSnapshotsRequest(snapshotter=snapshotter)
    answers = call(request, timeout=timeout_s, metadata=((_NAMESPACE, namespace),))
    return [info.labels[label] for answer in answers for info in answer.info if label in info.labels]
