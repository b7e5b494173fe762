"""Clients outside of any cluster: policies with external addresses and node ports, drawn, and what such clients and
backends send.

Two devices, two networks of equal addresses; each network may have a backend behind each device, or none. For tests
that hold devices against the interpreter, and what is promised to clients: an answer leaves where its call came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

import yaml
from hypothesis import strategies as st

from compiler.entries.vocabulary import mac_number
from compiler.policy.loading import load_text
from compiler.policy.policyset import Address, PolicySet
from runtime.verification import wire
from runtime.verification.findings import Violation
from runtime.verification.speaking import Ends, framed

DEVICES = ("dpu-a", "dpu-b")
NETWORKS = ("red", "blue")
UPLINK, FIRST_PORT = 1, 16
ROUTER_MAC = "02:00:00:00:50:fe"
UNDERLAY_MACS = {"dpu-a": "02:00:00:00:50:01", "dpu-b": "02:00:00:00:50:02"}
PORTS = {80: (wire.TCP, 8080), 53: (wire.UDP, 5353)}
FIRST_NODE_PORT = 30_000
"""The node port of a port is so much more."""
CLIENTS: dict[int, tuple[Address, ...]] = {
    4: (ip_address("198.51.100.1"), ip_address("10.1.0.10")),
    6: (ip_address("2001:db8:51::1"), ip_address("fd00:10:1::10")),
}
"""One of them has the address of a backend inside."""
_RANGES = {
    4: "0.0.0.0/0 198.51.0.0/16 198.51.100.0/31 198.51.100.1/32 10.0.0.0/8 192.0.2.0/24",
    6: "::/0 2001:db8::/32 2001:db8:51::/64 2001:db8:51::1/128 fd00::/8",
}
RANGES = tuple(ip_network(text) for texts in _RANGES.values() for text in texts.split())
"""Some in others, and one that holds no client."""


def external(network: int, version: int) -> Address:
    return ip_address(f"203.0.113.{network + 1}" if version == 4 else f"2001:db8:113::{network + 1}")


def node_address(device: int, version: int) -> Address:
    """That in the underlay, and one of the node."""
    return ip_address(f"192.168.50.{device + 1}" if version == 4 else f"2001:db8:50::{device + 1}")


def backend(number: int, version: int) -> Address:
    """Of device `number`, the same in both networks."""
    return ip_address(f"10.1.0.{10 + number}" if version == 4 else f"fd00:10:1::{10 + number}")


def port_of(network: int) -> int:
    return FIRST_PORT + network


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Source ranges: numbers of `RANGES`, those that are allowed and those that are denied."""

    allow: frozenset[int]
    deny: frozenset[int]

    def admit(self, client: Address) -> bool:
        """Of those that hold a client the longest decides; where none does, whether none is allowed."""
        holding = [RANGES[number] for number in self.allow | self.deny if client in RANGES[number]]
        if not holding:
            return not self.allow
        return RANGES.index(max(holding, key=lambda prefix: prefix.prefixlen)) in self.allow


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a network shows: the devices with a backend of its service, whether it wants clients to stay with them."""

    behind: frozenset[int]
    is_local: bool
    is_shown: bool
    bounds: Bounds | None = None

    def backends(self, device: int) -> frozenset[int]:
        """Those that a device sends clients to."""
        return self.behind & {device} if self.is_local else self.behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """By network; `routers` are the devices that know a router, and so let clients in. `at_nodes` is the network whose
    service has node ports."""

    offers: tuple[Offer, Offer]
    routers: frozenset[int]
    at_nodes: int | None = None

    def network_of(self, call: Call) -> int | None:
        """The network that a call enters, None where nothing lets it in."""
        if call.is_at_node:
            return self.at_nodes if call.device in self.routers else None
        return call.network if self.offers[call.network].is_shown and call.device in self.routers else None


def bounds() -> st.SearchStrategy[Bounds]:
    number = st.integers(0, len(RANGES) - 1)
    drawn = st.dictionaries(number, st.booleans(), min_size=1)
    return drawn.map(
        lambda found: Bounds(
            allow=frozenset(n for n, is_allowed in found.items() if is_allowed),
            deny=frozenset(n for n, is_allowed in found.items() if not is_allowed),
        )
    )


def outsides() -> st.SearchStrategy[Outside]:
    some = st.frozensets(st.sampled_from((0, 1)))
    shown = st.sampled_from((True, True, False))
    offers = st.builds(Offer, behind=some, is_local=st.booleans(), is_shown=shown, bounds=st.none() | bounds())
    return st.builds(
        Outside,
        offers=st.tuples(offers, offers),
        routers=some | st.just(frozenset({0, 1})),
        at_nodes=st.sampled_from((None, 0, 0, 1)),
    )


@lru_cache(maxsize=256)
def policies_of(outside: Outside) -> PolicySet:
    loaded = load_text(yaml.safe_dump_all(_manifests(outside)), "outside.yaml")
    if loaded.is_refused:
        raise Violation(f"policies that are right are refused:\n{loaded.render()}")
    return loaded.policies


def _manifests(outside: Outside) -> list[dict[str, Any]]:
    found = network_manifests()
    for number, name in enumerate(NETWORKS):
        service = _service(number, outside.offers[number], has_node_ports=outside.at_nodes == number)
        found.append(manifest("DpuService", name, service))
    for number, name in enumerate(DEVICES):
        found.append(manifest("Node", f"node-{number}", {"addresses": [str(node_address(number, 6))]}))
        found.append(manifest("Device", name, device_manifest(number, has_router=number in outside.routers)))
        for of in NETWORKS:
            own = [str(backend(number, version)) for version in (4, 6)]
            spec = {"type": "Pod", "network": of, "node": f"node-{number}", "addresses": own}
            found.append(manifest("Workload", f"{of}-{number}", spec))
    return found


def network_manifests() -> list[dict[str, Any]]:
    """Of both networks, whose prefixes are the same."""
    prefixes = ["10.1.0.0/16", "fd00:10:1::/64"]
    specs = ({"id": number + 1, "vni": 100 + number, "cidrs": prefixes} for number in range(len(NETWORKS)))
    return [manifest("Network", name, spec) for name, spec in zip(NETWORKS, specs, strict=True)]


def manifest(kind: str, name: str, spec: object) -> dict[str, Any]:
    return {"apiVersion": "turnout.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _service(network: int, offer: Offer, *, has_node_ports: bool) -> dict[str, object]:
    ports = [
        {"name": f"p{port}", "protocol": wire.PROTOCOL_NAMES[protocol], "port": port, "targetPort": target}
        | ({"nodePort": FIRST_NODE_PORT + port} if has_node_ports else {})
        for port, (protocol, target) in PORTS.items()
    ]
    spec: dict[str, object] = {
        "network": NETWORKS[network],
        "addresses": ["10.96.0.1", "fd00:96::1"],
        "ports": ports,
        "backends": [{"workload": f"{NETWORKS[network]}-{number}"} for number in sorted(offer.behind)],
    }
    if offer.is_shown:
        spec["externalAddresses"] = [str(external(network, version)) for version in (4, 6)]
    if offer.is_shown or has_node_ports:
        spec["type"] = "LoadBalancer" if offer.is_shown else "NodePort"
        spec["externalTrafficPolicy"] = "Local" if offer.is_local else "Cluster"
        if offer.bounds is not None:
            spec["sourceRanges"] = {
                "allow": [str(RANGES[number]) for number in sorted(offer.bounds.allow, reverse=True)],
                "deny": [str(RANGES[number]) for number in sorted(offer.bounds.deny)],
            }
    return spec


def device_manifest(number: int, *, has_router: bool) -> dict[str, object]:
    """The spec of a device with both its workloads."""
    underlay: dict[str, object] = {"address": f"192.168.50.{number + 1}/24", "mac": UNDERLAY_MACS[DEVICES[number]]}
    if has_router:
        underlay |= {"gateway": "192.168.50.254", "gatewayMac": ROUTER_MAC}
    ports: list[object] = [{"id": UPLINK, "name": "p0", "type": "uplink"}]
    for network, name in enumerate(NETWORKS):
        workload = f"{name}-{number}"
        ports.append({"id": port_of(network), "name": workload, "type": "workload", "workload": workload})
    return {"node": f"node-{number}", "underlay": underlay, "ports": ports}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a client outside sends, to the uplink of a device; numbers are those of above. `is_at_node`: to the device's
    own address, and so to whichever network has node ports."""

    device: int
    network: int
    version: int
    client: int
    src_port: int
    port: int
    flags: str
    is_flooded: bool
    """Whether it is meant for another device, and comes along since a switch sends it everywhere."""
    is_at_node: bool = False

    @property
    def called(self) -> tuple[Address, int]:
        """Address and port."""
        if self.is_at_node:
            return node_address(self.device, self.version), FIRST_NODE_PORT + self.port
        return external(self.network, self.version), self.port

    def frame(self) -> bytes:
        ends = Ends(
            protocol=PORTS.get(self.port, (wire.TCP, 0))[0],
            src=CLIENTS[self.version][self.client],
            src_port=self.src_port,
            dst=self.called[0],
            dst_port=self.called[1],
        )
        to = UNDERLAY_MACS[DEVICES[1 - self.device if self.is_flooded else self.device]]
        return _frame(ends, self.flags, to)


def calls() -> st.SearchStrategy[Call]:
    return st.builds(
        Call,
        device=st.sampled_from((0, 1)),
        network=st.sampled_from((0, 1)),
        version=st.sampled_from((4, 6)),
        client=st.sampled_from((0, 0, 1)),
        src_port=st.integers(4000, 4005),
        port=st.sampled_from((80, 80, 53, 22)),
        flags=st.sampled_from(("S", "S", "A", "PA", "FA", "R")),
        is_flooded=st.sampled_from((False, False, False, True)),
        is_at_node=st.booleans(),
    )


def answer(call: Call, network: int, got: Ends) -> bytes:
    """What the backend, in a network, answers that got this of a call."""
    return answered_to(got, network, "SA" if call.flags == "S" else "A")


def answered_to(got: Ends, network: int, flags: str) -> bytes:
    """What a backend answers, by the router of its network."""
    return _frame(got.turned, flags, f"0a:54:00:00:00:{100 + network:02x}")


def _frame(ends: Ends, flags: str, to: str) -> bytes:
    return framed(ends, flags, b"turnout", mac_number(to), mac_number(ROUTER_MAC))
