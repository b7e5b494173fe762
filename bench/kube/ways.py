"""The ways of `bench.kubeproxy`: a client calls a service by each means, and its backend without any."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.forwarding.flows import End
from bench.forwarding.lanes import Lane, Port
from bench.kube.cluster import Cluster
from bench.kube.objects import CALLED, Served, as_text
from bench.kube.programming import sought
from bench.kube.proxying import Mode, Proxy, proxying
from bench.kube.turnouts import FABRIC
from bench.lab.kernelway import ADDRESSES, CLIENT, FAR, NEAR, KernelWay
from bench.lab.places import DIRECT_PORT, SERVED_PORT, SETTLE_S, Way, lab
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
) -> Generator[tuple[tuple[Lane, ...], tuple[Proxy, ...]]]:
    """kube-proxies and a lab that have the services, and the ways through them; gone afterwards.

    Raises `TrafficError`.
    """
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
        yield tuple(lane for place in PLACES for lane in _lanes(place, topology, plain, nodes)), proxies


def _lanes(place: str, topology: Topology, plain: KernelWay, nodes: Mapping[Mode, KernelWay]) -> list[Lane]:
    server = PLACES[place]
    direct, called = ADDRESSES[server], CALLED[server]
    client_port, server_port = _port(topology, CLIENT), _port(topology, server)
    spaces = {workload.key.rpartition("/")[2]: workload.namespace for workload in topology.workloads}
    found = [
        _kernel_lane(place, KERNEL, plain, direct),
        *(_kernel_lane(place, PROXIES[mode], node, called) for mode, node in nodes.items()),
    ]
    for name, address in ((TURNOUT, direct), (SERVICE, called)):
        way = _way(place, name, spaces[CLIENT], spaces[server], address)
        found.append(_lane(way, server, client_port, server_port))
    return sorted(found, key=lambda lane: NAMES.index(lane.way.name.removeprefix(f"{place}: ")))


def _kernel_lane(place: str, name: str, node: KernelWay, address: str) -> Lane:
    server = PLACES[place]
    client_port, server_port = (
        Port(namespace=space, interface=interface) for space, interface in map(node.port, (CLIENT, server))
    )
    ends = node.namespace(CLIENT), node.namespace(server)
    return _lane(_way(place, name, *ends, address), server, client_port, server_port)


def _way(place: str, name: str, client: str, server: str, address: str) -> Way:
    return Way(name=f"{place}: {name}", client=client, server=server, address=address)


def _lane(way: Way, server: str, client_port: Port, server_port: Port) -> Lane:
    """What is not called by its own address is behind a service, which leads to another port."""
    port = DIRECT_PORT if way.address == ADDRESSES[server] else SERVED_PORT
    served = End(address=ADDRESSES[server], port=port)
    return Lane(way=way, client=ADDRESSES[CLIENT], served=served, client_port=client_port, server_port=server_port)


def _port(topology: Topology, workload: str) -> Port:
    """The representor of a workload."""
    return next(
        Port(namespace=device.namespace, interface=port.interface)
        for device in topology.devices
        for port in device.ports
        if port.workload is not None and port.workload.key.rpartition("/")[2] == workload
    )


def _check_unserved(node: KernelWay) -> None:
    """Without kube-proxy nothing leads to a service, so what answers later is its doing. Raises `TrafficError`."""
    for address in CALLED.values():
        with entered(node.namespace(CLIENT)):
            try:
                socket.create_connection((address, DIRECT_PORT), UNSERVED_S).close()
            except OSError:
                continue
        raise TrafficError(f"{address} answers before kube-proxy runs")
