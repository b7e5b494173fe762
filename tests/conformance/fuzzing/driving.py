"""Sends requests to a device as bytes, and compares each answer with what the oracle says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from finsy.proto import p4r, p4r_grpc, rpc_status
from google.protobuf import text_format
from google.protobuf.message import Message

from tests.conformance.client import OPTIONS
from tests.conformance.oracle.device import Oracle
from tests.conformance.oracle.judgement import Code
from tests.conformance.oracle.state import canonical

TIMEOUT_S = 60.0
SERVICE = "/p4.v1.P4Runtime"
_WHOLE = ("table_entry", "action_profile_member", "action_profile_group", "direct_counter_entry", "digest_entry")


class DifferentError(AssertionError):
    """The device and the oracle do not agree; `story` are the batches since the pipeline was loaded."""

    story: tuple[p4r.WriteRequest, ...] = ()


@dataclass(slots=True)
class Answer:
    """How an RPC ended: its code, the code and text of each part, and what came before."""

    code: Code
    text: str = ""
    errors: list[p4r.Error] = field(default_factory=list[p4r.Error])
    received: list[bytes] = field(default_factory=list[bytes])


@dataclass(slots=True)
class Tally:
    """What has been sent."""

    batches: int = 0
    updates: int = 0
    refused: int = 0
    reads: int = 0
    codes: Counter[str] = field(default_factory=Counter[str])


class Driver:
    """One channel to a device, and the oracle that follows it."""

    def __init__(self, address: str, oracle: Oracle) -> None:
        self.oracle = oracle
        self.tally = Tally()
        self.story: list[p4r.WriteRequest] = []
        """Batches since the pipeline was loaded."""
        self.channel = grpc.insecure_channel(address, options=OPTIONS)
        self.stub = p4r_grpc.P4RuntimeStub(self.channel)
        self._calls: dict[str, Any] = {}

    def close(self) -> None:
        self.channel.close()

    def call(self, method: str, request: bytes) -> Answer:
        """A unary RPC, of any bytes."""
        if method not in self._calls:
            self._calls[method] = self.channel.unary_unary(f"{SERVICE}/{method}")
        try:
            return Answer(Code.OK, received=[self._calls[method](request, timeout=TIMEOUT_S)])
        except grpc.RpcError as error:
            return _refused(error, [])

    def stream(self, method: str, request: bytes) -> Answer:
        """An RPC that is answered by any number of messages."""
        received: list[bytes] = []
        if method not in self._calls:
            self._calls[method] = self.channel.unary_stream(f"{SERVICE}/{method}")
        try:
            received.extend(self._calls[method](request, timeout=TIMEOUT_S))
        except grpc.RpcError as error:
            return _refused(error, received)
        return Answer(Code.OK, received=received)

    def write(self, request: p4r.WriteRequest) -> None:
        """Raises `DifferentError` at the first outcome that is not acceptable."""
        try:
            self._write(request)
        except DifferentError as difference:
            difference.story = tuple(self.story)
            raise

    def _write(self, request: p4r.WriteRequest) -> None:
        answer = self.call("Write", request.SerializeToString())
        self.tally.batches += 1
        self.tally.updates += len(request.updates)
        request.DiscardUnknownFields()  # type: ignore[attr-defined]
        self.story.append(request)
        admitted = self.oracle.admits(request)
        if Code.OK not in admitted or answer.code in admitted - {Code.OK}:
            self._compare_whole("Write", answer, admitted)
        elif request.atomicity == p4r.WriteRequest.CONTINUE_ON_ERROR:
            self._compare_updates(request.updates, self._codes(request, answer), answer)
        else:
            self._compare_atomic(request, answer)

    def _compare_whole(self, rpc: str, answer: Answer, acceptable: Iterable[Code]) -> None:
        if answer.code not in acceptable or answer.errors:
            raise DifferentError(f"{rpc}: {answer.code.name} ({answer.text}), acceptable is {_named(acceptable)}")

    def _codes(self, request: p4r.WriteRequest, answer: Answer) -> list[Code]:
        """Of each update; and that the whole RPC says the same ("Error Reporting")."""
        if answer.code is Code.OK:
            return [Code.OK] * len(request.updates)
        if answer.code is not Code.UNKNOWN or len(answer.errors) != len(request.updates):
            raise DifferentError(
                f"Write of {len(request.updates)} updates: {answer.code.name} ({answer.text}) "
                f"with {len(answer.errors)} errors, expected is UNKNOWN with one for each"
            )
        codes = [Code(error.canonical_code) for error in answer.errors]
        if all(code is Code.OK for code in codes):
            raise DifferentError("Write: UNKNOWN, but no update failed")
        return codes

    def _compare_updates(self, updates: Sequence[p4r.Update], codes: list[Code], answer: Answer) -> None:
        for at, (update, code) in enumerate(zip(updates, codes, strict=True)):
            judgement = self.oracle.judge(update)
            if code not in judgement.acceptable:
                said = answer.errors[at].message if answer.errors else ""
                raise DifferentError(
                    f"update {at}: {code.name} ({said}), acceptable is {_named(judgement.acceptable)}:\n{shown(update)}"
                )
            self.tally.codes[code.name] += 1
            if code is not Code.OK:
                self.tally.refused += 1
                self._check_error(answer.errors[at])
            elif judgement.change is not None:
                judgement.change()
            if answer.errors and code is Code.OK and answer.errors[at] != p4r.Error():
                raise DifferentError(f"update {at} took effect, but its error says more: {answer.errors[at]}")

    def _check_error(self, error: p4r.Error) -> None:
        if not error.message or error.space != "turnout":
            raise DifferentError(f"an error without a text or a space: {error}")

    def _compare_atomic(self, request: p4r.WriteRequest, answer: Answer) -> None:
        """All or none. Which updates are tried before one fails is the device's affair."""
        loaded = self.oracle.current
        assert loaded is not None
        before = loaded.state.copy()
        codes = self._codes(request, answer)
        if answer.code is Code.OK:
            self._compare_updates(request.updates, codes, answer)
            return
        is_refused = False
        for at, (update, code) in enumerate(zip(request.updates, codes, strict=True)):
            judgement = self.oracle.judge(update)
            if code not in judgement.acceptable | {Code.ABORTED, Code.OK}:
                raise DifferentError(
                    f"update {at}: {code.name} ({answer.errors[at].message}), acceptable is "
                    f"{_named(judgement.acceptable)}:\n{shown(update)}"
                )
            is_refused = is_refused or Code.OK not in judgement.acceptable or code in judgement.may
            if Code.OK in judgement.acceptable and judgement.change is not None:
                judgement.change()
        loaded.state = before
        if not is_refused:
            raise DifferentError(f"a batch that nothing is wrong with was rolled back: {answer.text}")

    # reads

    def read(self, requests: Sequence[p4r.Entity], *, role: str = "", device_id: int = 1) -> None:
        """Raises `DifferentError` when codes or entities are not those that are expected."""
        try:
            self._read(requests, role, device_id)
        except DifferentError as difference:
            difference.story = tuple(self.story)
            raise

    def _read(self, requests: Sequence[p4r.Entity], role: str, device_id: int) -> None:
        message = p4r.ReadRequest(device_id=device_id, role=role, entities=requests)
        answer = self.stream("Read", message.SerializeToString())
        self.tally.reads += 1
        if device_id != self.oracle.device_id:
            return self._compare_whole("Read", answer, {Code.NOT_FOUND})
        if self.oracle.current is None:
            return self._compare_whole("Read", answer, {Code.FAILED_PRECONDITION})
        for request in requests:
            request.DiscardUnknownFields()  # type: ignore[attr-defined]
        return self._compare_read(requests, answer)

    def read_everything(self) -> None:
        """All that the oracle knows of; large arrays aside."""
        requests = [p4r.Entity() for _ in _WHOLE]
        for request, name in zip(requests, _WHOLE, strict=True):
            getattr(request, name).SetInParent()
        requests[0].table_entry.counter_data.SetInParent()
        current = self.oracle.current
        if current is not None:
            known = current.state.known
            requests += [
                p4r.Entity(table_entry=p4r.TableEntry(table_id=number, is_default_action=True))
                for number in known.tables
            ]
            requests += [
                p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=counter.id))
                for counter in known.counters.values()
                if counter.size <= 1024
            ]
            requests += [p4r.Entity(meter_entry=p4r.MeterEntry(meter_id=number)) for number in known.meters]
            if known.meter_types:
                requests[0].table_entry.meter_config.SetInParent()
            if current.state.declared.has_replication:
                engine = p4r.Entity()
                engine.packet_replication_engine_entry.SetInParent()
                requests.append(engine)
        self.read(requests)

    def _compare_read(self, requests: Sequence[p4r.Entity], answer: Answer) -> None:
        codes = [Code.OK] * len(requests)
        if answer.code is not Code.OK:
            if answer.code is not Code.UNKNOWN or len(answer.errors) != len(requests):
                raise DifferentError(f"Read: {answer.code.name} ({answer.text}) with {len(answer.errors)} errors")
            codes = [Code(error.canonical_code) for error in answer.errors]
        wanted: Counter[bytes] = Counter()
        for at, (request, code) in enumerate(zip(requests, codes, strict=True)):
            expected = self.oracle.expect(request)
            if code not in expected.acceptable:
                said = answer.errors[at].message if answer.errors else ""
                raise DifferentError(
                    f"read {at}: {code.name} ({said}), acceptable is {_named(expected.acceptable)}:\n{shown(request)}"
                )
            if code is Code.OK:
                wanted.update(map(canonical, expected.entities))
        found = Counter(
            canonical(entity) for piece in answer.received for entity in p4r.ReadResponse.FromString(piece).entities
        )
        if found != wanted:
            raise DifferentError(_difference(requests, found, wanted))


def _refused(error: grpc.RpcError, received: list[bytes]) -> Answer:
    call: Any = error
    errors: list[p4r.Error] = []
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in rpc_status.Status.FromString(value).details:
                one = p4r.Error()
                if not detail.Unpack(one):
                    raise DifferentError(f"a detail that is no p4.v1.Error: {detail}")
                errors.append(one)
    try:
        code = Code(call.code().value[0])
    except ValueError as problem:
        raise DifferentError(f"{call.code()}: {call.details()}") from problem
    return Answer(code, call.details(), errors, received)


def shown(message: Message) -> str:
    return text_format.MessageToString(message, as_one_line=True)


def _named(codes: Iterable[Code]) -> str:
    return " or ".join(sorted(code.name for code in codes))


def _difference(requests: Sequence[p4r.Entity], found: Counter[bytes], wanted: Counter[bytes]) -> str:
    lines = ["Read of", *(f"  {shown(request)}" for request in requests)]
    for title, entities in (("should not be there", found - wanted), ("is missing", wanted - found)):
        lines += [f"{title}: {shown(p4r.Entity.FromString(data))}" for data in list(entities)[:5]]
    return "\n".join(lines)
