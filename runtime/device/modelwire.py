"""Ports of the model: a unix socket by which frames come in and go out, each behind its port's number.

Who connects (SOCK_SEQPACKET) sends `port, two bytes, big-endian; frame` as one message and gets the same for each frame
that leaves the model. For tests, and for trying a pipeline out without root. A message of `LINK; port, two bytes; 1
or 0, one byte` lets the link of a port come up or go down: members of groups may watch it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path

from runtime.device.portstates import PortStates
from runtime.device.target import TargetError

LOG = logging.getLogger("turnout.device")
MAX_FRAME = 65_535
_PORT = struct.Struct("!H")
LINK = 0xFFFF
"""Instead of a port's number."""
_LINK = struct.Struct("!HHB")


def link_message(port: int, *, is_up: bool) -> bytes:
    """What lets the link of a port come up, or go down."""
    return _LINK.pack(LINK, port, is_up)


Process = Callable[[int, bytes], object]


class ModelWire:
    def __init__(self, path: Path) -> None:
        """Listen. Raises `TargetError`."""
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        try:
            path.unlink(missing_ok=True)
            self._listener.bind(str(path))
            self._listener.listen()
        except OSError as problem:
            self._listener.close()
            raise TargetError(f"cannot listen on {path}: {problem.strerror}") from problem
        self._connected: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, process: Process, states: PortStates) -> None:
        """Take frames from now on, on the event loop that runs; again is fine."""
        if not self._tasks:
            self._keep(self._accept(process, states))

    def emit(self, port: int, frame: bytes) -> None:
        """Send a frame to all who are connected; one who does not read loses it."""
        for connection in self._connected:
            with contextlib.suppress(OSError):
                connection.send(_PORT.pack(port) + frame)

    def close(self) -> None:
        for connection in self._connected:
            connection.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    async def _accept(self, process: Process, states: PortStates) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            self._keep(self._receive(connection, process, states))

    async def _receive(self, connection: socket.socket, process: Process, states: PortStates) -> None:
        loop = asyncio.get_running_loop()
        self._connected.append(connection)
        with connection, contextlib.suppress(OSError):
            while message := await loop.sock_recv(connection, _PORT.size + MAX_FRAME):
                if len(message) <= _PORT.size:
                    continue
                port = _PORT.unpack_from(message)[0]
                if port != LINK:
                    process(port, message[_PORT.size :])
                elif len(message) == _LINK.size:
                    _, changed, state = _LINK.unpack(message)
                    states.set(changed, is_up=bool(state))
        self._connected.remove(connection)

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
