"""The ways of `bench.kubeproxy`: a client calls a service by each means, and its backend without any."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.kube.cluster import Cluster
from bench.kube.objects import CALLED, Served, as_text
from bench.kube.programming import sought
from bench.kube.proxying import Mode, Proxy, proxying
from bench.kube.turnouts import FABRIC
from bench.lab.kernelway import ADDRESSES, CLIENT, FAR, NEAR, KernelWay
from bench.lab.places import DIRECT_PORT, SETTLE_S, Way, lab
from bench.lab.programs import TrafficError
from runtime.bpf.namespaces import entered
from runtime.lab.topology import Topology

LAB = "turnout-bench-kube"
NODE = "node-a"
KERNEL, TURNOUT = "kernel direct", "Turnout direct"
SERVICE = "Turnout"
PROXIES = {mode: str(mode) for mode in Mode}
PLACES = {"same node": NEAR, "across nodes": FAR}
NAMES = (KERNEL, TURNOUT, *PROXIES.values(), SERVICE)
UNSERVED_S = 1.0


@contextmanager
def ways(
    cluster: Cluster, plain: KernelWay, nodes: Mapping[Mode, KernelWay], services: Sequence[Served]
) -> Generator[tuple[tuple[Way, ...], tuple[Proxy, ...]]]:
    """kube-proxies and a lab that have the services; gone afterwards. Raises `TrafficError`."""
    for node in nodes.values():
        _check_unserved(node)
    with ExitStack() as undo:
        proxies = tuple(
            undo.enter_context(proxying(cluster, mode, node.namespace(NODE), sought(services)))
            for mode, node in nodes.items()
        )
        folder = Path(undo.enter_context(TemporaryDirectory(prefix="turnout-bench-")))
        (folder / "fabric.yaml").write_text(FABRIC.read_text())
        (folder / "services.yaml").write_text(as_text(services))
        topology = undo.enter_context(lab(folder, LAB))
        time.sleep(SETTLE_S)
        yield tuple(way for place in PLACES for way in _ways(place, topology, plain, nodes)), proxies


def _ways(place: str, topology: Topology, plain: KernelWay, nodes: Mapping[Mode, KernelWay]) -> list[Way]:
    server = PLACES[place]
    spaces = {workload.key.rpartition("/")[2]: workload.namespace for workload in topology.workloads}
    found = [
        _way(place, KERNEL, plain.namespace(CLIENT), plain.namespace(server), ADDRESSES[server]),
        _way(place, TURNOUT, spaces[CLIENT], spaces[server], ADDRESSES[server]),
    ]
    for mode, node in nodes.items():
        ends = node.namespace(CLIENT), node.namespace(server)
        found.append(_way(place, PROXIES[mode], *ends, CALLED[server]))
    found.append(_way(place, SERVICE, spaces[CLIENT], spaces[server], CALLED[server]))
    return found


def _way(place: str, name: str, client: str, server: str, address: str) -> Way:
    return Way(name=f"{place}: {name}", client=client, server=server, address=address)


def _check_unserved(node: KernelWay) -> None:
    """Without kube-proxy nothing leads to a service, so what answers later is its doing. Raises `TrafficError`."""
    for address in CALLED.values():
        with entered(node.namespace(CLIENT)):
            try:
                socket.create_connection((address, DIRECT_PORT), UNSERVED_S).close()
            except OSError:
                continue
        raise TrafficError(f"{address} answers before kube-proxy runs")
