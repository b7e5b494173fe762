"""A device on the model target that takes packets: `packet_device.py SOCKET`, as `turnout device run` otherwise.

A line "PORT HEX" on stdin is a frame received by that port; the line on stdout is JSON: verdict, port, packet, reason.
Ends when stdin does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from runtime.device.listening import UnixAddress
from runtime.device.modeltarget import ModelTarget
from runtime.device.server import Server, Settings
from runtime.device.statefolder import without_folder


def answer(target: ModelTarget, line: str) -> str:
    port, frame = line.split()
    outcome = target.process(int(port), bytes.fromhex(frame))
    found = {
        "verdict": outcome.verdict.name,
        "port": outcome.egress_port,
        "packet": outcome.packet.hex(),
        "reason": outcome.drop_reason,
    }
    return json.dumps(found)


async def main(path: Path) -> None:
    target = ModelTarget(hash_seed=1)
    settings = Settings(name="packets", device_id=1, addresses=(UnixAddress(path=path),))
    async with Server(settings, target, without_folder()) as server:
        await server.started()
        print(f"ready {server.addresses[0]}", flush=True)
        # Frames are processed in the event loop, as packets and writes never meet half-way in a device.
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(answer(target, line), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
