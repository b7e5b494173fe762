"""Nobody is held up by another's batch, and nobody sees half of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from finsy.proto import p4r

from tests.conformance.client import Client, RpcRefusedError, Session
from tests.conformance.wired import WiredDevice
from tests.hostile.batches import DELETE, INSERT, MODIFY, address, batch
from tests.hostile.bystander import Bystander
from tests.hostile.conftest import TABLE_SIZE

pytestmark = pytest.mark.slow
Connect = Callable[[], Client]
MANY = range(50_000)
TIMEOUT_S = 120.0
ROLE = "loader"


@pytest.fixture
def loader(connect: Connect, bystander: Bystander, next_id: int) -> tuple[Client, Session]:
    """The primary of another role, which may do everything, too."""
    del bystander
    client = connect()
    return client, client.become_primary(next_id, role=ROLE)


def started(client: Client, request: p4r.WriteRequest) -> Any:
    return client.stub.Write.future(request, timeout=TIMEOUT_S)


def whole(client: Client, *kinds: p4r.Update.Type.ValueType, numbers: range = MANY) -> list[Any]:
    """Batches on their way."""
    assert client.election_id is not None
    election_id, role = client.election_id, client.role
    return [started(client, batch(kind, numbers, election_id=election_id, role=role)) for kind in kinds]


def held(client: Client) -> int:
    return len(client.read("table_entry { table_id: 0x02000001 }"))


def test_others_go_on_while_a_batch_is_applied(
    attacked: WiredDevice, loader: tuple[Client, Session], bystander: Bystander
) -> None:
    """They are answered, may say who they are, and hear of packets: those of the model wait for the batch."""
    client, _ = loader
    bystander.listen()
    (call,) = whole(client, INSERT)
    in_between = 0
    while not call.done():
        bystander.answered()
        bystander.arbitrate()
        if attacked.target == "kernel":
            bystander.packet()
        in_between += not call.done()
    assert call.result() == p4r.WriteResponse()
    assert in_between >= 5, in_between
    assert held(client) == len(MANY) + 1


def test_writes_take_turns_with_those_of_another_role(loader: tuple[Client, Session], bystander: Bystander) -> None:
    """Its whole row of batches is not before them. Making them would take longer than what is measured."""
    client, _ = loader
    assert client.election_id is not None
    requests = [
        batch(kind, range(n * 4000, n * 4000 + 4000), election_id=client.election_id, role=ROLE)
        for kind in (INSERT, MODIFY, DELETE)
        for n in range(12)
    ]
    calls = [started(client, request) for request in requests]
    bystander.listen()
    assert not calls[-1].done()
    for call in calls:
        call.result()
    bystander.work()


def test_a_read_sees_all_of_a_batch_or_none_of_it(loader: tuple[Client, Session]) -> None:
    client, _ = loader
    (call,) = whole(client, INSERT, numbers=range(20_000))
    seen = set[int]()
    while not call.done():
        seen.add(held(client))
    call.result()
    assert seen <= {0, 20_000}
    assert held(client) == 20_000


def test_a_read_sees_nothing_of_a_batch_that_is_taken_back(loader: tuple[Client, Session]) -> None:
    client, _ = loader
    for atomicity in (p4r.WriteRequest.ROLLBACK_ON_ERROR, p4r.WriteRequest.DATAPLANE_ATOMIC):
        assert client.election_id is not None
        request = batch(INSERT, range(10_000), election_id=client.election_id, role=ROLE, atomicity=atomicity)
        request.updates.append(request.updates[0])
        call = started(client, request)
        while not call.done():
            assert held(client) == 0
        assert call.code() is grpc.StatusCode.UNKNOWN
        assert call.details() == "10001 of 10001 updates failed"
        assert held(client) == 0


def test_packets_see_all_of_an_atomic_batch_or_none_of_it(
    attacked: WiredDevice, loader: tuple[Client, Session], bystander: Bystander
) -> None:
    """Two packets each time, for its first entry and for its last: the first is never told without the second."""
    client, session = loader
    assert client.election_id is not None
    last = 9_999
    atomic = p4r.WriteRequest.DATAPLANE_ATOMIC
    numbers, election_id = range(last + 1), client.election_id
    request = batch(INSERT, numbers, election_id=election_id, role=ROLE, port=None, atomicity=atomic)
    call = started(client, request)
    pairs, is_done = 0, False
    while not is_done:
        is_done = call.done()  # so the last pair meets the whole batch
        for number in (0, last):
            attacked.wire.send(16, address(number) + bytes(6) + b"\x08\x00" + pairs.to_bytes(50, "big"))
        pairs += 1
        bystander.answered()
    call.result()
    told = list[tuple[bytes, int]]()
    while (address(last), pairs - 1) not in told:
        payload = session.receive().packet.payload
        told.append((payload[:6], int.from_bytes(payload[14:], "big")))
    first, second = ({pair for to, pair in told if to == address(number)} for number in (0, last))
    assert first <= second


def test_a_new_primary_hears_of_it_when_the_batch_under_way_is_over(
    loader: tuple[Client, Session], connect: Connect, next_id: int
) -> None:
    """What had begun is done as a whole; what waited behind it is refused."""
    client, _ = loader
    first, second = whole(client, INSERT, DELETE, numbers=range(30_000))
    client.stub.Capabilities(p4r.CapabilitiesRequest(), timeout=20)
    successor = connect().session()
    successor.arbitrate(next_id + 1, role=ROLE)
    assert successor.receive().arbitration.status.code == 0
    now = held(client)
    outcomes = (first.code(), second.code())
    ok, denied = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
    assert outcomes in ((ok, ok), (ok, denied), (denied, denied))
    assert now == held(client) == (30_000 if outcomes == (ok, denied) else 0)


def test_a_client_that_goes_in_the_midst_of_its_batch(
    loader: tuple[Client, Session], bystander: Bystander, connect: Connect
) -> None:
    """What has begun is brought to its end."""
    client, session = loader
    (call,) = whole(client, INSERT, numbers=range(30_000))
    for _ in range(5):
        bystander.answered()
    call.cancel()
    session.cancel()
    client.channel.close()
    bystander.work()
    assert held(connect()) in (0, 30_000)


def test_a_batch_that_is_too_long(loader: tuple[Client, Session], bystander: Bystander) -> None:
    client, _ = loader
    (call,) = whole(client, INSERT, numbers=range(TABLE_SIZE + 1))
    assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert call.details() == "the batch has 60001 updates, this device takes 60000 at most"
    assert held(client) == 0
    bystander.work()


def test_every_update_fails_and_every_code_is_told(
    attacked: WiredDevice, loader: tuple[Client, Session], bystander: Bystander
) -> None:
    """To a client that takes what the specification advises: 8192 bytes, and 100 for each update."""
    client, _ = loader
    count = 5_000
    options = (("grpc.max_metadata_size", 8192 + 100 * count),)
    assert client.election_id is not None
    request = batch(MODIFY, range(count), election_id=client.election_id, role=ROLE)
    with grpc.insecure_channel(attacked.address, options=(*options, ("grpc.use_local_subchannel_pool", 1))) as channel:
        write = channel.unary_unary(
            "/p4.v1.P4Runtime/Write", p4r.WriteRequest.SerializeToString, p4r.WriteResponse.FromString
        )
        with pytest.raises(grpc.RpcError) as failed:
            write(request, timeout=TIMEOUT_S)
    refused = RpcRefusedError(failed.value)
    assert refused.code == "UNKNOWN"
    told = sum(bool(text) for _, text in refused.errors)
    left_out = f"; {count - told} are told by their codes alone, their texts would be too long for a status"
    assert refused.text == f"{count} of {count} updates failed{left_out if told < count else ''}"
    assert [code for code, _ in refused.errors] == [5] * count
    assert refused.errors[0][1]
    bystander.work()
