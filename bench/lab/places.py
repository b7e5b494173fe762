"""Where traffic runs: the lab of bench.yaml with its policies applied, and the same two nodes with the kernel alone.

Names begin with the lab's name, so two runs at once refuse each other instead of mixing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.lab.kernelway import ADDRESSES, CLIENT, FAR, NEAR, KernelWay, kernel_way
from compiler.policy.loading import load
from runtime.lab.netns import path_of
from runtime.lab.offloads import set_offloads
from runtime.lab.topology import Topology, topology_of

POLICIES = Path(__file__).with_name("bench.yaml")
LAB = "turnout-bench"
TURNOUT = Path(sys.executable).with_name("turnout")
DIRECT_PORT, SERVED_PORT = 7000, 7001
"""Services lead to another port of a server than direct calls do; see bench.yaml."""
SETTLE_S = 3.0
"""A second after its entries have settled, a device changes over to the program that fits them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way from a client to a server. `direct` and `kernel` name those it is compared with, "" for none.

    `between` are processes on the way whose time is the way's as well.
    """

    name: str
    client: str
    server: str
    address: str
    kernel: str = ""
    direct: str = ""
    port: int = DIRECT_PORT
    between: tuple[int, ...] = ()


class Places:
    """Namespaces that exist while `places` is entered."""

    def __init__(self, topology: Topology, kernel: KernelWay) -> None:
        self._topology = topology
        self._kernel = kernel
        spaces = {workload.key.rpartition("/")[2]: workload.namespace for workload in topology.workloads}
        self.ways = (
            *self._ways("same node", NEAR, spaces, address="10.1.0.11", service="10.96.0.11"),
            *self._ways("across nodes", FAR, spaces, address="10.1.0.12", service="10.96.0.12"),
        )

    @property
    def servers(self) -> tuple[str, ...]:
        """The namespaces that servers run in."""
        return tuple(dict.fromkeys(way.server for way in self.ways))

    @property
    def clients(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(way.client for way in self.ways))

    def set_offloads(self, *, on: bool) -> None:
        """Checksum and segmentation offloads of every interface on the ways."""
        set_offloads(self._topology, on=on)
        state = "on" if on else "off"
        for namespace, interface in self._kernel.interfaces:
            _run(inside(namespace, ["ethtool", "-K", interface, "tx", state, "tso", state, "gso", state]))

    def _ways(
        self, name: str, server: str, spaces: Mapping[str, str], *, address: str, service: str
    ) -> tuple[Way, ...]:
        """Without the pipeline, with it, and with it by a service."""
        kernel, direct = f"{name}, kernel", f"{name}, pipeline"
        client, near = spaces[CLIENT], spaces[server]
        ends = self._kernel.namespace(CLIENT), self._kernel.namespace(server)
        by_service = f"{name}, service"
        return (
            Way(name=kernel, address=ADDRESSES[server], client=ends[0], server=ends[1]),
            Way(name=direct, address=address, client=client, server=near, kernel=kernel),
            Way(name=by_service, address=service, client=client, server=near, kernel=kernel, direct=direct),
        )


def figures_of(name: str, figures: Mapping[Way, list[float]]) -> list[float] | None:
    """The figures of the way of that name."""
    return next((values for way, values in figures.items() if way.name == name), None)


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command, run in a namespace."""
    return ["nsenter", f"--net={path_of(namespace)}", *command]


@contextmanager
def places() -> Generator[Places]:
    """The lab with its policies applied, and the kernel's way; all of it is gone afterwards."""
    with lab(POLICIES, LAB) as topology, kernel_way(LAB) as kernel:
        time.sleep(SETTLE_S)
        yield Places(topology, kernel)


@contextmanager
def lab(policies: Path, name: str) -> Generator[Topology]:
    """A lab of these policies, which are applied; it is gone afterwards."""
    with ExitStack() as undo:
        undo.callback(_run, [str(TURNOUT), "lab", "down", "--name", name])
        _run([str(TURNOUT), "lab", "up", "--name", name, str(policies)])
        _run([str(TURNOUT), "apply", str(policies)], {"TURNOUT_LAB": name})
        yield topology_of(load([policies]).policies, name)


def _run(command: Sequence[str], more: Mapping[str, str] | None = None) -> None:
    """Run to the end; a failure ends the measurement with the command's own words."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(more or {})})
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
