"""Where traffic runs: the lab of bench.yaml with its policies applied, and plain namespaces to compare with.

Names begin with the lab's name, so two runs at once refuse each other instead of mixing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from compiler.policy.loading import load
from runtime.lab.netns import ip_batch, path_of
from runtime.lab.offloads import set_offloads
from runtime.lab.topology import Topology, topology_of

POLICIES = Path(__file__).with_name("bench.yaml")
LAB = "turnout-bench"
MTU = 1450
"""That of the lab's workloads, whose packets must fit into the tunnel."""
TURNOUT = Path(sys.executable).with_name("turnout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way from a client to a server. `base` names the variant that it is compared with, "" for none."""

    name: str
    client: str
    server: str
    address: str
    base: str = ""


def base_of(variant: Variant, figures: Mapping[Variant, list[float]]) -> list[float] | None:
    """The figures of what a variant is compared with."""
    return next((values for other, values in figures.items() if variant.base and other.name == variant.base), None)


class Places:
    """Namespaces that exist while `places` is entered."""

    def __init__(self, topology: Topology, plain: Sequence[tuple[str, str]]) -> None:
        self._topology = topology
        self._plain = tuple(plain)
        spaces = {workload.key.rpartition("/")[2]: workload.namespace for workload in topology.workloads}
        client, near, far = spaces["client"], spaces["near"], spaces["far"]
        self.variants = (
            Variant(name="plain veth", client=_plain("a"), server=_plain("b"), address="10.9.0.2"),
            Variant(name="kernel forwards", client=_plain("c"), server=_plain("d"), address="10.9.2.2"),
            Variant(name="same node", client=client, server=near, address="10.1.0.11"),
            Variant(name="same node, service", client=client, server=near, address="10.96.0.11", base="same node"),
            Variant(name="across nodes", client=client, server=far, address="10.1.0.12"),
            Variant(name="across nodes, service", client=client, server=far, address="10.96.0.12", base="across nodes"),
        )

    @property
    def servers(self) -> tuple[str, ...]:
        """The namespaces that servers run in."""
        return tuple(dict.fromkeys(variant.server for variant in self.variants))

    def set_offloads(self, *, on: bool) -> None:
        """Checksum and segmentation offloads of every interface on the ways."""
        set_offloads(self._topology, on=on)
        state = "on" if on else "off"
        for namespace, interface in self._plain:
            _run(inside(namespace, ["ethtool", "-K", interface, "tx", state, "tso", state, "gso", state]))


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command, run in a namespace."""
    return ["nsenter", f"--net={path_of(namespace)}", *command]


@contextmanager
def places() -> Generator[Places]:
    """The lab with its policies applied and the plain namespaces; all of it is gone afterwards."""
    topology = topology_of(load([POLICIES]).policies, LAB)
    with ExitStack() as undo:
        undo.callback(_turnout, "lab", "down", "--name", LAB)
        _turnout("lab", "up", "--name", LAB, str(POLICIES))
        _turnout("apply", str(POLICIES))
        undo.callback(_remove_plain)
        yield Places(topology, _make_plain())


def _plain(letter: str) -> str:
    return f"{LAB}.plain-{letter}"


_LETTERS = "abcdr"
"""a and b have one veth between them; c and d have r, which forwards."""


def _make_plain() -> tuple[tuple[str, str], ...]:
    """Make them; returns their interfaces."""
    ip_batch([f"netns add {_plain(letter)}" for letter in _LETTERS])
    ends = (("a", "10.9.0.1", "b", "10.9.0.2"), ("c", "10.9.1.2", "r", "10.9.1.1"), ("d", "10.9.2.2", "r", "10.9.2.1"))
    found: list[tuple[str, str]] = []
    for near, near_address, far, far_address in ends:
        here, there = f"to-{far}", f"to-{near}"
        ip_batch([f"link add {here} netns {_plain(near)} type veth peer name {there} netns {_plain(far)}"])
        for space, name, address in ((near, here, near_address), (far, there, far_address)):
            ip_batch([f"address add {address}/24 dev {name}", f"link set {name} mtu {MTU} up"], namespace=_plain(space))
            found.append((_plain(space), name))
    for space, gateway in (("c", "10.9.1.1"), ("d", "10.9.2.1")):
        ip_batch([f"route add default via {gateway}"], namespace=_plain(space))
    _run(inside(_plain("r"), ["sysctl", "-qw", "net.ipv4.ip_forward=1"]))
    return tuple(found)


def _remove_plain() -> None:
    there = [letter for letter in _LETTERS if path_of(_plain(letter)).exists()]
    ip_batch([f"netns del {_plain(letter)}" for letter in there])


def _turnout(*words: str) -> None:
    _run([str(TURNOUT), *words])


def _run(command: Sequence[str]) -> None:
    """Run to the end; a failure ends the measurement with the command's own words."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TURNOUT_LAB": LAB})
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
