"""The end of a device's server: nothing of an RPC goes on behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from runtime.device import server as served
from runtime.device.listening import UnixAddress
from runtime.device.modeltarget import ModelTarget
from runtime.device.server import Server, Settings
from runtime.device.statefolder import without_folder
from tests.conformance.client import Client, RpcRefusedError

REAL = grpc.aio.server


def rpc_tasks() -> list[str]:
    return [name for task in asyncio.all_tasks() if "_rpc_" in (name := getattr(task.get_coro(), "__qualname__", ""))]


def hasty(*arguments: object, **options: object) -> grpc.aio.Server:
    """A server that says that it has stopped while it still answers: seldom gRPC's own does."""
    made = REAL(*arguments, **options)  # pyright: ignore

    async def stop(grace: float | None) -> None:
        del grace

    made.stop = stop
    return made


def test_it_outlives_what_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event loop that ends before them cancels them, and gRPC logs each with a traceback."""
    settings = Settings(name="d", device_id=1, addresses=(UnixAddress(path=tmp_path / "d.sock"),))

    async def run() -> None:
        monkeypatch.setattr(served.grpc.aio, "server", hasty)
        async with Server(settings, ModelTarget(hash_seed=1), without_folder()) as server:
            await server.started()
            client = Client(f"unix:{tmp_path}/d.sock")
            stream = await asyncio.to_thread(client.become_primary, 1)
            assert rpc_tasks()
        assert not rpc_tasks()
        with pytest.raises(RpcRefusedError) as told:
            await asyncio.to_thread(stream.wait_for_end, unless=("arbitration",))
        assert (told.value.code, told.value.text) == ("UNAVAILABLE", "the device ends")
        client.close()

    asyncio.run(run())
