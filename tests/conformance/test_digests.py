"""Digests (P4Runtime specification, "DigestEntry") on both targets: configured, told, acknowledged."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator

import pytest
from finsy.proto import p4r

from tests.conformance.client import Client, RpcRefusedError, Session, connecting
from tests.conformance.conftest import TARGETS
from tests.conformance.wired import WiredDevice, wired
from tests.pipelines.digests import digests

LEARN, ODD, OTHER = "0x17000001", "0x17000002", "0x17000009"
SECOND = 1_000_000_000


def config(digest: str = LEARN, *, timeout: int = 0, size: int = 0, ack: int = 0) -> str:
    return f"digest_entry {{ digest_id: {digest} config {{ max_timeout_ns: {timeout} max_list_size: {size} ack_timeout_ns: {ack} }} }}"


def frame(src: int, kind: int = 0x88B5) -> bytes:
    return bytes(6) + src.to_bytes(6, "big") + kind.to_bytes(2, "big") + bytes(40)


@pytest.fixture(scope="module", params=TARGETS)
def wired_device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    with wired(request.param, digests(), tmp_path_factory.mktemp("digests"), "cdg") as made:
        yield made


@pytest.fixture
def clients(wired_device: WiredDevice) -> Iterator[Callable[[], Client]]:
    with connecting(wired_device.address) as connect:
        yield connect


@pytest.fixture
def primary(clients: Callable[[], Client], wired_device: WiredDevice, next_id: int) -> tuple[Client, Session]:
    client = clients()
    session = client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", wired_device.config)
    return client, session


def told(session: Session) -> tuple[int, int, list[tuple[int, ...]]]:
    """Digest, list and the numbers of the next message."""
    message = session.receive()
    assert message.WhichOneof("update") == "digest"
    numbers = [tuple(int.from_bytes(m.bitstring, "big") for m in data.struct.members) for data in message.digest.data]
    assert abs(message.digest.timestamp - time.time_ns()) < 60 * SECOND
    return message.digest.digest_id, message.digest.list_id, numbers


def acknowledge(session: Session, list_id: int, digest: str = LEARN) -> None:
    ack = p4r.DigestListAck(digest_id=int(digest, 16), list_id=list_id)
    session.send(p4r.StreamMessageRequest(digest_ack=ack))


def refused(client: Client, update: str) -> tuple[int, str]:
    with pytest.raises(RpcRefusedError) as error:
        client.write(update)
    return error.value.errors[0]


def test_the_entity(primary: tuple[Client, Session]) -> None:
    client, _ = primary
    assert client.read("digest_entry { }") == []
    client.write(f"INSERT {config(timeout=5, size=7, ack=9)}", f"INSERT {config(ODD)}")
    assert [e.digest_entry.digest_id for e in client.read("digest_entry { }")] == [int(LEARN, 16), int(ODD, 16)]
    (found,) = client.read(f"digest_entry {{ digest_id: {LEARN} }}")
    assert (found.digest_entry.config.max_timeout_ns, found.digest_entry.config.max_list_size) == (5, 7)
    client.write(f"MODIFY {config(timeout=1, ack=2)}")
    (found,) = client.read(f"digest_entry {{ digest_id: {LEARN} }}")
    assert found.digest_entry.config == p4r.DigestEntry.Config(max_timeout_ns=1, ack_timeout_ns=2)
    client.write(f"DELETE digest_entry {{ digest_id: {LEARN} }}")
    assert client.read(f"digest_entry {{ digest_id: {LEARN} }}") == []


ROWS = [
    (f"INSERT {config(OTHER)}", 3, "the pipeline has no digest of id 0x17000009"),
    ("INSERT digest_entry { }", 3, "digest id is missing"),
    (f"INSERT {config()}", 6, "digest mac_learn: it is told already"),
    (f"MODIFY {config(ODD)}", 5, "digest odd_type: it is not told"),
    (f"DELETE {config(ODD)}", 5, "digest odd_type: it is not told"),
    (f"MODIFY {config(timeout=-1)}", 3, "digest mac_learn: max_timeout_ns is -1, it cannot be negative"),
    (f"MODIFY {config(size=-2)}", 3, "digest mac_learn: max_list_size is -2, it cannot be negative"),
    (f"MODIFY {config(ack=-3)}", 3, "digest mac_learn: ack_timeout_ns is -3, it cannot be negative"),
]


@pytest.mark.parametrize(("update", "code", "text"), ROWS)
def test_what_is_refused(primary: tuple[Client, Session], update: str, code: int, text: str) -> None:
    client, _ = primary
    client.write(f"INSERT {config(timeout=4)}")
    assert refused(client, update) == (code, text)
    (found,) = client.read("digest_entry { }")
    assert found.digest_entry.config == p4r.DigestEntry.Config(max_timeout_ns=4)


@pytest.mark.parametrize("atomicity", ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_a_batch_that_fails_leaves_digests_as_they_were(primary: tuple[Client, Session], atomicity: str) -> None:
    client, _ = primary
    client.write(f"INSERT {config(timeout=4)}")
    with pytest.raises(RpcRefusedError):
        client.write(
            f"MODIFY {config(timeout=5)}",
            f"INSERT {config(ODD)}",
            f"DELETE {config()}",
            f"INSERT {config(OTHER)}",
            atomicity=atomicity,
        )
    (found,) = client.read("digest_entry { }")
    assert found.digest_entry.config == p4r.DigestEntry.Config(max_timeout_ns=4)


def test_nothing_is_told_that_nobody_asked_for(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    client, session = primary
    client.write(f"INSERT {config(ODD)}")
    wired_device.wire.send(16, frame(5))
    assert session.is_silent()
    wired_device.wire.send(16, frame(6, 0x9999))
    assert told(session) == (int(ODD, 16), 1, [(0x9999, 6, 1)])


def test_each_is_told_once_until_it_is_acknowledged(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    client, session = primary
    client.write(f"INSERT {config(ack=3600 * SECOND)}")
    for _ in range(3):
        wired_device.wire.send(16, frame(5))
    assert told(session) == (int(LEARN, 16), 1, [(16, 5)])
    wired_device.wire.send(17, frame(5))
    assert told(session) == (int(LEARN, 16), 2, [(17, 5)])
    wired_device.wire.send(16, frame(5))
    assert session.is_silent()
    acknowledge(session, 1)
    time.sleep(0.2)
    for port in (16, 17):
        wired_device.wire.send(port, frame(5))
    assert told(session) == (int(LEARN, 16), 3, [(16, 5)])
    assert session.is_silent()


def test_the_time_for_an_acknowledgement_ends(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    client, session = primary
    client.write(f"INSERT {config(ack=SECOND)}")
    wired_device.wire.send(16, frame(5))
    assert told(session)[1:] == (1, [(16, 5)])
    wired_device.wire.send(16, frame(5))
    assert session.is_silent()
    time.sleep(1.2)
    wired_device.wire.send(16, frame(5))
    assert told(session)[1:] == (2, [(16, 5)])


def test_lists_are_bounded_by_size_and_time(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    client, session = primary
    client.write(f"INSERT {config(size=10, timeout=SECOND // 2, ack=3600 * SECOND)}")
    for _ in range(2):  # duplicates are told once, also within a list
        for src in range(1, 26):
            wired_device.wire.send(16, frame(src))
    lists = [told(session)[2] for _ in range(3)]
    assert lists == [[(16, src) for src in range(first, min(first + 10, 26))] for first in (1, 11, 21)]


def test_only_the_primary_is_told(
    wired_device: WiredDevice, primary: tuple[Client, Session], clients: Callable[[], Client], next_id: int
) -> None:
    client, session = primary
    backup = clients().session()
    backup.arbitrate(next_id - 1)
    backup.told()
    client.write(f"INSERT {config()}")
    wired_device.wire.send(16, frame(5))
    assert told(session)[2] == [(16, 5)]
    assert backup.is_silent()
    acknowledge(backup, 1)
    error = backup.receive().error
    assert (error.canonical_code, error.message) == (7, "Not primary: this client is a backup of the default role")
    assert error.digest_list_ack.digest_list_ack.list_id == 1


def test_acknowledgements_that_mean_nothing(primary: tuple[Client, Session]) -> None:
    client, session = primary
    client.write(f"INSERT {config()}")
    acknowledge(session, 99)
    assert session.is_silent()
    acknowledge(session, 1, OTHER)
    error = session.receive().error
    assert (error.canonical_code, error.message) == (3, "the pipeline has no digest of id 0x17000009")
    assert error.digest_list_ack.digest_list_ack.digest_id == int(OTHER, 16)


def test_a_flood_of_digests(wired_device: WiredDevice, primary: tuple[Client, Session]) -> None:
    """Many sources at once: each is told once at most, clients are answered, packets pass."""
    client, session = primary
    client.write(f"INSERT {config(size=100, timeout=SECOND // 10, ack=3600 * SECOND)}")
    count = 20_000 if wired_device.target == "kernel" else 2_000
    slowest = 0.0
    for src in range(1, count + 1):
        wired_device.wire.send(16, frame(src))
        if src % 500 == 0:
            started = time.monotonic()
            client.read("digest_entry { }")
            slowest = max(slowest, time.monotonic() - started)
    messages = session.all_waiting()
    numbers = [int.from_bytes(data.struct.members[1].bitstring, "big") for m in messages for data in m.digest.data]
    assert len(numbers) == len(set(numbers))
    assert len(numbers) > 500
    assert max(len(m.digest.data) for m in messages) <= 100
    assert slowest < 1
    lost = count - len(numbers)
    if lost:
        end = time.monotonic() + 5
        while f"{lost} in all" not in wired_device.log.read_text():
            assert time.monotonic() < end
            time.sleep(0.1)
