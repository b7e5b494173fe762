"""Packets and digests with clients that are not written here: finsy and p4runtime-shell, on the model and its ports."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import finsy as fy
import pytest
from google.protobuf import text_format

from compiler.ir.nodes import Pipeline
from tests.conformance.wired import WiredDevice, wired
from tests.peers.finsyclient import options
from tests.pipelines.controllers import controllers
from tests.pipelines.digests import digests

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SCRIPT = Path(__file__).with_name("stream_session.py")
PUNTED = bytes.fromhex("02000000000102000000009988b5") + bytes(46)
SENT = bytes.fromhex("02000000000302000000009988b5") + bytes(46)
AS_TOLD = PUNTED[:6] + bytes.fromhex("020000000055") + PUNTED[12:]


@contextmanager
def started(pipeline: Pipeline, folder: Path) -> Generator[tuple[WiredDevice, tuple[Path, Path]]]:
    """A device, and the files that clients load."""
    with wired("model", pipeline, folder, "") as device:
        info, bundle = folder / "p4info.txtpb", folder / "bundle"
        info.write_text(text_format.MessageToString(device.config.p4info))
        bundle.write_bytes(device.config.p4_device_config)
        yield device, (info, bundle)


async def first(found: Any) -> Any:
    """The first of what an asynchronous iterator gives."""
    return await asyncio.wait_for(anext(found), 10)


def test_finsy_gets_and_sends_packets(tmp_path: Path) -> None:
    with started(controllers(), tmp_path) as (device, files):
        asyncio.run(_finsy_packets(device, files))


async def _finsy_packets(device: WiredDevice, files: tuple[Path, Path]) -> None:
    async with fy.Switch("device", device.address, options(files, 1)) as switch:
        call = fy.P4TableAction("to_controller", reason=37, src="02:00:00:00:00:55")
        match = fy.P4TableMatch({"address": "02:00:00:00:00:01"})
        await switch.insert([fy.P4TableEntry("destination", match=match, action=call)])
        packets: Any = switch.read_packets()
        waiting = asyncio.ensure_future(first(packets))
        await asyncio.sleep(0.2)
        device.wire.send(16, PUNTED)
        packet = await waiting
        assert packet.payload == AS_TOLD
        assert packet.metadata == {"ingress_port": 16, "reason": 37, "entropy": 0}
        await switch.write([fy.P4PacketOut(SENT, egress_port=17, submit_to_ingress=0, unused=0)])
        assert await asyncio.to_thread(device.wire.receive, 17) == SENT


def test_finsy_gets_digests_and_acknowledges_them(tmp_path: Path) -> None:
    with started(digests(), tmp_path) as (device, files):
        asyncio.run(_finsy_digests(device, files))


async def _finsy_digests(device: WiredDevice, files: tuple[Path, Path]) -> None:
    async with fy.Switch("device", device.address, options(files, 1)) as switch:
        await switch.insert([fy.P4DigestEntry("mac_learn", ack_timeout_ns=3_600_000_000_000)])
        lists: Any = switch.read_digests("mac_learn")
        for list_id in (1, 2):  # the second only because the first is acknowledged
            waiting = asyncio.ensure_future(first(lists))
            await asyncio.sleep(0.2)
            device.wire.send(16, SENT)
            found = await waiting
            assert (found.list_id, found.data) == (list_id, [{"port": 16, "src": 0x020000000099}])
            await switch.write([found.ack()])
            await asyncio.sleep(0.2)


@contextmanager
def shell(python: Path, device: WiredDevice, files: tuple[Path, Path], what: str) -> Generator[subprocess.Popen[str]]:
    """The script, once it is ready for frames."""
    command = [str(python), str(SCRIPT), device.address, *map(str, files), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            while (line := process.stdout.readline()) != "ready\n":
                assert line, "the shell has ended"
            yield process
            process.stdin.write("\n")
        finally:
            process.stdin.close()
            process.wait(timeout=20)
    assert process.returncode == 0


def answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_p4runtime_shell_gets_and_sends_packets(tmp_path: Path, python_of_shell: Path) -> None:
    with (
        started(controllers(), tmp_path) as (device, files),
        shell(python_of_shell, device, files, "packets") as process,
    ):
        device.wire.send(16, PUNTED)
        assert answer(process) == [[AS_TOLD.hex(), {"1": "10", "2": "25", "4": "00"}]]
        assert device.wire.receive(17) == SENT


def test_p4runtime_shell_gets_digests_and_acknowledges_them(tmp_path: Path, python_of_shell: Path) -> None:
    with started(digests(), tmp_path) as (device, files), shell(python_of_shell, device, files, "digests") as process:
        for _ in range(2):
            device.wire.send(16, SENT)
            time.sleep(0.5)
        assert answer(process) == [[["10", "020000000099"]]] * 2
