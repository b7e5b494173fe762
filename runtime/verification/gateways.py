"""Service gateways: policies with backends in two networks of equal addresses, and what clients outside send them.

Two devices, each with a workload of each network; each may be a gateway, with or without IPv6. For tests that hold
devices against the interpreter, and what is promised to clients and networks: a backend sees the gateway and no client,
an answer goes to the client whose call it answers, and to no other one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from runtime.verification.outsiders import (
    DEVICES,
    FIRST_NODE_PORT,
    NETWORKS,
    PORTS,
    ROUTER_MAC,
    UNDERLAY_MACS,
    backend,
    device_manifest,
    external,
    manifest,
    network_manifests,
    node_address,
)
from runtime.verification.speaking import Ends, framed

ALGORITHMS = ("Maglev", "SourceHash", "Random", "RoundRobin", "LeastConnections")
CLIENTS: dict[int, tuple[Address, ...]] = {
    4: tuple(map(ip_address, ("198.51.100.1", "198.51.100.2", "10.1.0.10"))),
    6: tuple(map(ip_address, ("2001:db8:51::1", "2001:db8:51::2", "fd00:10:1::10"))),
}
"""One of them has the address of two backends."""
Place = tuple[int, int]
"""A workload: the numbers of its device and of its network."""


def gateway_address(device: int, version: int) -> Address:
    return ip_address(f"100.64.0.{device + 1}" if version == 4 else f"fd00:64::{device + 1}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """`families` are those of the gateway addresses of each device, none for one that is no gateway. Of the backends
    `isolated` are those whose NetworkPolicy lets nobody but the gateways in, `closed` those that it lets nobody to.
    Clients are remembered for `affinity_s`; with `is_local` a gateway has the backends alone that are behind it. With
    `at_nodes` the service is called at the gateways' own addresses as well."""

    families: tuple[frozenset[int], frozenset[int]]
    backends: frozenset[Place]
    algorithm: str = "Maglev"
    isolated: frozenset[Place] = frozenset()
    closed: frozenset[Place] = frozenset()
    affinity_s: int = 0
    is_local: bool = False
    at_nodes: bool = False

    def backends_at(self, device: int) -> frozenset[Place]:
        """Those that a gateway sends connections to."""
        return frozenset(place for place in self.backends if not self.is_local or place[0] == device)

    def has_gateway(self, device: int, version: int) -> bool:
        return version in self.families[device]

    def lets_in(self, call: Call) -> bool:
        """Whether a call enters a network where it comes in."""
        return self.has_gateway(call.device, call.version) and (self.at_nodes or not call.is_at_node)


def gateways() -> st.SearchStrategy[Gateways]:
    places = st.frozensets(st.tuples(st.sampled_from((0, 1)), st.sampled_from((0, 1))))
    families = st.sampled_from((frozenset({4, 6}), frozenset({4, 6}), frozenset({4}), frozenset[int]()))
    none = st.just(frozenset[Place]())
    return st.builds(
        Gateways,
        families=st.tuples(families, families),
        backends=places,
        algorithm=st.sampled_from(ALGORITHMS),
        isolated=none | places,
        closed=none | none | places,
        affinity_s=st.sampled_from((0, 0, 1, 60)),
        is_local=st.sampled_from((False, False, True)),
        at_nodes=st.sampled_from((True, True, False)),
    ).map(_counting)


def _counting(world: Gateways) -> Gateways:
    """Connections of clients that are remembered are not counted, so no service asks for both."""
    is_counting = world.algorithm == "LeastConnections"
    return replace(world, affinity_s=0) if is_counting else world


@lru_cache(maxsize=256)
def policies_of(world: Gateways) -> PolicySet:
    loaded = load_text(yaml.safe_dump_all(_manifests(world)), "gateways.yaml")
    if loaded.is_refused:
        raise Violation(f"policies that are right are refused:\n{loaded.render()}")
    return loaded.policies


def name_of(place: Place) -> str:
    return f"{NETWORKS[place[1]]}-{place[0]}"


def _manifests(world: Gateways) -> list[dict[str, Any]]:
    found = network_manifests()
    for number, name in enumerate(DEVICES):
        found.append(manifest("Node", f"node-{number}", {"addresses": [str(node_address(number, 6))]}))
        spec = device_manifest(number, has_router=True)
        own = [str(gateway_address(number, version)) for version in sorted(world.families[number])]
        found.append(manifest("Device", name, spec | {"gatewayAddresses": own}))
        for network in range(len(NETWORKS)):
            place = (number, network)
            addresses = [str(backend(number, version)) for version in (4, 6)]
            spec = {"type": "Pod", "network": NETWORKS[network], "node": f"node-{number}", "addresses": addresses}
            workload = manifest("Workload", name_of(place), spec)
            workload["metadata"]["labels"] = {"name": name_of(place)}
            found.append(workload)
    ports = [
        {"name": f"p{port}", "protocol": wire.PROTOCOL_NAMES[protocol], "port": port, "targetPort": target}
        | ({"nodePort": FIRST_NODE_PORT + port} if world.at_nodes else {})
        for port, (protocol, target) in PORTS.items()
    ]
    service: dict[str, Any] = {
        "type": "LoadBalancer",
        "externalAddresses": [str(external(0, version)) for version in (4, 6)],
        "ports": ports,
        "backends": [{"workload": name_of(place)} for place in sorted(world.backends)],
        "algorithm": world.algorithm,
        "externalTrafficPolicy": "Local" if world.is_local else "Cluster",
    }
    if world.affinity_s:
        service["sessionAffinity"] = "ClientIP"
        service["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": world.affinity_s}}
    found.append(manifest("DpuService", "across", service))
    found.extend(_isolation(world, place) for place in sorted(world.isolated | world.closed))
    return found


def _isolation(world: Gateways, place: Place) -> dict[str, Any]:
    """Lets the gateways to a workload, and if it is closed not even these."""
    blocks = [f"{gateway_address(d, v)}/{32 if v == 4 else 128}" for d in range(len(DEVICES)) for v in (4, 6)]
    allowed = [] if place in world.closed else [{"from": [{"ipBlock": {"cidr": block}} for block in blocks]}]
    spec = {"podSelector": {"matchLabels": {"name": name_of(place)}}, "policyTypes": ["Ingress"], "ingress": allowed}
    metadata = {"name": name_of(place), "namespace": "default"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a client outside sends to the uplink of a device; `is_at_node`: to the device's own address."""

    device: int
    version: int
    client: int
    src_port: int
    port: int
    flags: str = "S"
    is_at_node: bool = False

    @property
    def ends(self) -> Ends:
        dst = node_address(self.device, self.version) if self.is_at_node else external(0, self.version)
        return Ends(
            protocol=PORTS[self.port][0],
            src=CLIENTS[self.version][self.client],
            src_port=self.src_port,
            dst=dst,
            dst_port=self.port + FIRST_NODE_PORT if self.is_at_node else self.port,
        )

    def frame(self) -> bytes:
        return call_frame(self.ends, self.device, self.flags)


def call_frame(ends: Ends, device: int, flags: str = "S") -> bytes:
    return framed(ends, flags, b"turnout", mac_number(UNDERLAY_MACS[DEVICES[device]]), mac_number(ROUTER_MAC))


def calls() -> st.SearchStrategy[Call]:
    return st.builds(
        Call,
        device=st.sampled_from((0, 1)),
        version=st.sampled_from((4, 6)),
        client=st.sampled_from((0, 1, 2)),
        src_port=st.sampled_from((80, 1023, 1024, 4000, 4001)),
        port=st.sampled_from((80, 80, 53)),
        flags=st.sampled_from(("S", "S", "A", "PA", "FA", "R")),
        is_at_node=st.sampled_from((False, False, True)),
    )
