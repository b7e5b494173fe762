"""A device's start while clients are there: what they are told, how it ends early, and what is left then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r, p4r_grpc
from typer.testing import CliRunner

from cli.main import app
from compiler.ir.nodes import Pipeline
from runtime.client.devicestatus import read_status
from runtime.client.errors import ClientError
from runtime.client.session import Session
from runtime.device import opening
from runtime.device.journal.records import update_count
from runtime.device.listening import UnixAddress
from runtime.device.modeltarget import ModelTarget
from runtime.device.progress import Progress, StoppedError
from runtime.device.server import Server, Settings
from runtime.device.statefolder import Kept, StateFolder, without_folder
from runtime.device.status.status_pb2 import Starting
from runtime.device.target import TargetError
from tests.conformance.client import Client, RpcRefusedError
from tests.unit.device.journal.device import Device, config_of
from tests.unit.device.journal.test_replay import entry

PATIENCE_S = 60
STARTS = "the device starts, try again: it replays its journal, 3 of 8 updates"
FAILS = "the device cannot start: the journal is damaged"


class Held:
    """The journal of a device, which is read when a test says so; until then 3 of its 8 updates are."""

    def __init__(self) -> None:
        self.is_reading, self.goes_on = threading.Event(), threading.Event()
        self.failure: TargetError | None = None
        self._empty = without_folder()
        self.beginning = replace(self._empty, read=self._read)

    def _read(self, progress: Progress) -> Kept:
        progress.begin("replays its journal", 8, "updates")
        progress.advance(3)
        self.is_reading.set()
        while not self.goes_on.wait(0.01):
            progress.advance(0)
        if self.failure is not None:
            raise self.failure
        return self._empty.read(progress)


def starting(folder: Path, held: Held, act: Callable[[str, Callable[[], None]], None]) -> None:
    """Do something in a thread while a device starts; it is given the address, and what waits for the start's end."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        settings = Settings(name="d", device_id=1, addresses=(UnixAddress(path=folder / "d.sock"),))
        async with Server(settings, ModelTarget(hash_seed=1), held.beginning) as server:

            def started() -> None:
                asyncio.run_coroutine_threadsafe(server.started(), loop).result(PATIENCE_S)

            assert await asyncio.to_thread(held.is_reading.wait, PATIENCE_S)
            await asyncio.to_thread(act, f"unix:{folder}/d.sock", started)

    asyncio.run(run())


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(RpcRefusedError) as caught:
        call()
    return caught.value.code, caught.value.text


def rpc(call: Callable[[p4r_grpc.P4RuntimeStub], object], client: Client) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(client.stub)
    return caught.value.code().name, caught.value.details()  # pyright: ignore


def every_refusal(client: Client) -> set[tuple[str, str]]:
    return {
        rpc(lambda stub: stub.Write(p4r.WriteRequest(device_id=1), timeout=PATIENCE_S), client),
        rpc(lambda stub: list(stub.Read(p4r.ReadRequest(device_id=1), timeout=PATIENCE_S)), client),
        rpc(lambda stub: stub.SetForwardingPipelineConfig(p4r.SetForwardingPipelineConfigRequest()), client),
        rpc(lambda stub: stub.GetForwardingPipelineConfig(p4r.GetForwardingPipelineConfigRequest()), client),
        rpc(lambda stub: list(stub.StreamChannel(iter([p4r.StreamMessageRequest()]), timeout=PATIENCE_S)), client),
    }


def test_what_clients_hear(tmp_path: Path) -> None:
    held = Held()

    def act(address: str, started: Callable[[], None]) -> None:
        client = Client(address)
        assert every_refusal(client) == {("UNAVAILABLE", STARTS)}
        answer = client.stub.Capabilities(p4r.CapabilitiesRequest(device_id=1), timeout=PATIENCE_S)
        assert answer.p4runtime_api_version == "1.5.0"
        told = Starting()
        assert answer.experimental.Unpack(told)
        assert (told.what, told.done, told.of_all, told.unit) == ("replays its journal", 3, 8, "updates")
        another = rpc(lambda stub: stub.Capabilities(p4r.CapabilitiesRequest(device_id=2)), client)
        assert another == ("NOT_FOUND", "there is no device 2 here, only 1")
        shown = CliRunner().invoke(app, ["show", "device", "--device", address])
        line = shown.stdout.splitlines()[1]
        assert line.startswith("it starts: it replays its journal, 3 of 8 updates; since ")
        held.goes_on.set()
        started()
        assert not read_status(address).HasField("starting")
        assert not client.stub.Capabilities(p4r.CapabilitiesRequest(), timeout=PATIENCE_S).HasField("experimental")
        client.become_primary(1)
        client.close()

    starting(tmp_path, held, act)


def test_a_session_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.client.session.TELL_S", 0.0)
    held, said = Held(), list[str]()

    def waits(text: str) -> None:
        said.append(text)
        held.goes_on.set()

    def act(address: str, _started: Callable[[], None]) -> None:
        with Session(address, waits=waits) as session:
            session.become_primary()
            assert session.pipeline() is None
        assert said[0] == f"{address} starts: it replays its journal, 3 of 8 updates"

    starting(tmp_path, held, act)


def test_a_start_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits hears why, as long as it takes to ask once more."""
    monkeypatch.setattr(opening, "LAST_WORDS_S", PATIENCE_S)
    held, said = Held(), list[str]()
    held.failure = TargetError("the journal is damaged")

    def act(address: str, _started: Callable[[], None]) -> None:
        client = Client(address)
        assert every_refusal(client) == {("UNAVAILABLE", STARTS)}
        held.goes_on.set()
        with pytest.raises(ClientError) as caught, Session(address, waits=said.append) as session:
            session.become_primary()
        assert str(caught.value) == f"{address} refused arbitration (INTERNAL): {FAILS}"
        assert every_refusal(client) == {("INTERNAL", FAILS)}
        assert rpc(lambda stub: stub.Capabilities(p4r.CapabilitiesRequest()), client) == ("INTERNAL", FAILS)
        with pytest.raises(ClientError) as caught:
            read_status(address)
        assert str(caught.value) == f"{address} does not tell how it is (INTERNAL): {FAILS}"
        client.close()

    starting(tmp_path, held, act)


def test_a_start_that_fails_with_nobody_there(tmp_path: Path) -> None:
    held = Held()
    held.failure = TargetError("the journal is damaged")
    held.goes_on.set()

    async def run() -> None:
        settings = Settings(name="d", device_id=1, addresses=(UnixAddress(path=tmp_path / "d.sock"),))
        async with Server(settings, ModelTarget(hash_seed=1), held.beginning) as server:
            await server.started()

    with pytest.raises(TargetError, match=r"^the journal is damaged$"):
        asyncio.run(run())
    assert not (tmp_path / "d.sock").exists()


def test_a_device_that_ends_while_it_starts(tmp_path: Path) -> None:
    """Nothing but its end lets the start's thread go on."""
    starting(tmp_path, Held(), lambda _address, _started: None)
    assert not (tmp_path / "d.sock").exists()


def written(path: Path, pipeline: Pipeline) -> int:
    """A folder whose journal has some batches; how many updates."""
    device = Device(path)
    device.set("VERIFY_AND_COMMIT", config_of(pipeline))
    for first in range(3):
        assert device.write([entry(first)]) == [None]
    device.kill()
    return 3


def test_a_replay_is_counted_and_can_be_stopped(tmp_path: Path, pipeline: Pipeline) -> None:
    count, files = (
        written(tmp_path, pipeline),
        lambda: {one.name: one.read_bytes() for one in (tmp_path / "journal").glob("0*")},
    )
    before = files()
    folder, progress = StateFolder(tmp_path), Progress()
    beginning = folder.begin("model", clean=False)
    progress.stop()
    with pytest.raises(StoppedError):
        beginning.read(progress)
    folder.close()
    assert files() == before
    folder, progress = StateFolder(tmp_path), Progress()
    kept = folder.begin("model", clean=False).read(progress)
    assert str(progress.step) == f"replays its journal, {count} of {count} updates"
    assert kept.replay.committed is not None
    folder.forget()
    folder.close()
    assert files() == {}


def test_an_ephemeral_device_that_ends_while_it_replays(tmp_path: Path, pipeline: Pipeline) -> None:
    written(tmp_path, pipeline)
    folder = StateFolder(tmp_path)
    folder.begin("model", clean=False)
    folder.forget()
    folder.close()
    assert not list((tmp_path / "journal").glob("0*"))


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("length", [0, 100, 20_000])
def test_updates_of_a_record(count: int, length: int) -> None:
    request = p4r.WriteRequest(device_id=1 << 60, role="role", atomicity=p4r.WriteRequest.DATAPLANE_ATOMIC)
    request.election_id.high = 7
    for _ in range(count):
        request.updates.add().entity.table_entry.metadata = bytes(length)
    raw = request.SerializeToString()
    assert update_count(memoryview(raw)) == count
    assert update_count(memoryview(raw[:-1])) <= count
