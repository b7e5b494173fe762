"""Digests whose fields have types that controllers know by other names, on both targets."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.conformance.client import Client, Session
from tests.conformance.conftest import TARGETS
from tests.conformance.naming import BEHIND
from tests.conformance.test_digests import ODD, config, frame
from tests.conformance.wired import WiredDevice, wired
from tests.pipelines.digests import named_digests

LOOKED_FOR = 0x9999
ALICE = 'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "alice" } } action { action { action_id: 0x01000002 } } }'  # noqa: E501


@pytest.fixture(scope="module", params=TARGETS)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    with wired(request.param, named_digests(), tmp_path_factory.mktemp("named"), "cdn", named=BEHIND) as made:
        yield made


@pytest.fixture
def primary(device: WiredDevice, next_id: int) -> Generator[tuple[Client, Session]]:
    client = Client(device.address)
    session = client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", device.config)
    yield client, session
    client.close()


def told(session: Session) -> tuple[bytes, ...]:
    """The values of the next digest, which comes alone."""
    message = session.receive()
    assert message.WhichOneof("update") == "digest"
    ((*members,),) = [data.struct.members for data in message.digest.data]
    return tuple(member.bitstring for member in members)


def test_ports_are_told_by_name(device: WiredDevice, primary: tuple[Client, Session]) -> None:
    client, session = primary
    client.write(f"INSERT {config()}")
    device.wire.send(16, frame(0x0200000000AA))
    assert told(session) == (b"web", b"")
    device.wire.send(1, frame(0x0200000000AA))
    assert told(session) == (b"up1", b"")


def test_values_are_told_as_they_were_written(device: WiredDevice, primary: tuple[Client, Session]) -> None:
    """`alice` gets the number 1; one that nobody has named is told as the empty string."""
    client, session = primary
    client.write(f"INSERT {ALICE}", f"INSERT {config(ODD)}")
    device.wire.send(17, frame(1, LOOKED_FOR))
    assert told(session) == (b"\x99\x99", b"alice", b"\x01")
    device.wire.send(17, frame(2, LOOKED_FOR))
    assert told(session) == (b"\x99\x99", b"", b"\x01")
