"""The same two nodes without the pipeline: Linux routes between workloads, and between nodes through its own VXLAN.

    client --- node-a --- underlay (bridge) --- node-b --- far
    near ------'

A namespace each. No filter and no other program is in the way.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from runtime.lab.links import SWITCH_SYSCTLS
from runtime.lab.netns import ip_batch, path_of, set_sysctls

MTU = 1450
"""Of workloads and tunnel, as in the lab."""
UNDERLAY_MTU = 1500
VNI, VXLAN_PORT = 100, 4789
CLIENT, NEAR, FAR = "client", "near", "far"
ADDRESSES = {CLIENT: "10.9.1.2", NEAR: "10.9.2.2", FAR: "10.9.3.2"}
_GATEWAYS = {CLIENT: "10.9.1.1", NEAR: "10.9.2.1", FAR: "10.9.3.1"}
_NODES = {"node-a": (CLIENT, NEAR), "node-b": (FAR,)}
_UNDERLAY = {"node-a": "192.168.61.1", "node-b": "192.168.61.2"}
_TUNNEL = {"node-a": "10.9.0.1", "node-b": "10.9.0.2"}
_SWITCH = "underlay"
_SPACES = (*ADDRESSES, *_NODES, _SWITCH)


class KernelWay:
    """Namespaces that exist while `kernel_way` is entered; their names begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def namespace(self, name: str) -> str:
        """That of a workload, a node, or the underlay."""
        return f"{self._prefix}.kernel-{name}"

    @property
    def interfaces(self) -> tuple[tuple[str, str], ...]:
        """Namespace and name of every interface whose offloads are those of workload, port or uplink in the lab."""
        found = [(self.namespace(workload), "eth0") for workload in ADDRESSES]
        for node, workloads in _NODES.items():
            found += [(self.namespace(node), name) for name in (*workloads, "uplink", "tunnel")]
        return tuple(found)

    def port(self, workload: str) -> tuple[str, str]:
        """Namespace and name of the node's interface that leads to a workload."""
        node = next(node for node, workloads in _NODES.items() if workload in workloads)
        return self.namespace(node), workload

    def build(self) -> None:
        ip_batch([f"netns add {self.namespace(name)}" for name in _SPACES])
        for node in _NODES:
            set_sysctls(self.namespace(node), {"net/ipv4/ip_forward": "1"})
        self._connect_nodes()
        for node, workloads in _NODES.items():
            for workload in workloads:
                self._connect_workload(node, workload)

    def remove(self) -> None:
        there = [name for name in _SPACES if path_of(self.namespace(name)).exists()]
        ip_batch([f"netns del {self.namespace(name)}" for name in there])

    def _connect_nodes(self) -> None:
        switch = self.namespace(_SWITCH)
        set_sysctls(switch, SWITCH_SYSCTLS)
        ip_batch([f"link add bridge mtu {UNDERLAY_MTU} type bridge stp_state 0 forward_delay 0"], namespace=switch)
        ip_batch(["link set bridge up"], namespace=switch)
        for node, address in _UNDERLAY.items():
            space = self.namespace(node)
            ip_batch([f"link add uplink netns {space} mtu {UNDERLAY_MTU} type veth peer name to-{node} netns {switch}"])
            ip_batch([f"link set to-{node} master bridge up"], namespace=switch)
            ip_batch([f"addr add {address}/24 dev uplink", "link set uplink up"], namespace=space)
        self._join("node-a", "node-b")
        self._join("node-b", "node-a")

    def _join(self, node: str, other: str) -> None:
        """The node's end of the tunnel, and the way to the other's workloads through it."""
        ends = f"local {_UNDERLAY[node]} remote {_UNDERLAY[other]} dstport {VXLAN_PORT}"
        lines = [f"link add tunnel mtu {MTU} type vxlan id {VNI} {ends}", f"addr add {_TUNNEL[node]}/24 dev tunnel"]
        lines.append("link set tunnel up")
        lines += [f"route add {ADDRESSES[workload]} via {_TUNNEL[other]}" for workload in _NODES[other]]
        ip_batch(lines, namespace=self.namespace(node))

    def _connect_workload(self, node: str, workload: str) -> None:
        here, there = self.namespace(node), self.namespace(workload)
        ip_batch([f"link add {workload} netns {here} mtu {MTU} type veth peer name eth0 netns {there} mtu {MTU}"])
        ip_batch([f"addr add {_GATEWAYS[workload]}/24 dev {workload}", f"link set {workload} up"], namespace=here)
        lines = [f"addr add {ADDRESSES[workload]}/24 dev eth0", "link set eth0 up"]
        ip_batch([*lines, f"route add default via {_GATEWAYS[workload]}"], namespace=there)


@contextmanager
def kernel_way(prefix: str) -> Generator[KernelWay]:
    """Built on entry, gone afterwards."""
    way = KernelWay(prefix)
    try:
        way.build()
        yield way
    finally:
        way.remove()
