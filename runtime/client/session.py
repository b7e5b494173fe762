"""One P4Runtime session with one device: arbitration, pipeline, reads and writes of whole messages.

Blocking, for command lines. Knows gRPC and the specification (P4Runtime 1.4, sections 5, 7, 12, 13); what messages mean
is `runtime.client.contents`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import grpc
from finsy.proto import p4i, p4r, p4r_grpc, rpc_code, rpc_status

from runtime.client.channels import ClientTls, open_channel
from runtime.client.devicestatus import counts_at, starting_words
from runtime.client.errors import ClientError, NotPrimaryError, RejectedError, UnreachableError
from runtime.device.status.status_pb2 import Starting

CALL_TIMEOUT_S = 120.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
"""Between two questions whether a device has started; a device that fails says why for longer than that."""
TELL_S = 2.0
Waits = Callable[[str], None]


def silently(text: str) -> None:
    del text


class Session:
    """A connection on which this client is, or tries to become, primary. A context manager."""

    def __init__(
        self,
        address: str,
        device_id: int = 1,
        election_id: int = 1,
        *,
        tls: ClientTls | None = None,
        waits: Waits = silently,
    ) -> None:
        """`waits` is told now and then why it waits: a Turnout device that starts is not there yet for more."""
        self.address, self.device_id = address, device_id
        self.election_id = p4r.Uint128(high=election_id >> 64, low=election_id & (1 << 64) - 1)
        self._tls = tls
        self._waits = waits
        self._requests: queue.SimpleQueue[p4r.StreamMessageRequest | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[p4r.StreamMessageResponse | grpc.RpcError] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        """Raises `ClientError`."""
        self._channel = open_channel(self.address, self._tls)
        self._stub = p4r_grpc.P4RuntimeStub(self._channel)
        self._wait_for_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.put(None)
        self._channel.close()

    def _wait_for_start(self) -> None:
        """Until a Turnout device is what its journal says. What else is wrong, the next RPC tells."""
        pause_s, told_s = FIRST_PAUSE_S, 0.0
        while (starting := self._starting()) is not None:
            if starting.since_s - told_s >= TELL_S:
                told_s = starting.since_s
                self._waits(f"{self.address} starts: it {starting_words(starting)}")
            time.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    def _starting(self) -> Starting | None:
        """How far the start of a Turnout device is; None for any that answers otherwise."""
        request, starting = p4r.CapabilitiesRequest(device_id=self.device_id), Starting()
        try:
            answer = self._stub.Capabilities(request, timeout=CALL_TIMEOUT_S)
        except grpc.RpcError:
            return None
        return starting if answer.experimental.Unpack(starting) else None

    def become_primary(self) -> None:
        """Arbitrate for the default role. Raises NotPrimaryError naming the primary's election id.

        When nobody is primary but a client with a higher id was, only that id or one above it can be (specification,
        section 5.3): then this client takes that id, so that it can write after a shell that has left.
        """
        threading.Thread(target=self._receive, daemon=True).start()
        answer = self._arbitrate()
        if answer.status.code == rpc_code.NOT_FOUND:
            self.election_id = answer.election_id
            answer = self._arbitrate()
        if answer.status.code != rpc_code.OK:
            primary = answer.election_id
            raise NotPrimaryError(
                f"another client is primary of {self.address}, with election id {primary.high << 64 | primary.low}"
            )

    def _arbitrate(self) -> p4r.MasterArbitrationUpdate:
        """Ask with the present election id; what the device says."""
        request = p4r.StreamMessageRequest()
        request.arbitration.device_id = self.device_id
        request.arbitration.election_id.CopyFrom(self.election_id)
        self._requests.put(request)
        try:
            answer = self._answers.get(timeout=CALL_TIMEOUT_S)
        except queue.Empty as error:
            raise ClientError(f"{self.address} does not answer to arbitration") from error
        if isinstance(answer, grpc.RpcError):
            raise self._not_primary(answer)
        return answer.arbitration

    def _not_primary(self, error: grpc.RpcError) -> ClientError:
        """An election id that is in use ends the stream with INVALID_ARGUMENT (section 5.3)."""
        refused = self._refused("arbitration", error)
        if _code(error) is grpc.StatusCode.INVALID_ARGUMENT:
            return NotPrimaryError(f"{refused}; another `turnout apply` may be at work there")
        return refused

    def _receive(self) -> None:
        def sent() -> Iterator[p4r.StreamMessageRequest]:
            while (request := self._requests.get()) is not None:
                yield request

        try:
            for answer in self._stub.StreamChannel(sent()):
                self._answers.put(answer)
        except grpc.RpcError as error:
            self._answers.put(error)

    def message(self, timeout_s: float) -> p4r.StreamMessageResponse | None:
        """What the device says by itself, such as digests; None when it says nothing in time."""
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(answer, grpc.RpcError):
            raise self._refused("the stream", answer)
        return answer

    def pipeline(self) -> p4r.ForwardingPipelineConfig | None:
        """P4Info and cookie of what the device runs, or None if it runs nothing."""
        request = p4r.GetForwardingPipelineConfigRequest(
            device_id=self.device_id,
            response_type=p4r.GetForwardingPipelineConfigRequest.P4INFO_AND_COOKIE,
        )
        try:
            config = self._stub.GetForwardingPipelineConfig(request, timeout=CALL_TIMEOUT_S).config
        except grpc.RpcError as error:
            if _code(error) is grpc.StatusCode.FAILED_PRECONDITION:
                return None
            raise self._refused("reading the pipeline", error) from error
        return config if config.HasField("p4info") else None

    def set_pipeline(self, p4info: p4i.P4Info, device_config: bytes, cookie: int) -> None:
        """VERIFY_AND_COMMIT. Raises RejectedError with the device's words; what ran before still runs then."""
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=self.device_id,
            election_id=self.election_id,
            action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
            config=p4r.ForwardingPipelineConfig(p4info=p4info, p4_device_config=device_config),
        )
        request.config.cookie.cookie = cookie
        try:
            self._stub.SetForwardingPipelineConfig(request, timeout=CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            raise self._refused("the pipeline", error) from error

    def counts(self) -> dict[tuple[str, int], int]:
        """As `runtime.client.devicestatus.counts_at`; only a Turnout device tells."""
        return counts_at(self._channel, self.address)

    def read(self, entities: Iterable[p4r.Entity]) -> Iterator[p4r.Entity]:
        request = p4r.ReadRequest(device_id=self.device_id, entities=entities)
        try:
            for response in self._stub.Read(request, timeout=CALL_TIMEOUT_S):
                yield from response.entities
        except grpc.RpcError as error:
            raise self._refused("reading", error) from error

    def write(self, updates: Sequence[p4r.Update], *, in_one_step: bool = False) -> list[p4r.Error | None]:
        """Write a batch. Returns what became of each update, None for one that was done.

        CONTINUE_ON_ERROR, or `in_one_step` for packets and only if all of it can be done (DATAPLANE_ATOMIC).
        """
        return self.begin_write(updates, in_one_step=in_one_step)()

    def begin_write(
        self, updates: Sequence[p4r.Update], *, in_one_step: bool = False
    ) -> Callable[[], list[p4r.Error | None]]:
        """Send a batch. The device does it meanwhile; what is returned waits for what `write` returns."""
        atomicity = p4r.WriteRequest.DATAPLANE_ATOMIC if in_one_step else p4r.WriteRequest.CONTINUE_ON_ERROR
        request = p4r.WriteRequest(
            device_id=self.device_id, election_id=self.election_id, updates=updates, atomicity=atomicity
        )
        answer: Any = self._stub.Write.future(request, timeout=CALL_TIMEOUT_S)  # pyright: ignore
        return partial(self._written, answer, len(updates))

    def _written(self, answer: Any, count: int) -> list[p4r.Error | None]:
        try:
            answer.result()
        except grpc.RpcError as error:
            details = update_errors(error)
            if _code(error) is not grpc.StatusCode.UNKNOWN or len(details) != count:
                raise self._refused("writing", error) from error
            return [None if one.canonical_code == rpc_code.OK else one for one in details]
        return [None] * count

    def _refused(self, what: str, error: grpc.RpcError) -> ClientError:
        code = _code(error)
        told = [one.message for one in update_errors(error) if one.message]
        text = "; ".join(told[:3]) or getattr(error, "details", lambda: "")() or "no reason given"
        if code is grpc.StatusCode.UNAVAILABLE:
            return UnreachableError(f"{self.address} does not answer any more: {text}")
        name = code.name if code else "no status"
        return RejectedError(f"{self.address} refused {what} ({name}): {text}")


def _code(error: grpc.RpcError) -> grpc.StatusCode | None:
    return getattr(error, "code", lambda: None)()


def update_errors(error: grpc.RpcError) -> list[p4r.Error]:
    """One `p4.v1.Error` for each update, from the status details of a failed Write (section 12.3)."""
    metadata: Any = getattr(error, "trailing_metadata", lambda: ())() or ()
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            status = rpc_status.Status.FromString(value)
            return [_unpacked(detail) for detail in status.details]
    return []


def _unpacked(detail: Any) -> p4r.Error:
    error = p4r.Error()
    detail.Unpack(error)
    return error
