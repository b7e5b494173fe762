"""One mistake in policies that are right, and the code of the diagnostic that must name it.

A mistake changes manifests; it gives None when these have nothing that it could be made in.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from compiler.diagnostic import Code
from compiler.policy import codes
from runtime.verification.policies.manifests import Manifest

Change = Callable[[list[Manifest]], list[Manifest] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    name: str
    code: Code
    change: Change

    def __call__(self, manifests: list[Manifest]) -> list[Manifest] | None:
        """What was given stays as it is."""
        return self.change(copy.deepcopy(manifests))


def _of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Of services those that have a network: what is wrong in one of the others is told otherwise."""
    found = [made for made in manifests if made["kind"] == kind]
    return [made for made in found if "network" in made["spec"]] if kind == "DpuService" else found


def _setting(kind: str, path: tuple[str | int, ...], value: object, *, at: int = 0) -> Change:
    """Write a value into the spec of object number `at` of a kind."""

    def change(manifests: list[Manifest]) -> list[Manifest] | None:
        found = _of_kind(manifests, kind)
        if len(found) <= at:
            return None
        holder: Any = found[at]["spec"]
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
        return manifests

    return change


def _two(kind: str, path: tuple[str, ...], value: object) -> Change:
    """Write the same into the specs of the first two objects of a kind."""

    def change(manifests: list[Manifest]) -> list[Manifest] | None:
        first = _setting(kind, path, value)(manifests)
        return None if first is None else _setting(kind, path, value, at=1)(first)

    return change


def _without_vni(manifests: list[Manifest]) -> list[Manifest]:
    del _of_kind(manifests, "Network")[0]["spec"]["vni"]
    return manifests


def _overlap(manifests: list[Manifest]) -> list[Manifest]:
    cidrs: list[str] = _of_kind(manifests, "Network")[0]["spec"]["cidrs"]
    cidrs.append("fd00::/65" if ":" in cidrs[0] else "10.0.0.128/25")
    return manifests


def _at_gateway(manifests: list[Manifest]) -> list[Manifest]:
    addresses: list[str] = _of_kind(manifests, "Workload")[0]["spec"]["addresses"]
    addresses[0] = "fd00::1" if ":" in addresses[0] else "10.0.0.1"
    return manifests


def _pairs(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Workloads of one network whose first addresses are of one family."""
    workloads = _of_kind(manifests, "Workload")
    for at, one in enumerate(workloads):
        for other in workloads[at + 1 :]:
            specs = one["spec"], other["spec"]
            is_like = len({":" in spec["addresses"][0] for spec in specs}) == 1
            if specs[0]["network"] == specs[1]["network"] and is_like:
                yield one, other


def _same_address(manifests: list[Manifest]) -> list[Manifest] | None:
    for one, other in _pairs(manifests):
        other["spec"]["addresses"][0] = one["spec"]["addresses"][0]
        return manifests
    return None


def _same_mac(manifests: list[Manifest]) -> list[Manifest] | None:
    for pair in _pairs(manifests):
        for workload in pair:
            workload["spec"]["mac"] = "02:00:00:00:00:99"
        return manifests
    return None


def _twice(manifests: list[Manifest]) -> list[Manifest]:
    return [*manifests, copy.deepcopy(manifests[0])]


def _wired(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Devices with one of their ports to a workload."""
    for device in _of_kind(manifests, "Device"):
        for port in device["spec"]["ports"]:
            if port["type"] == "workload":
                yield device, port


def _on_two_ports(manifests: list[Manifest]) -> list[Manifest] | None:
    for device, port in _wired(manifests):
        device["spec"]["ports"].append({**port, "id": 400, "name": "again"})
        return manifests
    return None


def _same_port_number(manifests: list[Manifest]) -> list[Manifest] | None:
    for device, port in _wired(manifests):
        device["spec"]["ports"].append({"id": port["id"], "name": "again", "type": "uplink"})
        return manifests
    return None


def _on_other_node(manifests: list[Manifest]) -> list[Manifest] | None:
    for _, port in _wired(manifests):
        namespace, name = port["workload"].split("/")
        for workload in _of_kind(manifests, "Workload"):
            if (workload["metadata"]["namespace"], workload["metadata"]["name"]) == (namespace, name):
                workload["spec"]["node"] = "node-c"
        return manifests
    return None


def _taken(manifests: list[Manifest]) -> list[Manifest] | None:
    """A cluster IP that a workload of the network has."""
    for service in _of_kind(manifests, "DpuService"):
        for workload in _of_kind(manifests, "Workload"):
            if workload["spec"]["network"] == service["spec"]["network"]:
                service["spec"]["addresses"] = workload["spec"]["addresses"][:1]
                return manifests
    return None


def _served_twice(manifests: list[Manifest]) -> list[Manifest] | None:
    for service in _of_kind(manifests, "DpuService"):
        again = copy.deepcopy(service)
        again["metadata"]["name"] = "again"
        return [*manifests, again]
    return None


def _at_nodes(kind: str, number: int | None, protocol: str = "TCP") -> Change:
    """The first DpuService alone has a node port, at its only port."""

    def change(manifests: list[Manifest]) -> list[Manifest] | None:
        found = _of_kind(_without_node_ports(manifests), "DpuService")
        if not found:
            return None
        spec = found[0]["spec"]
        spec["type"] = kind
        spec["ports"] = [{"port": 80, "protocol": protocol} | ({} if number is None else {"nodePort": number})]
        return manifests

    return change


def _node_port_twice(manifests: list[Manifest]) -> list[Manifest] | None:
    """Two services of one network, at addresses of their own."""
    changed = _at_nodes("NodePort", 31000)(manifests)
    if changed is None:
        return None
    first = next(iter(_of_kind(changed, "DpuService")))
    again = copy.deepcopy(first)
    again["metadata"]["name"] = "again"
    is_ipv6 = [":" in address for address in first["spec"]["addresses"]]
    again["spec"]["addresses"] = ["fd00:97::1" if is_six else "10.97.0.1" for is_six in is_ipv6]
    return [*changed, again]


def _without_node_ports(manifests: list[Manifest]) -> list[Manifest]:
    """As they are, of all services; nor do DpuServices have external addresses."""
    for service in (*_of_kind(manifests, "DpuService"), *_of_kind(manifests, "Service")):
        spec = service["spec"]
        spec.pop("externalTrafficPolicy", None)
        if service["kind"] == "DpuService":
            spec.pop("externalAddresses", None)
            spec.pop("sourceRanges", None)
        if spec.get("type") == "NodePort" or (service["kind"], spec.get("type")) == ("DpuService", "LoadBalancer"):
            spec["type"] = "ClusterIP"
        for port in spec["ports"]:
            port.pop("nodePort", None)
    return manifests


def _across(manifests: list[Manifest]) -> list[Manifest] | None:
    for service in _of_kind(manifests, "DpuService"):
        for workload in _of_kind(manifests, "Workload"):
            if workload["spec"]["network"] != service["spec"]["network"]:
                name = f"{workload['metadata']['namespace']}/{workload['metadata']['name']}"
                service["spec"].setdefault("backends", []).append({"workload": name})
                return manifests
    return None


def _contradiction(manifests: list[Manifest]) -> list[Manifest] | None:
    for service in _of_kind(manifests, "DpuService"):
        service["spec"].setdefault("backends", []).append({"workload": "shop/x", "address": "10.0.0.9"})
        return manifests
    return None


def _uncounted(manifests: list[Manifest]) -> list[Manifest] | None:
    for service in _of_kind(manifests, "DpuService"):
        service["spec"] |= {"algorithm": "LeastConnections", "sessionAffinity": "ClientIP"}
        return manifests
    return None


def _without_name(manifests: list[Manifest]) -> list[Manifest] | None:
    for service in _of_kind(manifests, "DpuService"):
        if len(service["spec"]["ports"]) > 1:
            del service["spec"]["ports"][0]["name"]
            return manifests
    return None


def _same_underlay(manifests: list[Manifest]) -> list[Manifest] | None:
    first, second = (device["spec"].get("underlay") for device in _of_kind(manifests, "Device"))
    if second is None:
        return None
    second["mac"] = first["mac"]
    return manifests


def _with(key: str, value: str) -> Change:
    def change(manifests: list[Manifest]) -> list[Manifest]:
        # The last one that is Turnout's: nothing refers to a service or to a node without workloads.
        nodes = [made for made in manifests if made["kind"] == "Node"]
        nodes[-1][key] = value
        return manifests

    return change


MISTAKES = (
    Mistake(name="unknown kind", code=codes.UNKNOWN_KIND, change=_with("kind", "Nod")),
    Mistake(name="unknown API version", code=codes.UNKNOWN_API_VERSION, change=_with("apiVersion", "turnout.dev/v9")),
    Mistake(name="unknown field", code=codes.UNKNOWN_FIELD, change=_setting("Network", ("cidr",), "10.0.0.0/8")),
    Mistake(name="missing field", code=codes.MISSING_FIELD, change=_without_vni),
    Mistake(name="ports without names", code=codes.MISSING_FIELD, change=_without_name),
    Mistake(name="wrong type", code=codes.WRONG_TYPE, change=_setting("Network", ("vni",), "many")),
    Mistake(name="VNI 0", code=codes.INVALID_VALUE, change=_setting("Network", ("vni",), 0)),
    Mistake(name="weight 0", code=codes.INVALID_VALUE, change=_setting("DpuService", ("backends",), [{"weight": 0}])),
    Mistake(name="port 65536", code=codes.INVALID_VALUE, change=_setting("DpuService", ("ports", 0, "port"), 65536)),
    Mistake(
        name="affinity for no time",
        code=codes.INVALID_VALUE,
        change=_setting("Service", ("sessionAffinityConfig",), {"clientIP": {"timeoutSeconds": 0}}),
    ),
    Mistake(
        name="unknown algorithm", code=codes.INVALID_VALUE, change=_setting("DpuService", ("algorithm",), "Magelv")
    ),
    Mistake(name="an algorithm that counts beside affinity", code=codes.CONFLICTING_FIELDS, change=_uncounted),
    Mistake(name="backend of two kinds", code=codes.CONFLICTING_FIELDS, change=_contradiction),
    Mistake(name="unknown network", code=codes.UNKNOWN_REFERENCE, change=_setting("DpuService", ("network",), "rde")),
    Mistake(name="unknown node", code=codes.UNKNOWN_REFERENCE, change=_setting("Device", ("node",), "node-z")),
    Mistake(name="object twice", code=codes.DUPLICATE_OBJECT, change=_twice),
    Mistake(name="VNI twice", code=codes.DUPLICATE_VNI, change=_two("Network", ("vni",), 77)),
    Mistake(name="network id twice", code=codes.DUPLICATE_NETWORK_ID, change=_two("Network", ("id",), 77)),
    Mistake(name="overlapping prefixes", code=codes.OVERLAPPING_CIDRS, change=_overlap),
    Mistake(
        name="address outside",
        code=codes.ADDRESS_OUTSIDE,
        change=_setting("Workload", ("addresses", 0), "203.0.113.9"),
    ),
    Mistake(name="address twice", code=codes.DUPLICATE_ADDRESS, change=_same_address),
    Mistake(name="at the gateway's address", code=codes.UNUSABLE_ADDRESS, change=_at_gateway),
    Mistake(name="port id twice", code=codes.DUPLICATE_PORT, change=_same_port_number),
    Mistake(name="on two ports", code=codes.WORKLOAD_ON_TWO_PORTS, change=_on_two_ports),
    Mistake(name="on another node", code=codes.WRONG_NODE, change=_on_other_node),
    Mistake(name="cluster IP of a workload", code=codes.CLUSTER_IP_TAKEN, change=_taken),
    Mistake(name="served twice", code=codes.SERVICE_CLASH, change=_served_twice),
    Mistake(name="node port served twice", code=codes.SERVICE_CLASH, change=_node_port_twice),
    Mistake(name="node port of tunnels", code=codes.NODE_PORT_TAKEN, change=_at_nodes("NodePort", 4789, "UDP")),
    Mistake(name="node port 65536", code=codes.INVALID_VALUE, change=_at_nodes("NodePort", 65536)),
    Mistake(name="node port of a cluster IP", code=codes.CONFLICTING_FIELDS, change=_at_nodes("ClusterIP", 31000)),
    Mistake(name="no node port", code=codes.MISSING_FIELD, change=_at_nodes("NodePort", None)),
    Mistake(name="backend in another network", code=codes.BACKEND_IN_OTHER_NETWORK, change=_across),
    Mistake(name="MAC address twice", code=codes.DUPLICATE_MAC, change=_same_mac),
    Mistake(name="underlay MAC address twice", code=codes.DUPLICATE_UNDERLAY, change=_same_underlay),
    Mistake(
        name="P4Runtime address twice",
        code=codes.DUPLICATE_DEVICE_ADDRESS,
        change=_two("Device", ("address",), "unix:/run/one.sock"),
    ),
)
