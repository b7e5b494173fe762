"""One device's server from start to end: listens, ticks once a second, stops on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from finsy.proto import p4r_grpc

from runtime.device.listening import SOCKET_MODE, ListenError, TcpAddress, UnixAddress, make_way
from runtime.device.service import Service
from runtime.device.target import Target

LOG = logging.getLogger("turnout.device")
MAX_MESSAGE_BYTES = 64 << 20
GRACE_S = 2.0
TICK_S = 1.0
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # else two devices could share a port, and each get half of the clients
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    name: str
    device_id: int
    address: UnixAddress | TcpAddress


class Server:
    """`async with Server(...) as server` listens; `address` is then where."""

    def __init__(self, settings: Settings, target: Target) -> None:
        self._settings = settings
        self._service = Service(settings.device_id, target)
        self._server: grpc.aio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.address: UnixAddress | TcpAddress = settings.address

    async def __aenter__(self) -> Server:
        """Raises `ListenError`."""
        server = grpc.aio.server(options=_OPTIONS)
        p4r_grpc.add_P4RuntimeServicer_to_server(self._service, server)
        self.address = _bind(server, self._settings.address)
        await server.start()
        self._server = server
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if self._server is not None:
            self._service.end_streams()
            await self._server.stop(GRACE_S)
        if isinstance(self.address, UnixAddress):
            self.address.path.unlink(missing_ok=True)
        await self._service.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._service.tick()


async def serve(settings: Settings, target: Target, ready: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT. `ready` is told the address once clients can connect. Raises `ListenError`."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with Server(settings, target) as server:
        LOG.info("device %s (%d) listens on %s", settings.name, settings.device_id, server.address)
        ready(str(server.address))
        await stopped.wait()
        LOG.info("device %s ends", settings.name)


def _bind(server: grpc.aio.Server, address: UnixAddress | TcpAddress) -> UnixAddress | TcpAddress:
    """Add the port; for TCP the address with the port that the kernel chose."""
    if isinstance(address, TcpAddress):
        return TcpAddress(host=address.host, port=_add_port(server, str(address)))
    make_way(address)
    before = os.umask(0o777 & ~SOCKET_MODE)  # the socket must never be open to others, not even for a moment
    try:
        _add_port(server, str(address))
    finally:
        os.umask(before)
    with contextlib.suppress(FileNotFoundError):
        address.path.chmod(SOCKET_MODE)
    return address


def _add_port(server: grpc.aio.Server, address: str) -> int:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as problem:
        raise ListenError(f"cannot listen on {address}: {problem}") from problem
    if not port:
        raise ListenError(f"cannot listen on {address}: the address is in use or is not this machine's")
    return port
