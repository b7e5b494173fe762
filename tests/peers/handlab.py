"""A lab of examples/single-node.yaml with both IP families and the MAC addresses of `handwritten`, its tables empty.

The device runs on the kernel; nothing compiles the policies to entries.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from compiler.policy.loading import load_text
from runtime.lab import netns
from runtime.lab.building import Builder
from runtime.lab.devices import device_command
from runtime.lab.installation import turnout_program
from runtime.lab.names import namespace_name
from runtime.lab.teardown import down
from runtime.lab.topology import topology_of
from tests.peers.handwritten import ADDRESSES, MACS, SERVICE_ADDRESS
from tests.peers.processes import ROOT
from tests.peers.traffic import ends

EXAMPLE = ROOT / "examples" / "single-node.yaml"
ALL_PROTOCOLS = 0x0003
"""ETH_P_ALL."""
WAIT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    name: str
    address: str
    """Of the device's server."""

    def workload(self, name: str) -> str:
        return namespace_name(self.name, "workload", "default", name)

    def ask(self, version: int, *, patience_s: int = 5) -> subprocess.CompletedProcess[str]:
        """What curl of the client says to a request to the service."""
        shown = SERVICE_ADDRESS[version] if version == 4 else f"[{SERVICE_ADDRESS[version]}]"
        command = ["curl", "-sS", "-m", str(patience_s), f"http://{shown}/"]
        command = ["ip", "netns", "exec", self.workload("client"), *command]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @contextmanager
    def listening(self) -> Generator[socket.socket]:
        """A socket that gets every frame that the client receives or sends meanwhile."""

        def opened() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
            made.bind(("eth0", ALL_PROTOCOLS))
            return made

        with netns.inside(self.workload("client"), opened) as frames:
            frames.setblocking(False)
            yield frames


def senders(frames: socket.socket) -> set[tuple[str, int]]:
    """Address and port behind each TCP segment that the client has received."""
    found: set[tuple[str, int]] = set()
    while True:
        try:
            data, (_, _, kind, *_) = frames.recvfrom(65_536)
        except BlockingIOError:
            return found
        packet = Ether(data)
        if kind != socket.PACKET_OUTGOING and TCP in packet:
            found.add((ends(packet)[0], int(packet[TCP].sport)))


@contextmanager
def hand_lab(name: str, run: Path) -> Generator[Lab]:
    """`run` is where sockets, logs and the record are."""
    address = f"unix:{run}/dpu-a.sock"
    loaded = load_text(_policies(address))
    assert not loaded.is_refused, loaded.render()
    builder = Builder(device_command=device_command(turnout_program()), say=lambda _line: None, run=run)
    try:
        topology = topology_of(loaded.policies, name)
        builder.up(topology)
        lab = Lab(name=name, address=address)
        _wait_for_addresses(lab.workload(workload) for workload in MACS)
        yield lab
    finally:
        down(name, run)


def _policies(address: str) -> str:
    text = EXAMPLE.read_text().replace("cidrs: [10.2.0.0/24]", "cidrs: [10.2.0.0/24, 'fd02::/64']")
    text = text.replace("  node: node-a\n  ports:", f"  node: node-a\n  address: '{address}'\n  ports:")
    for name, mac in MACS.items():
        old, both = ADDRESSES[4][name], f"{ADDRESSES[4][name]}, '{ADDRESSES[6][name]}'"
        text, count = re.subn(rf"addresses: \[{re.escape(old)}\]", f"addresses: [{both}], mac: '{mac}'", text)
        assert count == 1, f"{EXAMPLE} has no workload with address {old}"
    return text


def _wait_for_addresses(namespaces: Iterable[str]) -> None:
    """Until no IPv6 address is tentative (RFC 4862, section 5.4): the kernel does not use it before."""
    end = time.monotonic() + WAIT_S
    for namespace in namespaces:
        while "tentative" in _shown(namespace):
            assert time.monotonic() < end, f"{namespace} has a tentative address"
            time.sleep(0.1)


def _shown(namespace: str) -> str:
    command = ["ip", "-n", namespace, "-json", "-6", "addr", "show", "dev", "eth0"]
    shown = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return json.dumps(shown)


def lab_name() -> str:
    return f"peer{os.getpid()}"
