"""Clients that do not read, and such as send without end: nobody else waits for them, or hears less."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from finsy.proto import U128, p4r, p4r_grpc

from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.fuzzing.watching import held_by
from tests.conformance.wired import WiredDevice
from tests.hostile.bystander import Bystander
from tests.hostile.conftest import device_process

pytestmark = pytest.mark.slow
SMALL_WINDOW = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 65_535),
    ("grpc.use_local_subchannel_pool", 1),
)


class Stalled:
    """A stream that sends what it is given, and reads nothing before it is asked to."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=SMALL_WINDOW)
        self._ended = threading.Event()
        self._messages: list[p4r.StreamMessageRequest] = []
        self._given = threading.Semaphore(0)
        self._call: Any = p4r_grpc.P4RuntimeStub(self._channel).StreamChannel(self._sent())

    def send(self, message: p4r.StreamMessageRequest, count: int = 1) -> None:
        self._messages += [message] * count
        self._given.release(count)

    def arbitrate(self, election_id: int, role: str) -> None:
        update = p4r.MasterArbitrationUpdate(device_id=1, election_id=U128.encode(election_id))
        update.role.name = role
        self.send(p4r.StreamMessageRequest(arbitration=update))

    def next(self) -> p4r.StreamMessageResponse:
        return next(self._call)

    def end(self) -> RpcRefusedError:
        """Read everything; how the stream ends."""
        try:
            while True:
                next(self._call)
        except grpc.RpcError as error:
            return RpcRefusedError(error)

    def close(self) -> None:
        self._ended.set()
        self._given.release()
        self._call.cancel()
        self._channel.close()

    def _sent(self) -> Iterator[p4r.StreamMessageRequest]:
        at = 0
        while self._given.acquire() and not self._ended.is_set():
            yield self._messages[at]
            at += 1


@pytest.fixture
def stalled(attacked: WiredDevice, bystander: Bystander) -> Iterator[Stalled]:
    del bystander
    made = Stalled(attacked.address)
    yield made
    made.close()


def test_a_primary_that_says_so_again_and_again(
    connect: Callable[[], Client], stalled: Stalled, bystander: Bystander, next_id: int
) -> None:
    """A backup that does not read keeps its stream, and hears how things are in the end."""
    role = "r" * 250
    stalled.arbitrate(next_id, role)
    assert stalled.next().arbitration.status.code == 0
    noisy = connect().session()
    last = next_id + 900
    for election_id in range(next_id + 1, last + 1):
        noisy.arbitrate(election_id, role=role)
    while noisy.told() != (0, last):
        pass
    bystander.work()
    told = stalled.next().arbitration
    while U128.decode(told.election_id) < last:
        told = stalled.next().arbitration
    assert told.status.code == 6
    stalled.arbitrate(last + 1, role)
    assert stalled.next().arbitration.status.code == 0


def test_packet_outs_whose_errors_nobody_reads(
    attacked: WiredDevice, stalled: Stalled, bystander: Bystander, next_id: int
) -> None:
    """Errors carry the packet: 60 MB of them are not kept."""
    process = device_process(attacked.address)
    stalled.arbitrate(next_id, "flood")
    assert stalled.next().arbitration.status.code == 0
    before = held_by(process).memory_mib
    stalled.send(p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=bytes(20_000))), 3_000)
    for _ in range(10):
        bystander.work()
    assert held_by(process).memory_mib < before + 40


def test_a_primary_that_reads_nothing_loses_its_stream(
    connect: Callable[[], Client], stalled: Stalled, bystander: Bystander, next_id: int
) -> None:
    """First it loses packets; then, when it has taken nothing for 3 seconds, a backup may be primary."""
    stalled.arbitrate(next_id, "listener")
    assert stalled.next().arbitration.status.code == 0
    backup = connect().session()
    backup.arbitrate(next_id - 1, role="listener")
    assert backup.told() == (6, next_id)
    bystander.listen()
    while not (heard := backup.heard(0.01)):
        bystander.packet()
    (message,) = heard
    assert (message.arbitration.status.code, U128.decode(message.arbitration.election_id)) == (5, next_id)
    ended = stalled.end()
    assert (ended.code, ended.text) == (
        "RESOURCE_EXHAUSTED",
        "the client has taken nothing for 3 s of what waits for it",
    )
    backup.arbitrate(next_id, role="listener")
    assert backup.told() == (0, next_id)
    bystander.packet()
