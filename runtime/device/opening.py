"""A device's start while clients are there already: it listens at once, and a thread makes it what its journal says.

Until then an RPC that needs the state is UNAVAILABLE, with how far the start is. That is the code which gRPC itself has
for clients of a device that does not listen, so whoever copes with a restart copes with this. So are streams: no
arbitration can be answered rightly before the highest election ids are known, which are in the journal.
`runtime.device.handlers` asks for each RPC.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from finsy.proto import p4r

from runtime.device import garbage
from runtime.device.callers import Callers
from runtime.device.complaints import Complaints
from runtime.device.limits import Limits
from runtime.device.progress import Progress, StoppedError
from runtime.device.recovery import recover
from runtime.device.refusals import Code, RefusedError, internal
from runtime.device.service import Parts, Service
from runtime.device.statefolder import Beginning
from runtime.device.status import status_pb2 as told
from runtime.device.target import Target, TargetError

LOG = logging.getLogger("turnout.device")
API_VERSION = "1.5.0"
LAST_WORDS_S = 3.0
"""A device that cannot start tells those who have asked for so long, before it ends: they ask again every second."""


class Opening:
    """One device, on its way to a service."""

    def __init__(
        self, callers: Callers, target: Target, beginning: Beginning, *, limits: Limits, complaints: Complaints
    ) -> None:
        self._callers = callers
        self._target = target
        self._beginning = beginning
        self._limits = limits
        self._complaints = complaints
        self._progress = Progress()
        self._service: Service | None = None
        self._failure: RefusedError | None = None
        self._has_refused = False
        self._is_stopped = asyncio.Event()

    @property
    def service(self) -> Service | None:
        """None until it answers."""
        return self._service

    @property
    def parts(self) -> Parts | None:
        return None if self._service is None else self._service.parts

    @property
    def doing(self) -> str:
        """In words, for who waits."""
        return str(self._progress.step)

    def starting(self) -> told.Starting | None:
        """How far it is; None once it is there."""
        if self._service is not None:
            return None
        step = self._progress.step
        since_s = time.monotonic() - self._progress.begun_s
        return told.Starting(what=step.what, done=step.done, of_all=step.of_all, unit=step.unit, since_s=since_s)

    def entered(self, context: Any) -> Service:
        """What answers an RPC that needs the state.

        Raises PERMISSION_DENIED for who may not even know; UNAVAILABLE; INTERNAL: the device cannot start.
        """
        if self._service is not None:
            return self._service
        self._callers.peer(context)
        self._has_refused = True
        if self._failure is not None:
            raise self._failure
        if self._is_stopped.is_set():
            raise RefusedError(Code.UNAVAILABLE, "the device ends")
        raise RefusedError(Code.UNAVAILABLE, f"the device starts, try again: it {self.doing}")

    def check_reader(self, context: Any) -> None:
        """Whether a client may read at all. Raises PERMISSION_DENIED; INTERNAL, as above."""
        self._callers.peer(context)
        if self._failure is not None:
            raise self._failure

    def capabilities(self, request: p4r.CapabilitiesRequest, context: Any) -> p4r.CapabilitiesResponse:
        """At any time. Raises `RefusedError`."""
        self._callers.check(request.device_id or self._callers.device_id, context)
        self.check_reader(context)
        answer = p4r.CapabilitiesResponse(p4runtime_api_version=API_VERSION)
        starting = self.starting()
        if starting is not None:
            self._has_refused = True
            answer.experimental.Pack(starting)
        return answer

    async def run(self) -> None:
        """Until the service answers; also when it was stopped before. Raises `TargetError`, when clients have heard."""
        try:
            await self._open()
        except StoppedError:
            LOG.info("the device ends before it is what its journal says")
        except TargetError as problem:
            self._failure = internal(f"the device cannot start: {problem}")
            if self._has_refused:
                LOG.error("the device cannot start, and tells its clients why: %s", problem)  # noqa: TRY400
                await self._last_words()
            raise

    def stop(self) -> None:
        """It is to end: `run` soon does, if it has not."""
        self._is_stopped.set()
        self._progress.stop()

    async def _open(self) -> None:
        beginning = self._beginning
        kept = await asyncio.to_thread(beginning.read, self._progress)
        made = Service(
            self._callers, self._target, kept, beginning.ports, limits=self._limits, complaints=self._complaints
        )
        configs = made.parts.configs
        try:
            await asyncio.to_thread(recover, configs, self._target, kept, beginning.start, self._progress)
        except BaseException:
            configs.close()
            raise
        made.begin()
        garbage.begin()
        self._service = made

    async def _last_words(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._is_stopped.wait()
        except TimeoutError:
            return
