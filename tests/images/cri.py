"""What a kubelet asks containerd for, over runtime.v1 (k8s.io/cri-api), with the few fields that tests need.

Messages are written by hand, a field as its number and value: the API's own file brings hundreds of messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from tests.images.agent import wait_until

_CALL_S: Final = 120
_PULL_S: Final = 900
"""The largest image of the bench over its slowest link, where the machine is busy."""
_HOST: Final = 2
"""NamespaceMode NODE: a pod on the host's network needs no CNI."""
_HANDLER_ANNOTATION: Final = "io.containerd.cri.runtime-handler"
"""How a pull is for a RuntimeClass in containerd 1.7; in 2.x the image's runtime_handler says so."""
Fields = dict[int, "int | str | bytes | list[bytes]"]


def message(fields: Fields) -> bytes:
    return b"".join(_field(number, value) for number, value in fields.items())


def _field(number: int, value: int | str | bytes | list[bytes]) -> bytes:
    if isinstance(value, list):
        return b"".join(_field(number, one) for one in value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    id: str
    config: bytes
    logs: Path


class Cri:
    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def _call(self, method: str, fields: Fields, timeout_s: float = _CALL_S) -> bytes:
        with grpc.insecure_channel(f"unix:{self._socket}") as channel:
            library: Any = channel
            return library.unary_unary(f"/runtime.v1.{method}")(message(fields), timeout=timeout_s)

    def pull(self, name: str, handler: str = "") -> None:
        """As for a pod without a RuntimeClass, or for one with that handler."""
        image: Fields = {1: name}
        pull: Fields = {}
        if handler:
            image[19] = handler
            pull[3] = message({1: message({1: "pod"}), 7: message({1: _HANDLER_ANNOTATION, 2: handler})})
        self._call("ImageService/PullImage", {1: message(image), **pull}, _PULL_S)

    def run_pod(self, name: str, logs: Path, handler: str = "") -> Pod:
        network = message({1: _HOST})
        config = message({
            1: message({1: name, 2: name, 3: "default"}),
            3: str(logs),
            8: message({2: message({1: network})}),
        })  # fmt: skip
        answer = self._call("RuntimeService/RunPodSandbox", {1: config, **({2: handler} if handler else {})})
        return Pod(id=_first_text(answer), config=config, logs=logs)

    def run(self, pod: Pod, name: str, image: str, *command: str) -> Path:
        """Start a container; returns its log."""
        container = message({
            1: message({1: name}),
            2: message({1: image}),
            3: [part.encode() for part in command],
            11: f"{name}.log",
            15: message({2: message({3: message({1: _HOST})})}),
        })  # fmt: skip
        answer = self._call("RuntimeService/CreateContainer", {1: pod.id, 2: container, 3: pod.config})
        self._call("RuntimeService/StartContainer", {1: _first_text(answer)})
        return pod.logs / f"{name}.log"

    def remove_pod(self, pod: Pod) -> None:
        """With its containers; asked again as the kubelet does: containerd 1.6 fails if a container ends meanwhile."""
        try:
            self._call("RuntimeService/StopPodSandbox", {1: pod.id})
        except grpc.RpcError:
            self._call("RuntimeService/StopPodSandbox", {1: pod.id})
        self._call("RuntimeService/RemovePodSandbox", {1: pod.id})


def said(log: Path, count: int) -> list[str]:
    """That many lines that a container wrote, once they are there (a line of a log is TIME STREAM TAG TEXT)."""
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= count, f"{log} has too few lines")
    return [line.split(" ", 3)[3] for line in log.read_text().splitlines()]


def _first_text(answer: bytes) -> str:
    """Field 1 of an answer that is an identifier of less than 128 characters."""
    assert answer[0] == 1 << 3 | 2, answer
    return answer[2 : 2 + answer[1]].decode()
