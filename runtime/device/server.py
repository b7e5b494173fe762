"""One device's server from start to end: listens, ticks once a second, stops on a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import grpc

from runtime.device.admission import Admission
from runtime.device.callers import Callers
from runtime.device.complaints import Complaints
from runtime.device.handlers import add_to_server
from runtime.device.limits import Limits
from runtime.device.listening import Address, ListenError, TcpAddress, UnixAddress, hand_over, make_way, private_umask
from runtime.device.opening import Opening
from runtime.device.rights import Rights
from runtime.device.service import Service
from runtime.device.statefolder import Beginning
from runtime.device.status.reporting import Reporter
from runtime.device.supervising import Supervisor
from runtime.device.target import Target
from runtime.device.tls import Renewal

LOG = logging.getLogger("turnout.device")
GRACE_S = 2.0
TICK_S = 1.0
_RPC = "_schedule_rpc_coro"
"""The coroutine of gRPC in whose task an RPC is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    name: str
    device_id: int
    addresses: tuple[Address, ...]
    tls: Renewal | None = None
    """For TCP; without it TCP is in the clear."""
    socket_group: int | None = None
    """Whose members may use the unix sockets besides their owner."""
    rights: Rights | None = None
    """Of clients with a certificate; None gives all of them every right."""
    limits: Limits = field(default_factory=Limits)


class Server:
    """`async with Server(...) as server` listens; `addresses` is then where."""

    def __init__(self, settings: Settings, target: Target, beginning: Beginning) -> None:
        self._settings = settings
        complaints, limits = Complaints(), settings.limits
        self._admission = Admission(limits, complaints)
        callers = Callers(settings.device_id, settings.rights)
        self._opening = Opening(callers, target, beginning, limits=limits, complaints=complaints)
        self._reporter = Reporter(
            name=settings.name,
            device_id=settings.device_id,
            target=target,
            ports=beginning.ports,
            start=beginning.start,
            admission=self._admission,
            complaints=complaints,
            limits=limits,
        )
        self._server: grpc.aio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self.addresses: tuple[Address, ...] = ()

    @property
    def service(self) -> Service | None:
        """None until it has `started`."""
        return self._opening.service

    @property
    def doing(self) -> str:
        """How far its start is, in words."""
        return self._opening.doing

    async def started(self) -> None:
        """Wait until it is what its journal says. Raises `TargetError`."""
        if self._starting is not None:
            await asyncio.shield(self._starting)

    async def __aenter__(self) -> Server:
        """Raises `ListenError`."""
        server = grpc.aio.server(options=self._settings.limits.channel_options())
        add_to_server(self._opening, self._admission, self._reporter, server)
        self._server = server
        try:
            for address in self._settings.addresses:
                self.addresses += (_bind(server, address, self._settings),)
            await server.start()
        except ListenError:
            self._remove_sockets()
            raise
        self._starting = asyncio.create_task(self._opening.run())
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if self._starting is not None:
            self._opening.stop()
            await asyncio.gather(self._starting, return_exceptions=True)  # `started` has told of it
        if self._server is not None:
            if self.service is not None:
                self.service.end_streams()
            await self._server.stop(GRACE_S)
            await _rpcs_over()
        self._remove_sockets()
        if self.service is not None:
            await self.service.close()

    def _remove_sockets(self) -> None:
        for address in self.addresses:
            if isinstance(address, UnixAddress):
                address.path.unlink(missing_ok=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self.service is not None:
                self.service.tick()


async def serve(
    settings: Settings, target: Target, beginning: Beginning, ready: Callable[[str], None], supervisor: Supervisor
) -> None:
    """Run until SIGTERM or SIGINT. `ready` is told the address once clients are served.

    Raises `ListenError`, `TargetError`.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with Server(settings, target, beginning) as server:
        addresses = " ".join(map(str, server.addresses))
        LOG.info("device %s (%d) listens on %s", settings.name, settings.device_id, addresses)
        if await _has_started(server, stopped, supervisor):
            ready(addresses)
            supervisor.ready(addresses)
            await stopped.wait()
        LOG.info("device %s ends", settings.name)
        supervisor.stopping()


async def _has_started(server: Server, stopped: asyncio.Event, supervisor: Supervisor) -> bool:
    """Whether it is what its journal says before somebody says that it need not be. Raises `TargetError`."""
    following = asyncio.create_task(supervisor.follow(lambda: server.doing))
    try:
        return await _first(server.started(), stopped)
    finally:
        following.cancel()


async def _first(work: Coroutine[Any, Any, None], stopped: asyncio.Event) -> bool:
    """Whether `work` is over before somebody says that it need not be."""
    waiting = (asyncio.ensure_future(work), asyncio.ensure_future(stopped.wait()))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return waiting[0].done() and waiting[0].result() is None
    finally:
        for one in waiting:
            one.cancel()


async def _rpcs_over() -> None:
    """gRPC's own tasks of RPCs may go on a little after its `stop`: a loop that ends before them cancels them.

    It then logs a traceback for each.
    """
    tasks = {task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == _RPC}
    if tasks:
        await asyncio.wait(tasks, timeout=GRACE_S)


def _bind(server: grpc.aio.Server, address: Address, settings: Settings) -> Address:
    """Add the port; for TCP the address with the port that the kernel chose."""
    if isinstance(address, TcpAddress):
        return TcpAddress(host=address.host, port=_add_port(server, str(address), settings.tls))
    make_way(address)
    with private_umask():
        _add_port(server, str(address), None)
    hand_over(address, settings.socket_group)
    return address


def _add_port(server: grpc.aio.Server, address: str, tls: Renewal | None) -> int:
    try:
        port = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls.credentials)
    except RuntimeError as problem:
        raise ListenError(f"cannot listen on {address}: {problem}") from problem
    if not port:
        raise ListenError(f"cannot listen on {address}: the address is in use or is not this machine's")
    return port
