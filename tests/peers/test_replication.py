"""Multicast groups and clone sessions with clients that are not written here: finsy and p4runtime-shell."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import finsy as fy
import pytest
from finsy.p4entity import P4Replica

from tests.conformance.test_replication import CLONED, TO_GROUP, frame
from tests.conformance.wired import WiredDevice
from tests.peers.finsyclient import options
from tests.peers.test_stream import started
from tests.pipelines.replicating import replicating

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SCRIPT = Path(__file__).with_name("replication_session.py")
LEFT = frame(TO_GROUP, CLONED, 1000, ttl=63)
CAME = frame(TO_GROUP, CLONED, 1000)


def copied(device: WiredDevice) -> list[bytes | None]:
    """What comes out of ports 16, 17 and 1."""
    device.wire.send(16, CAME)
    return [device.wire.receive(port) for port in (16, 17, 1)]


async def all_of(entries: Any) -> list[Any]:
    return [entry async for entry in entries]


def test_finsy(tmp_path: Path) -> None:
    with started(replicating(), tmp_path) as (device, files):
        asyncio.run(_finsy(device, files))


async def _finsy(device: WiredDevice, files: tuple[Path, Path]) -> None:
    async with fy.Switch("device", device.address, options(files, 1)) as switch:
        to_group = fy.P4TableAction("to_group", group=5)
        mirror = fy.P4TableAction("mirror_to", session=6)
        group = fy.P4MulticastGroupEntry(5, replicas=[16], metadata=b"finsy")
        session = fy.P4CloneSessionEntry(6, replicas=[(1, 7)], packet_length_bytes=60)
        await switch.insert(
            [
                fy.P4TableEntry("destination", match=fy.P4TableMatch({"address": TO_GROUP}), action=to_group),
                fy.P4TableEntry("mirrored", match=fy.P4TableMatch({"address": CLONED}), action=mirror),
                group,
                session,
            ]
        )
        group.replicas = [(16, 0), (17, 2)]
        await switch.modify([group])
        asked: list[Any] = [fy.P4MulticastGroupEntry(), fy.P4CloneSessionEntry()]
        read: list[Any] = await all_of(switch.read(asked))
        replicas = (16, P4Replica(17, instance=2))
        assert read == [
            fy.P4MulticastGroupEntry(5, replicas=replicas, metadata=b"finsy"),
            fy.P4CloneSessionEntry(6, replicas=(P4Replica(1, instance=7),), packet_length_bytes=60),
        ]
        assert await asyncio.to_thread(copied, device) == [LEFT, LEFT, CAME[:60]]
        await switch.delete_all()
        assert await all_of(switch.read(asked)) == []


def test_p4runtime_shell(tmp_path: Path, python_of_shell: Path) -> None:
    with started(replicating(), tmp_path) as (device, files):
        command = [str(python_of_shell), str(SCRIPT), device.address, *map(str, files)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            while (line := process.stdout.readline()) != "ready\n":
                assert line, "the shell has ended"
            assert json.loads(process.stdout.readline()) == [[5, [[16, 1], [17, 2]]], [6, 60, [[1, 7]]]]
            assert copied(device) == [LEFT, LEFT, CAME[:60]]
            process.stdin.write("\n")
        assert process.returncode == 0
