"""Where forwarded packets come in and arrive: a way's two workloads, and what they are behind."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from bench.forwarding.flows import Datagrams, End, Flows, answers, calls
from bench.lab.places import Way
from bench.lab.programs import TrafficError
from runtime.bpf.namespaces import entered
from runtime.lab.netns import tool

WORKLOAD_INTERFACE = "eth0"
_DISCARD = 9
_PATIENCE_S, _LOOK_S = 3.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A node's interface that leads to a workload."""

    namespace: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A way, its client's address and what its server is called at, and the node's interfaces to both."""

    way: Way
    client: str
    served: End
    client_port: Port
    server_port: Port

    def flows(self, count: int) -> Flows:
        called = End(address=self.way.address, port=self.way.port)
        return Flows(client=self.client, called=called, served=self.served, count=count)


def calls_on(lane: Lane, count: int) -> Datagrams:
    """Raises `TrafficError` when the client finds no way to the server."""
    return calls(lane.flows(count), _macs(lane.way.client, lane.way.address))


def answers_on(lane: Lane, count: int) -> Datagrams:
    """Raises `TrafficError` when the server finds no way to the client."""
    return answers(lane.flows(count), _macs(lane.way.server, lane.client))


def _macs(space: str, address: str) -> bytes:
    """Of the frames that a workload sends there: that of the next hop, for which it asks, and its own."""
    own = _told(space, "link", "show", "dev", WORKLOAD_INTERFACE)[0]["address"]
    hop = _told(space, "route", "get", address)[0].get("gateway", address)
    with entered(space), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.sendto(b"", (address, _DISCARD))
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        for neighbor in _told(space, "neigh", "show", "to", hop, "dev", WORKLOAD_INTERFACE):
            if "lladdr" in neighbor:
                return bytes.fromhex((neighbor["lladdr"] + own).replace(":", ""))
        time.sleep(_LOOK_S)
    raise TrafficError(f"{hop} does not answer the ARP requests of {space}")


def _told(space: str, *words: str) -> list[dict[str, Any]]:
    command = [tool("ip", "iproute2"), "-n", space, "-json", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise TrafficError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return json.loads(done.stdout or "[]")
