"""The RPCs of P4Runtime for one device: who may call, the order of the specification's checks, status codes.

It runs on grpc.aio, one event loop: a batch of updates is applied without letting go of it, which makes writes
serializable and reads consistent without a lock on every table, and an idle stream costs no thread. Only loading a
pipeline (a second in the kernel's verifier) goes to a thread, with `_changing` held.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, NoReturn, cast

import grpc
from finsy.proto import U128, p4r, p4r_grpc, rpc_status

from runtime.device.arbitration import Arbitration
from runtime.device.compaction import Compaction
from runtime.device.configs import Configs
from runtime.device.idling import Idling
from runtime.device.loaded import Loaded
from runtime.device.recovery import recover
from runtime.device.refusals import Code, RefusedError, not_found
from runtime.device.rights import ANYBODY, Peer, Rights, certificate_names
from runtime.device.rolebatches import apply_allowed, readable
from runtime.device.statefolder import Beginning
from runtime.device.streams import Streams
from runtime.device.target import Target

LOG = logging.getLogger("turnout.device")
API_VERSION = "1.5.0"
DETAILS_KEY = "grpc-status-details-bin"
_STATUS_CODES = {int(code.value[0]): code for code in grpc.StatusCode}


class Service(p4r_grpc.P4RuntimeServicer):
    """One device. gRPC's context is untyped here: its stubs mix the two kinds of server.

    Being made it is again what the journal says. Raises `TargetError`.
    """

    def __init__(self, device_id: int, target: Target, beginning: Beginning, rights: Rights | None = None) -> None:
        self._device_id = device_id
        self._rights = rights
        self._changing = asyncio.Lock()
        self._arbitration = Arbitration(device_id, beginning.journal.note_election, beginning.journal.note_role)
        self._arbitration.remember(beginning.replay.elections, beginning.replay.role_configs())
        self._streams = Streams(self._arbitration, self._changing, self._receive)
        self._configs = Configs(target, beginning.journal, self._streams.tell)
        self._idling = Idling(self._running, self._streams.tell)
        self._compaction = Compaction(self._configs, beginning.journal)
        recover(self._configs, target, beginning.replay, beginning.journal)
        target.start()

    async def Capabilities(self, request: p4r.CapabilitiesRequest, context: Any) -> p4r.CapabilitiesResponse:  # noqa: N802
        await self._check(request.device_id or self._device_id, context)
        return p4r.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    async def Write(self, request: p4r.WriteRequest, context: Any) -> p4r.WriteResponse:  # noqa: N802
        async with self._changing:
            try:
                self._check_writer(request, context)
                config = self._arbitration.config_of(request.role)
                outcomes = apply_allowed(request, config, self._configs.write)
            except RefusedError as refusal:
                await _abort(context, refusal)
        failed = sum(outcome is not None for outcome in outcomes)
        if failed:
            await _abort_with_details(context, f"{failed} of {len(outcomes)} updates failed", outcomes)
        return p4r.WriteResponse()

    async def Read(self, request: p4r.ReadRequest, context: Any) -> AsyncGenerator[p4r.ReadResponse]:  # noqa: N802
        await self._check(request.device_id, context)
        answers: list[Iterator[list[p4r.Entity]]] = []
        outcomes: list[RefusedError | None] = []
        try:
            config = self._arbitration.config_of(request.role)
            reader = self._configs.current.reader
        except RefusedError as refusal:
            await _abort(context, refusal)
        for entity in request.entities:  # nothing is awaited here: all requests see one state
            try:
                answers.append(readable(reader.answer(entity), config))
                outcomes.append(None)
            except RefusedError as refusal:
                outcomes.append(refusal)
        for answer in answers:
            for piece in answer:
                yield p4r.ReadResponse(entities=piece)
        failed = sum(outcome is not None for outcome in outcomes)
        if failed:
            await _abort_with_details(context, f"{failed} of {len(outcomes)} read requests failed", outcomes)

    async def SetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.SetForwardingPipelineConfigRequest, context: Any
    ) -> p4r.SetForwardingPipelineConfigResponse:
        action = _named(p4r.SetForwardingPipelineConfigRequest.Action, request.action)
        try:
            # A client that cancels must not leave a pipeline half loaded: what has begun is brought to its end.
            await asyncio.shield(asyncio.ensure_future(self._set_config(request, context)))
        except RefusedError as refusal:
            LOG.warning("%s refused: %s", action, refusal)
            await _abort(context, refusal)
        LOG.info("%s done", action)
        return p4r.SetForwardingPipelineConfigResponse()

    async def GetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.GetForwardingPipelineConfigRequest, context: Any
    ) -> p4r.GetForwardingPipelineConfigResponse:
        await self._check(request.device_id, context)
        return p4r.GetForwardingPipelineConfigResponse(config=self._configs.get(request.response_type))

    async def StreamChannel(self, request_iterator: Any, context: Any) -> AsyncGenerator[p4r.StreamMessageResponse]:  # noqa: N802
        try:
            stream = self._streams.open(self._peer(context))
        except RefusedError as refusal:
            await _abort(context, refusal)
        requests = cast("AsyncIterator[p4r.StreamMessageRequest]", request_iterator)
        listener = asyncio.create_task(self._streams.listen(stream, requests))
        try:
            while (message := await stream.outgoing.get()) is not None:
                if isinstance(message, RefusedError):
                    await _abort(context, message)
                yield message
        finally:
            self._streams.closed(stream)
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _set_config(self, request: p4r.SetForwardingPipelineConfigRequest, context: Any) -> None:
        async with self._changing:
            self._check_writer(request, context)
            self._arbitration.check_pusher(request.role)
            await self._configs.set(request)

    def _receive(self, request: p4r.StreamMessageRequest) -> None:
        """What the primary asks on its stream. Raises `RefusedError`."""
        match request.WhichOneof("update"):
            case "packet":
                self._configs.packet_out(request.packet)
            case _:
                self._configs.digest_ack(request.digest_ack)

    def tick(self) -> None:
        """About once a second; passed over while a pipeline is being loaded."""
        if not self._changing.locked():
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
        async with self._changing:
            await self._idling.close()
            await self._compaction.close()
            self._configs.close()

    def _check_writer(self, request: p4r.WriteRequest | p4r.SetForwardingPipelineConfigRequest, context: Any) -> None:
        """Device, role and election id, in the order of the specification's section "Write RPC"."""
        if request.device_id != self._device_id:
            raise self._unknown_device(request.device_id)
        election_id = U128.decode(request.election_id) if request.HasField("election_id") else None
        self._arbitration.check_writer(request.role, election_id, self._peer(context))

    async def _check(self, device_id: int, context: Any) -> None:
        """Whether a client may read at all, and means this device."""
        try:
            self._peer(context)
            if device_id != self._device_id:
                raise self._unknown_device(device_id)
        except RefusedError as refusal:
            await _abort(context, refusal)

    def _peer(self, context: Any) -> Peer:
        """Who calls. Raises PERMISSION_DENIED for a client without any right."""
        if self._rights is None:
            return ANYBODY
        names = certificate_names(context.auth_context())
        return ANYBODY if names is None else self._rights.of(names)

    def _unknown_device(self, device_id: int) -> RefusedError:
        return not_found(f"there is no device {device_id} here, only {self._device_id}")


def _named(kind: Any, number: int) -> str:
    """The name of an enum's value; proto3 lets a client send one that has none."""
    return kind.Name(number) if number in kind.values() else f"{kind.DESCRIPTOR.name} {number}"


async def _abort(context: Any, refusal: RefusedError) -> NoReturn:
    """End the RPC with the refusal's code and text."""
    await context.abort(_STATUS_CODES[int(refusal.code)], refusal.text)
    raise AssertionError("abort raises")


async def _abort_with_details(context: Any, text: str, outcomes: list[RefusedError | None]) -> NoReturn:
    """End the RPC with UNKNOWN and one `p4.v1.Error` for each outcome, in order (specification, "Error Reporting")."""
    status = rpc_status.Status(code=Code.UNKNOWN, message=text)
    for outcome in outcomes:
        error = outcome.to_p4_error() if outcome is not None else p4r.Error(canonical_code=Code.OK)
        status.details.add().Pack(error)
    metadata = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(grpc.StatusCode.UNKNOWN, text, trailing_metadata=metadata)
    raise AssertionError("abort raises")
