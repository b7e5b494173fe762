"""Connections, RPCs, reads and half requests without end, by a client with a name; another one does not notice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from finsy.proto import p4r, p4r_grpc

from tests.conformance.certs import Certs
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import running
from tests.conformance.kernel import config_of
from tests.hostile.batches import INSERT, batch
from tests.hostile.conftest import large_table

pytestmark = pytest.mark.slow
LIMITS = {"connections": 12, "calls": 6, "reads": 2, "requests": 2, "handshake-s": 2, "receive-s": 3, "unread-s": 4}
TIMEOUT_S = 30.0
ENTRIES = 8_000


@dataclass(frozen=True, kw_only=True)
class Crowded:
    tcp: str
    unix: str
    certs: Certs

    def client(self, name: str) -> Client:
        """A connection of its own."""
        return Client(self.tcp, credentials=self.certs.credentials(name))


@pytest.fixture
def crowded(tmp_path: Path) -> Generator[Crowded]:
    certs = Certs(folder=tmp_path / "certs")
    certs.make("--client", "alice", "--client", "mallory")
    arguments = ["--name", "d", "--target", "model", "--listen", "127.0.0.1:0", "--listen", f"unix:{tmp_path}/d.sock"]
    arguments += [word for name, value in LIMITS.items() for word in ("--limit", f"{name}={value}")]
    with running([*arguments, *certs.server_arguments], tmp_path) as addresses:
        tcp, unix = addresses.split()
        yield Crowded(tcp=tcp, unix=unix, certs=certs)


@pytest.fixture
def alice(crowded: Crowded) -> Iterator[Client]:
    """The primary, whose table is full of entries."""
    client = crowded.client("alice")
    client.become_primary(1)
    client.set_config("VERIFY_AND_COMMIT", config_of(large_table(), "model"))
    client.write_request(batch(INSERT, range(ENTRIES), election_id=1))
    yield client
    client.close()


@pytest.fixture
def mallory(crowded: Crowded) -> Iterator[Client]:
    client = crowded.client("mallory")
    yield client
    client.close()


def works(client: Client) -> None:
    key = r'table_id: 0x02000001 match { field_id: 1 exact { value: "\006" } }'
    action = r'action { action { action_id: 0x01000002 params { param_id: 1 value: "\001" } } }'
    client.write(f"INSERT table_entry {{ {key} {action} }}")
    assert len(client.read(f"table_entry {{ {key} }}")) == 1
    client.write(f"DELETE table_entry {{ {key} }}")


EVERYTHING = p4r.ReadRequest(device_id=1, entities=[p4r.Entity(table_entry=p4r.TableEntry())])
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535))
"""Of HTTP/2: gRPC's own grows to megabytes, which a test would have to fill."""


def stalled_read(crowded: Crowded, held: ExitStack) -> Any:
    """Mallory's read of everything whose answer stays where it is."""
    credentials = crowded.certs.credentials("mallory")
    channel = held.enter_context(grpc.secure_channel(crowded.tcp, credentials, options=SMALL_WINDOW))
    call: Any = p4r_grpc.P4RuntimeStub(channel).Read(EVERYTHING)
    next(call)
    return call


def refusal(call: Any) -> tuple[str, str]:
    """How an RPC ends, after whatever it still has to tell."""
    with pytest.raises(grpc.RpcError) as refused:
        for _ in call:
            pass
    error = RpcRefusedError(refused.value)
    return error.code, error.text


def test_connections_that_say_nothing(crowded: Crowded, alice: Client) -> None:
    """They are closed, those beyond the limit at once; until then only their address has no room."""
    host, port = crowded.tcp.rsplit(":", 1)
    with ExitStack() as held:
        silent = [held.enter_context(socket.create_connection((host, int(port)))) for _ in range(40)]
        for one in silent:
            one.settimeout(TIMEOUT_S)
        works(alice)
        local = Client(crowded.unix)
        assert local.stub.Capabilities(p4r.CapabilitiesRequest(), timeout=TIMEOUT_S).p4runtime_api_version == "1.5.0"
        local.close()
        for one in silent:
            assert _ended(one)
        another = crowded.client("alice")
        answer = another.stub.Capabilities(p4r.CapabilitiesRequest(), timeout=TIMEOUT_S, wait_for_ready=True)
        assert answer.p4runtime_api_version == "1.5.0"
        another.close()
    works(alice)


def _ended(connection: socket.socket) -> bool:
    """Whatever the device says before it closes."""
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        pass
    return True


def test_streams_without_end(crowded: Crowded, alice: Client, mallory: Client) -> None:
    sessions = [mallory.session() for _ in range(6)]
    for session in sessions:
        session.arbitrate(None)
        assert session.told() == (6, 1)
    another = crowded.client("mallory")
    session = another.session()
    words = "6 RPCs are open of client 'mallory', no more are taken until some of them are over"
    with pytest.raises(RpcRefusedError) as refused:
        session.receive()
    assert (refused.value.code, refused.value.text) == ("RESOURCE_EXHAUSTED", words)
    works(alice)
    sessions[0].cancel()
    sessions[1].half_close()
    sessions[1].wait_for_end()
    later = another.session()
    later.arbitrate(None)
    assert later.told() == (6, 1)
    another.close()


def test_reads_that_nobody_takes(crowded: Crowded, alice: Client, mallory: Client) -> None:
    """They are given up after a time, and their places are free when their client has heard of it."""
    with ExitStack() as held:
        stalled = [stalled_read(crowded, held) for _ in range(2)]
        assert refusal(mallory.stub.Read(EVERYTHING)) == (
            "RESOURCE_EXHAUSTED",
            "2 reads are open of client 'mallory', no more are taken until some of them are over",
        )
        works(alice)
        assert len(alice.read("table_entry { }")) == ENTRIES
        time.sleep(LIMITS["unread-s"] + 1)
        for call in stalled:
            words = "the client has taken nothing for 4 s of what waits for it"
            assert refusal(call) == ("RESOURCE_EXHAUSTED", words)
    assert len(mallory.read("table_entry { }")) == ENTRIES


def test_requests_that_never_come(alice: Client, mallory: Client) -> None:
    """Those of one client hold up that client alone, and are given up."""
    never = threading.Event()

    def half() -> Iterator[bytes]:
        never.wait()
        yield b""

    channel: Any = mallory.channel
    calls: list[Any] = [channel.stream_unary("/p4.v1.P4Runtime/Write").future(half()) for _ in range(2)]
    for _ in range(5):
        works(alice)
    words = ("DEADLINE_EXCEEDED", "the request was not there after 3 s")
    for call in calls:
        assert (call.code().name, call.details()) == words
    never.set()
    assert len(mallory.read("table_entry { }")) == ENTRIES
    works(alice)
