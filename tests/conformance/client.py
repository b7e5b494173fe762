"""A bare P4Runtime client for the conformance tests: generated stubs, nothing hidden, every code visible."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from finsy.proto import U128, p4r, p4r_grpc, rpc_status
from google.protobuf import text_format

from runtime.device.roles import P4RoleConfig

TIMEOUT_S = 20.0
OPTIONS = (("grpc.max_metadata_size", 4 << 20), ("grpc.max_receive_message_length", 64 << 20))
SET = p4r.SetForwardingPipelineConfigRequest
GET = p4r.GetForwardingPipelineConfigRequest


class RpcRefusedError(Exception):
    """An RPC's code, text and, for batches, the code and text of each update or request."""

    def __init__(self, error: grpc.RpcError) -> None:
        call: Any = error
        self.code: str = call.code().name
        self.text: str = call.details()
        self.errors: list[tuple[int, str]] = []
        for key, value in call.trailing_metadata():
            if key == "grpc-status-details-bin":
                status = rpc_status.Status.FromString(value)
                for detail in status.details:
                    one = p4r.Error()
                    assert detail.Unpack(one)
                    self.errors.append((one.canonical_code, one.message))
        super().__init__(f"{self.code}: {self.text}")


class Session:
    """One StreamChannel."""

    def __init__(self, stub: p4r_grpc.P4RuntimeStub, device_id: int) -> None:
        self.device_id = device_id
        self._requests: queue.SimpleQueue[p4r.StreamMessageRequest | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[p4r.StreamMessageResponse | RpcRefusedError | None] = queue.SimpleQueue()
        self._call: Any = stub.StreamChannel(self._sent())
        threading.Thread(target=self._listen, daemon=True).start()

    def _sent(self) -> Iterator[p4r.StreamMessageRequest]:
        while (request := self._requests.get()) is not None:
            yield request

    def _listen(self) -> None:
        try:
            for answer in self._call:
                self._answers.put(answer)
        except grpc.RpcError as error:
            self._answers.put(RpcRefusedError(error))
        self._answers.put(None)

    def send(self, request: p4r.StreamMessageRequest) -> None:
        self._requests.put(request)

    def arbitrate(
        self, election_id: int | None, *, role: str = "", device_id: int | None = None, config: str | None = None
    ) -> None:
        """`config` is a P4RoleConfig as text."""
        update = p4r.MasterArbitrationUpdate(device_id=self.device_id if device_id is None else device_id)
        if election_id is not None:
            update.election_id.CopyFrom(U128.encode(election_id))
        if role:
            update.role.name = role
        if config is not None:
            update.role.config.Pack(text_format.Parse(config, P4RoleConfig()))
        self.send(p4r.StreamMessageRequest(arbitration=update))

    def receive(self) -> p4r.StreamMessageResponse:
        """The next message. Raises `RpcRefusedError` when the stream ends with an error instead."""
        answer = self._answers.get(timeout=TIMEOUT_S)
        if isinstance(answer, RpcRefusedError):
            raise answer
        assert answer is not None, "the stream has ended"
        return answer

    def told(self) -> tuple[int, int]:
        """Status code and election id of the next message, a notification."""
        update = self.receive().arbitration
        return update.status.code, U128.decode(update.election_id)

    def is_silent(self) -> bool:
        try:
            self._answers.get(timeout=0.3)
        except queue.Empty:
            return True
        return False

    def wait_for_end(self, unless: tuple[str, ...] = ()) -> None:
        """The device has ended the stream, and has said nothing more but `unless`. Raises `RpcRefusedError`."""
        answer = self._answers.get(timeout=TIMEOUT_S)
        while isinstance(answer, p4r.StreamMessageResponse) and answer.WhichOneof("update") in unless:
            answer = self._answers.get(timeout=TIMEOUT_S)
        if isinstance(answer, RpcRefusedError):
            raise answer
        assert answer is None, f"nothing more was expected on the stream: {answer}"

    def all_waiting(self) -> list[p4r.StreamMessageResponse]:
        """Messages until none comes for a while."""
        found: list[p4r.StreamMessageResponse] = []
        while True:
            try:
                answer = self._answers.get(timeout=0.5)
            except queue.Empty:
                return found
            assert isinstance(answer, p4r.StreamMessageResponse)
            found.append(answer)

    def heard(self, within_s: float) -> list[p4r.StreamMessageResponse]:
        """What has come, or comes within a time: one message at most."""
        try:
            answer = self._answers.get(timeout=within_s)
        except queue.Empty:
            return []
        if isinstance(answer, RpcRefusedError):
            raise answer
        assert answer is not None, "the stream has ended"
        return [answer]

    def half_close(self) -> None:
        self._requests.put(None)

    def cancel(self) -> None:
        self._requests.put(None)
        self._call.cancel()


class StalledSession:
    """A StreamChannel of a primary that reads its first message and no other."""

    def __init__(self, stub: p4r_grpc.P4RuntimeStub, device_id: int, election_id: int) -> None:
        self._ended = threading.Event()
        update = p4r.MasterArbitrationUpdate(device_id=device_id, election_id=U128.encode(election_id))
        request = p4r.StreamMessageRequest(arbitration=update)

        def sent() -> Iterator[p4r.StreamMessageRequest]:
            yield request
            self._ended.wait()

        self._call: Any = stub.StreamChannel(sent())
        assert next(self._call).arbitration.status.code == 0

    def rest(self) -> int:
        """Read on; how many messages there are until none comes for a while."""
        threading.Timer(1.0, self.close).start()
        count = 0
        try:
            for _ in self._call:
                count += 1
        except grpc.RpcError as error:
            call: Any = error
            assert call.code() is grpc.StatusCode.CANCELLED, call.details()
        return count

    def close(self) -> None:
        self._ended.set()
        self._call.cancel()


class Client:
    """One channel to a device."""

    def __init__(self, address: str, device_id: int = 1, *, credentials: grpc.ChannelCredentials | None = None) -> None:
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options=OPTIONS)
        else:
            self.channel = grpc.secure_channel(address, credentials, options=OPTIONS)
        self.stub = p4r_grpc.P4RuntimeStub(self.channel)
        self.device_id = device_id
        self.election_id: int | None = None
        self.role = ""
        self._sessions: list[Session] = []

    def session(self) -> Session:
        session = Session(self.stub, self.device_id)
        self._sessions.append(session)
        return session

    def become_primary(self, election_id: int, *, role: str = "", config: str | None = None) -> Session:
        session = self.session()
        session.arbitrate(election_id, role=role, config=config)
        assert session.told() == (0, election_id)
        self.election_id, self.role = election_id, role
        return session

    def write(
        self,
        *updates: str,
        election_id: int | None = None,
        device_id: int | None = None,
        role: str | None = None,
        atomicity: str = "CONTINUE_ON_ERROR",
    ) -> None:
        """Updates as text, such as `INSERT table_entry { ... }`. Raises `RpcRefusedError`."""
        request = p4r.WriteRequest(
            device_id=self.device_id if device_id is None else device_id,
            role=self.role if role is None else role,
            atomicity=p4r.WriteRequest.Atomicity.Value(atomicity),
            updates=[update(text) for text in updates],
        )
        self.write_request(request, election_id)

    def write_request(self, request: p4r.WriteRequest, election_id: int | None = None) -> None:
        chosen = self.election_id if election_id is None else election_id
        if chosen is not None:
            request.election_id.CopyFrom(U128.encode(chosen))
        try:
            self.stub.Write(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise RpcRefusedError(error) from None

    def read(self, *entities: str, device_id: int | None = None) -> list[p4r.Entity]:
        """Raises `RpcRefusedError`; its `partial` are the entities that came before."""
        return [entity for piece in self.read_pieces(*entities, device_id=device_id) for entity in piece]

    def read_pieces(self, *entities: str, device_id: int | None = None) -> Iterable[list[p4r.Entity]]:
        request = p4r.ReadRequest(
            device_id=self.device_id if device_id is None else device_id,
            role=self.role,
            entities=[entity(text) for text in entities],
        )
        try:
            for response in self.stub.Read(request, timeout=TIMEOUT_S):
                yield list(response.entities)
        except grpc.RpcError as error:
            raise RpcRefusedError(error) from None

    def set_config(
        self, action: str, config: p4r.ForwardingPipelineConfig | None = None, *, election_id: int | None = None
    ) -> None:
        request = SET(device_id=self.device_id, role=self.role, action=SET.Action.Value(action), config=config)
        chosen = self.election_id if election_id is None else election_id
        if chosen is not None:
            request.election_id.CopyFrom(U128.encode(chosen))
        try:
            self.stub.SetForwardingPipelineConfig(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise RpcRefusedError(error) from None

    def get_config(self, kind: str = "ALL", *, device_id: int = 1) -> p4r.GetForwardingPipelineConfigResponse:
        request = GET(device_id=device_id, response_type=GET.ResponseType.Value(kind))
        try:
            return self.stub.GetForwardingPipelineConfig(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise RpcRefusedError(error) from None

    def close(self) -> None:
        for session in self._sessions:
            session.cancel()
        self.channel.close()


def update(text: str) -> p4r.Update:
    kind, _, rest = text.partition(" ")
    return text_format.Parse(f"type: {kind} entity {{ {rest} }}", p4r.Update())


def entity(text: str) -> p4r.Entity:
    return text_format.Parse(text, p4r.Entity())


@contextmanager
def connecting(address: str) -> Generator[Callable[[], Client]]:
    """Makes clients, which are closed at the end of the block."""
    made: list[Client] = []

    def connected() -> Client:
        made.append(Client(address))
        return made[-1]

    try:
        yield connected
    finally:
        for client in made:
            client.close()
