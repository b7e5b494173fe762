"""QMP, the protocol that QEMU's programs are told what to do with: one JSON object a line over a Unix socket.

Synchronous, with a limit on every wait, since whoever asks holds others up. Events are kept until somebody waits for
them. The protocol: docs/interop/qmp-spec.txt of QEMU.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from agents.storage.wire.errors import ImageError

TIMEOUT_S: Final = 20.0
"""For an answer: orders of magnitude more than a daemon takes that is not stopped."""
_MAX_LINE: Final = 16 << 20
_MAX_SOCKET_NAME: Final = 107


class DaemonGoneError(ImageError):
    """Nobody listens at the socket, or the daemon died before it answered."""


class Qmp:
    """One conversation. A context manager; other conversations wait for its end."""

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._timeout_s = path, timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        try:
            self._connect()
        except BaseException:
            self._socket.close()
            raise

    def _connect(self) -> None:
        if len(bytes(self._path)) > _MAX_SOCKET_NAME:
            raise ImageError(f"{self._path}: a path too long for a socket; Linux takes {_MAX_SOCKET_NAME} bytes")
        self._socket.settimeout(self._timeout_s)
        try:
            self._socket.connect(str(self._path))
        except TimeoutError as error:
            raise self._silent() from error
        except OSError as error:
            raise DaemonGoneError(f"no storage daemon at {self._path}: {error.strerror}") from error
        self._receive(time.monotonic() + self._timeout_s)
        self.execute("qmp_capabilities")

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """The command's result. Raises ImageError with what the daemon said."""
        deadline = time.monotonic() + self._timeout_s
        message: dict[str, Any] = {"execute": command} | ({"arguments": dict(arguments)} if arguments else {})
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except TimeoutError as error:
            raise self._silent() from error
        except OSError as error:
            raise self._gone() from error
        while True:
            answer = self._receive(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise ImageError(f"the storage daemon refuses {command}: {answer['error'].get('desc', answer)}")
            self._events.append(answer)

    def wait(self, event: str, key: str) -> None:
        """Until the event has come with this id."""
        deadline = time.monotonic() + self._timeout_s
        while not any(one.get("event") == event and one.get("data", {}).get("id") == key for one in self._events):
            self._events.append(self._receive(deadline))

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._silent()
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65_536)
            except TimeoutError as error:
                raise self._silent() from error
            except OSError as error:
                raise self._gone() from error
            self._buffer += data
            if not data or len(self._buffer) > _MAX_LINE:
                raise self._gone()
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ImageError(f"what listens at {self._path} is no storage daemon") from error
        if not isinstance(found, dict):
            raise ImageError(f"what listens at {self._path} is no storage daemon")
        return cast("dict[str, Any]", found)

    def _silent(self) -> ImageError:
        return ImageError(f"the storage daemon at {self._path} does not answer within {self._timeout_s:g} s")

    def _gone(self) -> DaemonGoneError:
        return DaemonGoneError(f"the storage daemon at {self._path} is gone")
