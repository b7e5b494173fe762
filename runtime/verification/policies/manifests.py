"""A plan as policy objects and as the YAML that a user would write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml

from runtime.verification.policies import plan as planned
from runtime.verification.policies.entrances import RANGES, ROUTER_MAC, external_address
from runtime.verification.policies.isolating import SERVED, SERVED_NAME, isolation_manifest, namespace_manifests
from runtime.verification.policies.meshes import redirect_manifest
from runtime.verification.policies.plan import (
    PlannedBackend,
    PlannedCrossing,
    PlannedNetwork,
    PlannedPort,
    PlannedService,
    PlannedWorkload,
    PolicyPlan,
)

Manifest = dict[str, Any]
_API = "turnout.dev/v1alpha1"
_SERVICE_LABEL = "kubernetes.io/service-name"


def to_yaml(manifests: list[Manifest]) -> str:
    """By libyaml: what Python writes is the same, and a seventh of a search's time."""
    return yaml.dump_all(manifests, Dumper=yaml.CSafeDumper, sort_keys=False)


def manifests(plan: PolicyPlan) -> list[Manifest]:
    return [
        *(_network(number, network) for number, network in enumerate(plan.networks)),
        *(_node(plan, node) for node in (*planned.NODES.values(), planned.BARE_NODE)),
        *(_device(plan, name) for name in planned.DEVICES),
        *(_workload(workload) for workload in plan.everyone),
        *(made for service in plan.services for made in _service(plan, service)),
        *(_crossing(plan, crossing) for crossing in plan.crossings),
        *(redirect_manifest(plan, redirect) for redirect in plan.redirects),
        *(namespace_manifests() if plan.isolations else ()),
        *(isolation_manifest(isolation) for isolation in plan.isolations),
        *([_slice("orphan", "shop", "gone", 4, [], [])] if plan.has_orphan else []),
    ]


def _object(
    kind: str,
    name: str,
    namespace: str | None,
    spec: Manifest,
    *,
    labels: dict[str, str] | None = None,
    api: str = _API,
) -> Manifest:
    metadata: Manifest = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def _network(number: int, network: PlannedNetwork) -> Manifest:
    cidrs = {4: "10.0.0.0/16" if network.is_wide else "10.0.0.0/24", 6: "fd00::/48" if network.is_wide else "fd00::/64"}
    more = {4: "172.16.0.0/24", 6: "fd01::/64"}
    spec: Manifest = {"vni": planned.vni(number), "cidrs": [cidrs[version] for version in network.versions]}
    if network.has_second:
        spec["cidrs"] += [more[version] for version in network.versions]
    if network.mtu != 1450:
        spec["mtu"] = network.mtu
    if network.has_id:
        spec["id"] = number + 1
    return _object("Network", planned.network_name(number), None, spec)


def _node(plan: PolicyPlan, name: str) -> Manifest:
    zone = {"topology.kubernetes.io/zone": planned.ZONES[name]} if plan.has_zones else None
    device = next((device for device, node in planned.NODES.items() if node == name), None)
    spec = {} if device is None else {"addresses": [str(planned.node_address(device, 6))]}
    return _object("Node", name, None, spec, labels=zone)


def _device(plan: PolicyPlan, name: str) -> Manifest:
    ports: list[Manifest] = [{"id": planned.UPLINK, "name": "p0", "type": "uplink"}]
    for workload in plan.everyone:
        if workload.place != name:
            continue
        key, port = f"{workload.team}/{planned.workload_name(workload)}", planned.port_of(workload)
        made = {"id": port, "name": f"rep{port}", "type": "workload", "workload": key}
        ports.append(made | ({"vlan": workload.vlan} if workload.vlan else {}))
    spec: Manifest = {"node": planned.NODES[name], "ports": ports}
    underlay = _underlay(plan, name)
    if underlay is not None:
        spec["underlay"] = underlay
    gateway = [planned.gateway_address(name, version) for version in (4, 6) if plan.is_gateway(name, version)]
    if gateway:
        spec["gatewayAddresses"] = [str(address) for address in gateway]
    return _object("Device", name, None, spec)


def _underlay(plan: PolicyPlan, name: str) -> Manifest | None:
    is_second = name == planned.DEVICES[1]
    if plan.underlay == "none" and is_second:
        return None
    address = planned.UNDERLAYS[plan.underlay if plan.underlay in planned.UNDERLAYS else "shared"][is_second]
    spec: Manifest = {"address": address, "mac": planned.UNDERLAY_MACS[name], "mtu": plan.underlay_mtu}
    if plan.underlay == "routed":
        spec["gateway"] = "198.51.100.254" if is_second else "192.0.2.254"
        spec["gatewayMac"] = ROUTER_MAC
    return spec


def _workload(workload: PlannedWorkload) -> Manifest:
    spec: Manifest = {
        "type": "Proxy" if workload.is_proxy else "VM" if workload.may_move else "Pod",
        "network": planned.network_name(workload.network),
        "node": planned.node_of(workload),
        "addresses": [str(planned.workload_address(workload, version)) for version in workload.versions],
    }
    if workload.app in SERVED:
        spec["ports"] = [{"name": SERVED_NAME, "port": SERVED[workload.app]}]
    name = planned.workload_name(workload)
    return _object("Workload", name, workload.team, spec, labels={"app": workload.app} if workload.app else None)


def _service(plan: PolicyPlan, service: PlannedService) -> Iterator[Manifest]:
    if service.is_storage:
        yield _storage(plan, service)
    elif service.is_kubernetes:
        yield from _cluster_service(plan, service)
    else:
        yield _dpu_service(plan, service)


def _port_name(at: int) -> str:
    return f"p{at}"


def _dpu_service(plan: PolicyPlan, service: PlannedService) -> Manifest:
    spec: Manifest = {
        "network": planned.network_name(service.network),
        "addresses": [str(planned.cluster_ip(service, version)) for version in service.versions],
        "ports": [_dpu_port(at, port) | _node_port(plan, service, port) for at, port in enumerate(service.ports)],
        **_outside(plan, service),
        **_shown(service, is_shown=service.is_shown),
    }
    if service.app:
        spec["selector"] = {"app": service.app}
    backends = [_backend(plan, service, backend) for backend in service.backends]
    if backends:
        spec["backends"] = backends
    if service.algorithm != "Maglev":
        spec["algorithm"] = service.algorithm
    if service.is_local:
        spec["internalTrafficPolicy"] = "Local"
    spec |= _affinity(service) | _distribution(service)
    return _object("DpuService", planned.service_name(plan, service), service.team, spec)


def _node_port(plan: PolicyPlan, service: PlannedService, port: PlannedPort) -> Manifest:
    return {"nodePort": planned.node_port(plan, service, port)} if plan.has_node_ports(service) else {}


def _outside(plan: PolicyPlan, service: PlannedService) -> Manifest:
    """Who calls from outside, or at nodes, gets the backends that workloads get."""
    if not service.is_shown and not plan.has_node_ports(service):
        return {}
    kind = "LoadBalancer" if service.is_shown else "NodePort"
    return {"type": kind, "externalTrafficPolicy": "Local" if service.is_local else "Cluster"}


def _shown(service: PlannedService | PlannedCrossing, *, is_shown: bool) -> Manifest:
    """What a DpuService says of clients outside."""
    made: Manifest = {}
    if is_shown:
        made["externalAddresses"] = [str(external_address(service, version)) for version in service.versions]
    if service.ranges is not None:
        lists = {"allow": service.ranges.allow, "deny": service.ranges.deny}
        made["sourceRanges"] = {verb: [str(RANGES[n]) for n in numbers] for verb, numbers in lists.items()}
    return made


def _crossing(plan: PolicyPlan, crossing: PlannedCrossing) -> Manifest:
    backends: list[Manifest] = []
    for backend in crossing.backends:
        workload = plan.far_backend_of(backend)
        made: Manifest = {"workload": f"{workload.team}/{planned.workload_name(workload)}", "weight": backend.weight}
        backends.append(made if backend.port is None else made | {"port": backend.port})
    spec: Manifest = {
        "type": "LoadBalancer",
        "ports": [_dpu_port(at, port) for at, port in enumerate(crossing.ports)],
        "algorithm": crossing.algorithm,
        **_shown(crossing, is_shown=True),
    }
    if crossing.app:
        spec["selector"] = {"app": crossing.app}
    if backends:
        spec["backends"] = backends
    return _object("DpuService", f"across-{crossing.host}", crossing.team, spec)


def _affinity(service: PlannedService) -> Manifest:
    if not service.affinity_s:
        return {}
    config = {"clientIP": {"timeoutSeconds": service.affinity_s}}
    return {"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}


def _distribution(service: PlannedService) -> Manifest:
    return {"trafficDistribution": service.distribution} if service.distribution else {}


def _storage(plan: PolicyPlan, service: PlannedService) -> Manifest:
    addresses = [str(planned.cluster_ip(service, version)) for version in service.versions]
    spec: Manifest = {
        "network": planned.network_name(service.network),
        "portals": [
            {"name": _port_name(at), "addresses": addresses, "port": port.port} for at, port in enumerate(service.ports)
        ],
        "targets": [_storage_target(plan, service, backend) for backend in service.backends],
        "sharedData": service.shares_data,
    }
    return _object("StorageSteering", planned.service_name(plan, service), service.team, spec)


def _storage_target(plan: PolicyPlan, service: PlannedService, backend: PlannedBackend) -> Manifest:
    made = _backend(plan, service, replace(backend, by_address=False))
    return made if backend.is_ready else made | {"health": "down" if service.shares_data else "draining"}


def _dpu_port(at: int, port: PlannedPort) -> Manifest:
    made: Manifest = {"name": _port_name(at), "protocol": port.protocol, "port": port.port}
    return made if port.target is None else made | {"targetPort": port.target}


def _backend(plan: PolicyPlan, service: PlannedService, backend: PlannedBackend) -> Manifest:
    workload = plan.backend_of(service, backend)
    assert workload is not None, "a service with backends is in a network with workloads"
    if backend.by_address:
        made: Manifest = {"address": str(planned.workload_address(workload, workload.versions[0]))}
    else:
        made = {"workload": f"{workload.team}/{planned.workload_name(workload)}"}
    if backend.port is not None:
        made["port"] = backend.port
    return made if backend.weight == 1 else made | {"weight": backend.weight}


def _cluster_service(plan: PolicyPlan, service: PlannedService) -> Iterator[Manifest]:
    name = planned.service_name(plan, service)
    addresses = [str(planned.cluster_ip(service, version)) for version in service.versions]
    ports = [
        {"name": _port_name(at), "protocol": port.protocol, "port": port.port} | _node_port(plan, service, port)
        for at, port in enumerate(service.ports)
    ]
    spec: Manifest = {"type": "ClusterIP", "clusterIP": addresses[0], "clusterIPs": addresses, "ports": ports}
    spec |= _outside(plan, service)
    if service.is_shown and not plan.has_node_ports(service):
        spec["allocateLoadBalancerNodePorts"] = False
    if service.is_local:
        spec["internalTrafficPolicy"] = "Local"
    spec |= _affinity(service) | _distribution(service)
    made = _object("Service", name, service.team, spec, api="v1")
    made["metadata"]["annotations"] = {"turnout.dev/network": planned.network_name(service.network)}
    if service.algorithm != "Maglev":
        made["metadata"]["annotations"]["turnout.dev/algorithm"] = service.algorithm
    if service.is_shown:
        ingress = [{"ip": str(external_address(service, version))} for version in service.versions]
        made["status"] = {"loadBalancer": {"ingress": ingress}}
    if service.ranges is not None:
        spec["loadBalancerSourceRanges"] = [str(RANGES[n]) for n in service.ranges.allow or service.ranges.deny]
        if not service.ranges.allow:
            made["metadata"]["annotations"]["turnout.dev/source-ranges"] = "Deny"
    yield made
    targets = [
        {"name": _port_name(at), "protocol": port.protocol, "port": port.target or port.port}
        for at, port in enumerate(service.ports)
    ]
    for version in service.versions:
        endpoints = list(_endpoints(plan, service, version))
        if endpoints:
            yield _slice(f"{name}-v{version}", service.team, name, version, endpoints, targets)


def _endpoints(plan: PolicyPlan, service: PlannedService, version: int) -> Iterator[Manifest]:
    for backend in service.backends:
        workload = plan.backend_of(service, backend)
        if workload is not None and version in workload.versions:
            conditions = {"ready": backend.is_ready, "serving": True, "terminating": not backend.is_ready}
            made: Manifest = {"addresses": [str(planned.workload_address(workload, version))]}
            made |= {"conditions": conditions, "nodeName": planned.node_of(workload)}
            hints = _hints(plan, service, planned.node_of(workload))
            yield made | ({"hints": hints} if hints else {})


def _hints(plan: PolicyPlan, service: PlannedService, node: str) -> Manifest:
    """As the EndpointSlice controller writes them."""
    made: Manifest = {}
    if service.distribution and plan.has_zones:
        made["forZones"] = [{"name": planned.ZONES[node]}]
    if service.distribution == "PreferSameNode":
        made["forNodes"] = [{"name": node}]
    return made


def _slice(
    name: str, namespace: str, service: str, version: int, endpoints: list[Manifest], ports: list[Manifest]
) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": {_SERVICE_LABEL: service}}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": f"IPv{version}",
        "endpoints": endpoints,
        "ports": ports,
    }
