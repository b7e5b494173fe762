"""The RPCs of P4Runtime for one device: who may call, the order of the specification's checks, status codes.

It runs on grpc.aio, one event loop. Whoever changes something has its turn (`_changing`). A large batch is applied in
slices, and everything goes on in between but reads (`_contents`), which see all of it or none of it. What takes long in
the kernel, such as loading a pipeline, goes to a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, NoReturn

import grpc
from finsy.proto import U128, p4r

from runtime.device import garbage
from runtime.device.admission import client_of
from runtime.device.arbitration import Arbitration
from runtime.device.callers import Callers
from runtime.device.compaction import Compaction
from runtime.device.complaints import Complaints
from runtime.device.configs import Configs
from runtime.device.details import status_of
from runtime.device.giving import GoneError, give
from runtime.device.idling import Idling
from runtime.device.limits import Limits
from runtime.device.loaded import Loaded
from runtime.device.portnames import PortNames
from runtime.device.refusals import Code, RefusedError, exhausted
from runtime.device.rolebatches import apply_allowed, readable
from runtime.device.slices import in_slices, to_the_end
from runtime.device.statefolder import Kept
from runtime.device.streams import Streams
from runtime.device.target import Target
from runtime.device.turns import Turns

LOG = logging.getLogger("turnout.device")
DETAILS_KEY = "grpc-status-details-bin"
_STATUS_CODES = {int(code.value[0]): code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a service is made of, for who tells how it is."""

    configs: Configs
    arbitration: Arbitration
    streams: Streams
    changing: Turns
    compaction: Compaction


@dataclass(slots=True)
class Answer:
    """What is still to be sent of a Read, and what became of each of its requests."""

    pieces: Iterator[bytes]
    outcomes: list[RefusedError | None]


class Service:
    """One device. gRPC's context is untyped here: its stubs mix the two kinds of server.

    Made while it has no pipeline yet; `begin` when its configs are what the journal says (`runtime.device.opening`).
    """

    def __init__(
        self,
        callers: Callers,
        target: Target,
        kept: Kept,
        ports: PortNames,
        *,
        limits: Limits,
        complaints: Complaints,
    ) -> None:
        self._callers = callers
        self._target = target
        self._limits = limits
        self._complaints = complaints
        self._changing = Turns()
        self._remains = garbage.Remains()
        self._taken_before = 0
        """Turns until the last tick."""
        self._contents = asyncio.Lock()
        journal, replay = kept.journal, kept.replay
        self._arbitration = Arbitration(callers.device_id, journal.note_election, journal.note_role)
        self._arbitration.remember(replay.elections, replay.role_configs())
        self._streams = Streams(self._arbitration, self._changing, self._receive, complaints, limits.stream_rate)
        self._configs = Configs(target, journal, self._streams.tell, ports)
        self._idling = Idling(self._running, self._streams.tell)
        self._compaction = Compaction(self._configs, journal)
        self.parts = Parts(
            configs=self._configs,
            arbitration=self._arbitration,
            streams=self._streams,
            changing=self._changing,
            compaction=self._compaction,
        )

    def begin(self) -> None:
        """Packets and ports are heard of from now on."""
        if self._configs.committed is not None:
            self._configs.hear(self._configs.committed)
        self._target.start()

    async def Write(self, request: p4r.WriteRequest, raw: bytes, context: Any) -> p4r.WriteResponse:  # noqa: N802
        """`raw` is the request as it came."""
        try:
            if self._changing.locked():
                self._check_writer(request, context)  # who may not need not wait to hear it
            self._check_size(request)
            async with self._changing.of(request.role, f"Write of {len(request.updates)} updates"):
                self._check_writer(request, context)
                config = self._arbitration.config_of(request.role)
                async with self._contents:
                    outcomes = await in_slices(apply_allowed(request, raw, config, self._configs.write))
        except RefusedError as refusal:
            await abort(context, refusal)
        await self._finish(context, "updates", outcomes)
        return p4r.WriteResponse()

    async def Read(self, request: p4r.ReadRequest, context: Any) -> Answer:  # noqa: N802
        """Takes references to what is asked for; `send_all` sends it."""
        await self._check(request.device_id, context)
        answers: list[Iterator[bytes]] = []
        outcomes: list[RefusedError | None] = []
        try:
            config = self._arbitration.config_of(request.role)
            async with self._contents:
                reader = self._configs.current.reader
                for entity in request.entities:  # nothing is written meanwhile: all requests see one state
                    try:
                        self._configs.check_held(reader)
                        answers.append(readable(await in_slices(reader.steps(entity)), config))
                        outcomes.append(None)
                    except RefusedError as refusal:
                        outcomes.append(refusal)
        except RefusedError as refusal:
            await abort(context, refusal)
        return Answer(pieces=chain.from_iterable(answers), outcomes=outcomes)

    async def send_all(self, answer: Answer, context: Any) -> None:
        """Piece by piece, as its client takes them."""
        try:
            for piece in answer.pieces:
                await self._give(piece, context, "reads")
        except GoneError:
            answer.pieces = iter(())
            return
        except RefusedError as refusal:
            answer.pieces = iter(())
            await abort(context, refusal)
        await self._finish(context, "read requests", answer.outcomes)

    async def SetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.SetForwardingPipelineConfigRequest, context: Any
    ) -> p4r.SetForwardingPipelineConfigResponse:
        action = _named(p4r.SetForwardingPipelineConfigRequest.Action, request.action)
        try:
            # A client that cancels must not leave a pipeline half loaded: what has begun is brought to its end.
            await to_the_end(self._set_config(request, context))
        except RefusedError as refusal:
            LOG.warning("%s refused: %s", action, refusal)
            await abort(context, refusal)
        LOG.info("%s done", action)
        return p4r.SetForwardingPipelineConfigResponse()

    async def GetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.GetForwardingPipelineConfigRequest, context: Any
    ) -> p4r.GetForwardingPipelineConfigResponse:
        await self._check(request.device_id, context)
        return p4r.GetForwardingPipelineConfigResponse(config=self._configs.get(request.response_type))

    async def StreamChannel(self, requests: AsyncIterator[p4r.StreamMessageRequest], context: Any) -> None:  # noqa: N802
        try:
            stream = self._streams.open(self._callers.peer(context), client_of(context))
        except RefusedError as refusal:
            await abort(context, refusal)
        listener = asyncio.create_task(self._streams.listen(stream, requests))
        try:
            while (message := await stream.outbox.take()) is not None:
                await self._give(message, context, "streams")
        except GoneError:
            return
        except RefusedError as refusal:
            self._streams.closed(stream)  # before its client hears of it, which it may never
            await abort(context, refusal)
        finally:
            self._streams.closed(stream)
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _give(self, message: bytes | p4r.StreamMessageResponse, context: Any, kind: str) -> None:
        await give(message, context, self._limits.unread_s, self._complaints, kind)

    async def _finish(self, context: Any, what: str, outcomes: list[RefusedError | None]) -> None:
        """End the RPC with UNKNOWN if any of them failed, with one `p4.v1.Error` for each."""
        if outcomes.count(None) < len(outcomes):
            for code, count in Counter(outcome.code for outcome in outcomes if outcome is not None).items():
                self._complaints.refused(what.removesuffix("s"), code, count)
            status = await in_slices(status_of(what, outcomes, self._limits.error_bytes))
            metadata = ((DETAILS_KEY, status.SerializeToString()),)
            await context.abort(grpc.StatusCode.UNKNOWN, status.message, trailing_metadata=metadata)

    async def _set_config(self, request: p4r.SetForwardingPipelineConfigRequest, context: Any) -> None:
        self._check_writer(request, context)
        action = _named(p4r.SetForwardingPipelineConfigRequest.Action, request.action)
        async with self._changing.of(request.role, action):
            self._check_writer(request, context)
            self._arbitration.check_pusher(request.role)
            try:
                await self._configs.set(request)
            finally:
                self._remains.expect()

    def _receive(self, request: p4r.StreamMessageRequest) -> None:
        """What the primary asks on its stream. Raises `RefusedError`."""
        match request.WhichOneof("update"):
            case "packet":
                self._configs.packet_out(request.packet)
            case _:
                self._configs.digest_ack(request.digest_ack)

    def tick(self) -> None:
        """About once a second; passed over while something is being changed."""
        self._complaints.tick()
        is_quiet, self._taken_before = self._changing.taken == self._taken_before, self._changing.taken
        garbage.look(garbage.MANY if is_quiet else garbage.MANY_AT_WORK)
        if not self._changing.locked():
            self._remains.clear(is_quiet=is_quiet)
            self._configs.tick()
            self._compaction.tick()
            self._idling.tick()

    def _running(self) -> Loaded | None:
        """What packets pass, unless it is being changed."""
        return None if self._changing.locked() else self._configs.committed

    def end_streams(self) -> None:
        """Before the server stops: else it would wait for clients that keep their stream open."""
        self._streams.end_all(RefusedError(Code.UNAVAILABLE, "the device ends"))

    async def close(self) -> None:
        """Let the last change finish, then give the target's instances back."""
        async with self._changing.of("the device's end"):
            await self._idling.close()
            await self._compaction.close()
            self._configs.close()

    def _check_writer(self, request: p4r.WriteRequest | p4r.SetForwardingPipelineConfigRequest, context: Any) -> None:
        """Device, role and election id, in the order of the specification's section "Write RPC"."""
        if request.device_id != self._callers.device_id:
            raise self._callers.unknown_device(request.device_id)
        election_id = U128.decode(request.election_id) if request.HasField("election_id") else None
        self._arbitration.check_writer(request.role, election_id, self._callers.peer(context))

    def _check_size(self, request: p4r.WriteRequest) -> None:
        """Raises RESOURCE_EXHAUSTED; nothing is done then."""
        if len(request.updates) > self._limits.updates:
            raise exhausted(
                f"the batch has {len(request.updates)} updates, this device takes {self._limits.updates} at most"
            )

    async def _check(self, device_id: int, context: Any) -> None:
        """Whether a client may read at all, and means this device."""
        try:
            self._callers.check(device_id, context)
        except RefusedError as refusal:
            await abort(context, refusal)


def _named(kind: Any, number: int) -> str:
    """The name of an enum's value; proto3 lets a client send one that has none."""
    return kind.Name(number) if number in kind.values() else f"{kind.DESCRIPTOR.name} {number}"


async def abort(context: Any, refusal: RefusedError) -> NoReturn:
    """End the RPC with the refusal's code and text."""
    await context.abort(_STATUS_CODES[int(refusal.code)], refusal.text)
    raise AssertionError("abort raises")
