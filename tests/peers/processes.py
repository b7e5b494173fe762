"""Devices as processes of their own: started, ready, ended, with a log that a failed test shows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from runtime.lab.installation import turnout_program

PACKET_DEVICE = Path(__file__).with_name("packet_device.py")
ROOT = Path(__file__).parents[2]
END_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a packet; `packet` is None when it was dropped."""

    verdict: str
    port: int | None
    packet: Packet | None
    reason: str | None


@dataclass(slots=True)
class PacketDevice:
    """A device on the model target, in a process; packets are handed to it here."""

    process: subprocess.Popen[str]
    address: str

    def send(self, port: int, packet: Packet) -> Sent:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{port} {bytes(packet).hex()}\n")
        self.process.stdin.flush()
        found = json.loads(self.process.stdout.readline())
        frame = bytes.fromhex(found["packet"])
        return Sent(
            verdict=found["verdict"],
            port=found["port"],
            packet=Ether(frame) if frame else None,
            reason=found["reason"],
        )


@contextmanager
def packet_device(folder: Path) -> Generator[PacketDevice]:
    """Without a pipeline; `packet_device.py` runs it."""
    command = [sys.executable, "-m", "tests.peers.packet_device", str(folder / "device.sock")]
    with started(command, folder) as (process, address):
        yield PacketDevice(process, address)


@contextmanager
def model_device(folder: Path) -> Generator[str]:
    """`turnout device run --target model`, without a pipeline; its address."""
    listen = f"unix:{folder}/device.sock"
    command = [turnout_program(), "device", "run", "--name", "peer", "--listen", listen, "--target", "model"]
    with started(command, folder) as (_, address):
        yield address


@contextmanager
def started(command: list[str], folder: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A process that says `ready ADDRESS`, ended by SIGTERM; it must have left no traceback."""
    log = folder / "device.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready "), log.read_text()
            yield process, line.removeprefix("ready ").strip()
        finally:
            _end(process)
    assert "Traceback" not in log.read_text(), log.read_text()


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
