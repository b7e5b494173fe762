"""The ways of `bench.redirects`: through a proxy by each means, and past it on the same node."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.lab.kernelway import ADDRESSES, CLIENT, NEAR, KernelWay
from bench.lab.places import DIRECT_PORT, SERVED_PORT, SETTLE_S, Way, lab
from bench.lab.programs import ONE_CPU, TrafficError
from bench.mesh.interception import Means, intercepted, pin
from runtime.lab import netns
from runtime.lab.topology import Topology

POLICIES = Path(__file__).with_name("mesh.yaml")
LAB = "turnout-bench-mesh"
TURNOUT, PAST_TURNOUT, PAST_KERNEL = "Turnout", "Turnout, past the proxy", "kernel, past the proxy"


@contextmanager
def ways() -> Generator[tuple[Way, ...]]:
    """Namespaces, rules and three Envoys, all on one CPU; gone afterwards. Raises `TrafficError`."""
    with ExitStack() as undo:
        folder = Path(undo.enter_context(TemporaryDirectory(prefix="turnout-bench-")))
        topology = undo.enter_context(lab(POLICIES, LAB))
        found = list(_of_turnout(topology))
        for means in Means:
            prefix = f"{LAB}-{means.name.lower()}"
            node, envoy = undo.enter_context(intercepted(means, prefix, folder, ONE_CPU))
            found += _of_kernel(means, node, envoy)
        time.sleep(SETTLE_S)
        yield tuple(found)


def _of_turnout(topology: Topology) -> tuple[Way, Way]:
    spaces = {workload.key.rpartition("/")[2]: workload.namespace for workload in topology.workloads}
    envoys = [pid for pid in netns.processes_in([spaces["envoy"]]) if _is_envoy(pid)]
    if len(envoys) != 1:
        raise TrafficError(f"{len(envoys)} Envoys run in {spaces['envoy']}, not one")
    pin(envoys, ONE_CPU)
    past = Way(name=PAST_TURNOUT, client=spaces[CLIENT], server=spaces[NEAR], address="10.1.0.11", port=SERVED_PORT)
    through = replace(
        past, name=TURNOUT, direct=Means.REDIRECT, kernel=Means.TPROXY, port=DIRECT_PORT, between=tuple(envoys)
    )
    return past, through


def _of_kernel(means: Means, node: KernelWay, envoy: int) -> tuple[Way, ...]:
    client, server = node.namespace(CLIENT), node.namespace(NEAR)
    through = Way(name=means, client=client, server=server, address=ADDRESSES[NEAR], between=(envoy,))
    past = (replace(through, name=PAST_KERNEL, port=SERVED_PORT, between=()),) if means is Means.TPROXY else ()
    return (*past, through)


def _is_envoy(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("envoy")
    except OSError:
        return False
