from __future__ import annotations

import asyncio

import pytest
from finsy.proto import U128, p4r

from runtime.device.outbox import MAX_BYTES, MAX_ERROR_BYTES, MAX_MESSAGES, MAX_UNREAD_NOTICES, Outbox
from runtime.device.refusals import RefusedError, exhausted

Message = p4r.StreamMessageResponse


def packet(payload: bytes) -> Message:
    return Message(packet=p4r.PacketIn(payload=payload))


def notice(election_id: int) -> Message:
    return Message(arbitration=p4r.MasterArbitrationUpdate(election_id=U128.encode(election_id)))


def error(size: int) -> Message:
    return Message(error=p4r.StreamError(message="x" * size))


def taken(outbox: Outbox) -> list[Message]:
    async def take() -> list[Message]:
        outbox.end()
        found: list[Message] = []
        while (message := await outbox.take()) is not None:
            found.append(message)
        return found

    return asyncio.run(take())


def test_everything_comes_in_its_order() -> None:
    outbox, given = Outbox(), [packet(b"1"), notice(1), packet(b"2"), error(3)]
    for message in given:
        if message.HasField("arbitration"):
            outbox.notify(message)
        else:
            assert outbox.offer(message)
    assert taken(outbox) == given


@pytest.mark.slow
def test_packets_are_lost_beyond_a_number_and_a_size() -> None:
    outbox = Outbox()
    assert [outbox.offer(packet(b"x")) for _ in range(MAX_MESSAGES + 2)][-3:] == [True, False, False]
    large = Outbox()
    size = MAX_BYTES // 4
    assert [large.offer(packet(bytes(size))) for _ in range(5)] == [True, True, True, False, False]
    assert len(taken(large)) == 3


def test_errors_are_lost_before_packets() -> None:
    outbox = Outbox()
    assert outbox.offer(error(MAX_ERROR_BYTES // 2))
    assert not outbox.offer(error(MAX_ERROR_BYTES // 2))
    assert outbox.offer(packet(bytes(MAX_ERROR_BYTES)))


def test_of_many_notices_the_last_is_kept() -> None:
    outbox = Outbox()
    for election_id in range(1, 1001):
        outbox.notify(notice(election_id))
    kept = taken(outbox)
    assert kept == [*(notice(number) for number in range(1, MAX_UNREAD_NOTICES)), notice(1000)]


def test_notices_are_never_lost_to_packets() -> None:
    outbox = Outbox()
    while outbox.offer(packet(b"x")):
        pass
    outbox.notify(notice(7))
    assert taken(outbox)[-1] == notice(7)


def test_the_end_comes_behind_what_waits_and_the_first_reason_stays() -> None:
    async def run() -> None:
        outbox = Outbox()
        outbox.notify(notice(1))
        outbox.end(exhausted("first"))
        outbox.end(exhausted("second"))
        assert not outbox.offer(packet(b"late"))
        assert await outbox.take() == notice(1)
        with pytest.raises(RefusedError, match="first"):
            await outbox.take()

    asyncio.run(run())
