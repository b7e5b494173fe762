"""Services whose backends answer clients outside by themselves: policies, drawn, and what such clients send.

Two devices with two workloads of one network each. For tests that hold devices against the interpreter, and what is
promised: a backend gets a packet as it was sent, and its answer leaves at its own device.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import yaml
from hypothesis import strategies as st

from compiler.entries.vocabulary import mac_number
from compiler.policy.loading import load_text
from compiler.policy.policyset import Address, PolicySet
from runtime.verification import wire
from runtime.verification.findings import Violation
from runtime.verification.outsiders import CLIENTS, DEVICES, FIRST_PORT, ROUTER_MAC, UNDERLAY_MACS, UPLINK, manifest
from runtime.verification.speaking import Ends, framed

ALGORITHMS = ("Maglev", "SourceHash", "Random", "RoundRobin")
WORKLOADS = (0, 1, 2, 3)
"""Numbers 0 and 1 are behind the first device, the others behind the second one."""
PORTS = {80: wire.TCP, 53: wire.UDP, 3868: wire.SCTP}
NETWORK_ROUTER = "0a:54:00:00:00:64"
_PREFIXES = ["10.1.0.0/16", "fd00:10:1::/64"]


def device_of(workload: int) -> int:
    return workload // 2


def port_of(workload: int) -> int:
    """That it is behind, of its device."""
    return FIRST_PORT + workload % 2


def workload_at(device: str, port: int | None) -> int | None:
    """The workload behind a port."""
    return next((w for w in WORKLOADS if DEVICES[device_of(w)] == device and port_of(w) == port), None)


def address_of(workload: int, version: int) -> Address:
    return ip_address(f"10.1.0.{10 + workload}" if version == 4 else f"fd00:10:1::{10 + workload}")


def mac_of(workload: int) -> str:
    return f"02:00:00:00:60:{workload:02x}"


def external(version: int) -> Address:
    return ip_address("203.0.113.1" if version == 4 else "2001:db8:113::1")


def cluster_ip(version: int) -> Address:
    return ip_address("10.96.0.1" if version == 4 else "fd00:96::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directs:
    """`routers` are the devices that have a router in the underlay, `closed` the workloads to which NetworkPolicies let
    nobody. Without `is_direct` the service is one as any other."""

    backends: frozenset[int]
    routers: frozenset[int] = frozenset({0, 1})
    algorithm: str = "Maglev"
    is_local: bool = False
    is_direct: bool = True
    closed: frozenset[int] = frozenset()

    def chosen(self, device: int) -> frozenset[int]:
        """The backends that clients outside get who come to a device."""
        return frozenset(
            number
            for number in self.backends
            if (device_of(number) in self.routers or not self.is_direct)
            and (device_of(number) == device or not self.is_local)
        )


def directs(routers: frozenset[int]) -> st.SearchStrategy[Directs]:
    some = st.frozensets(st.sampled_from(WORKLOADS))
    return st.builds(
        Directs,
        backends=some,
        routers=st.just(routers),
        algorithm=st.sampled_from(ALGORITHMS),
        is_local=st.sampled_from((False, False, True)),
        is_direct=st.sampled_from((True, True, True, False)),
        closed=st.just(frozenset[int]()) | some,
    )


@lru_cache(maxsize=256)
def policies_of(world: Directs) -> PolicySet:
    loaded = load_text(yaml.safe_dump_all(manifests_of(world)), "directs.yaml")
    if loaded.is_refused:
        raise Violation(f"policies that are right are refused:\n{loaded.render()}")
    return loaded.policies


def manifests_of(world: Directs) -> list[dict[str, Any]]:
    found = [manifest("Network", "red", {"id": 1, "vni": 100, "cidrs": _PREFIXES})]
    for number, name in enumerate(DEVICES):
        found.append(manifest("Node", f"node-{number}", {}))
        found.append(manifest("Device", name, _device(number, has_router=number in world.routers)))
    for number in WORKLOADS:
        spec = {
            "type": "Pod",
            "network": "red",
            "node": f"node-{device_of(number)}",
            "addresses": [str(address_of(number, version)) for version in (4, 6)],
            "mac": mac_of(number),
        }
        workload = manifest("Workload", f"w{number}", spec)
        workload["metadata"]["labels"] = {"name": f"w{number}"}
        found.append(workload)
    found.append(manifest("DpuService", "direct", _service(world)))
    found.extend(_closing(number) for number in sorted(world.closed))
    return found


def _device(number: int, *, has_router: bool) -> dict[str, object]:
    underlay: dict[str, object] = {"address": f"192.168.50.{number + 1}/24", "mac": UNDERLAY_MACS[DEVICES[number]]}
    if has_router:
        underlay |= {"gateway": "192.168.50.254", "gatewayMac": ROUTER_MAC}
    ports: list[object] = [{"id": UPLINK, "name": "p0", "type": "uplink"}]
    for workload in (w for w in WORKLOADS if device_of(w) == number):
        name = f"w{workload}"
        ports.append({"id": port_of(workload), "name": name, "type": "workload", "workload": name})
    return {"node": f"node-{number}", "underlay": underlay, "ports": ports}


def _service(world: Directs) -> dict[str, object]:
    names = wire.PROTOCOL_NAMES
    return {
        "network": "red",
        "type": "LoadBalancer",
        "addresses": [str(cluster_ip(version)) for version in (4, 6)],
        "externalAddresses": [str(external(version)) for version in (4, 6)],
        "externalTrafficPolicy": "Local" if world.is_local else "Cluster",
        "serverReturn": "Direct" if world.is_direct else "Entrance",
        "ports": [{"name": f"p{n}", "protocol": names[protocol], "port": n} for n, protocol in PORTS.items()],
        "backends": [{"workload": f"w{number}"} for number in sorted(world.backends)],
        "algorithm": world.algorithm,
    }


def _closing(workload: int) -> dict[str, Any]:
    """Lets nobody to a workload."""
    selector = {"matchLabels": {"name": f"w{workload}"}}
    spec = {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": list[object]()}
    metadata = {"name": f"closed-{workload}", "namespace": "default"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a client outside sends to the uplink of a device."""

    device: int = 0
    version: int = 4
    client: int = 0
    src_port: int = 4000
    port: int = 80
    flags: str = "S"

    @property
    def ends(self) -> Ends:
        return Ends(
            protocol=PORTS[self.port],
            src=CLIENTS[self.version][self.client],
            src_port=self.src_port,
            dst=external(self.version),
            dst_port=self.port,
        )

    def frame(self) -> bytes:
        return _frame(self.ends, self.flags, UNDERLAY_MACS[DEVICES[self.device]], ROUTER_MAC)


def calls() -> st.SearchStrategy[Call]:
    return st.builds(
        Call,
        device=st.sampled_from((0, 1)),
        version=st.sampled_from((4, 6)),
        client=st.sampled_from((0, 0, 1)),
        src_port=st.sampled_from((80, 1023, 4000, 4001, 4002)),
        port=st.sampled_from((80, 80, 53, 3868)),
        flags=st.sampled_from(("S", "S", "A", "PA", "FA", "R")),
    )


def sent_by(workload: int, ends: Ends, flags: str) -> bytes:
    """What a workload sends by the router of its network."""
    return _frame(ends, flags, NETWORK_ROUTER, mac_of(workload))


def answered_by(workload: int, got: Ends, flags: str = "A") -> bytes:
    """What a backend answers to what it got."""
    return sent_by(workload, got.turned, flags)


def _frame(ends: Ends, flags: str, to: str, by: str) -> bytes:
    return framed(ends, flags, b"turnout", mac_number(to), mac_number(by))
