"""All objects of a run, put together: names become references, and objects are checked against each other.

Goes from the bottom up (networks, nodes, workloads, devices, services), so that each step looks names up in what the
one before resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from compiler.diagnostic import Report
from compiler.policy import kinds
from compiler.policy.clusterservices import ClusterServiceResolver
from compiler.policy.devices import check_mtu, check_reachability, check_underlay, resolve_devices
from compiler.policy.dpuservices import DpuServiceResolver, label_index
from compiler.policy.endpoints import collect_endpoints
from compiler.policy.externals import check_externals
from compiler.policy.frontends import check_chains, check_clashes, holders_of
from compiler.policy.gatewayservices import check_gateways
from compiler.policy.imageconversions import resolve_conversions
from compiler.policy.imagekinds import ImageConversion
from compiler.policy.kubernetes import EndpointSlice, KubernetesService
from compiler.policy.located import Located, Objects
from compiler.policy.memory import Memory
from compiler.policy.meshkinds import MeshRedirect
from compiler.policy.meshredirects import check_proxies, resolve_redirects
from compiler.policy.model import Kind
from compiler.policy.networkpolicies import resolve_policies
from compiler.policy.networkpolicykinds import Namespace, NetworkPolicy
from compiler.policy.networks import resolve_networks, resolve_nodes
from compiler.policy.nodeports import check_node_ports
from compiler.policy.policyset import Network, PolicySet, Service, StoragePolicy, Workload, WorkloadType
from compiler.policy.references import Directory, unique_objects
from compiler.policy.serverreturns import check_direct_backends
from compiler.policy.storagekinds import StorageSteering
from compiler.policy.storagesteering import StorageResolver
from compiler.policy.workloads import resolve_workloads

K = TypeVar("K", bound=Kind)
T = TypeVar("T")


def resolve(objects: Objects, report: Report, memory: Memory) -> PolicySet:
    """Everything that could be resolved; complete only when `report` holds no error."""
    network_objects = _unique(objects, kinds.Network, report)
    networks = Directory("Network", resolve_networks(network_objects, report), _refused(objects, "Network"))
    node_objects = _unique(objects, kinds.Node, report)
    nodes = Directory("Node", resolve_nodes(node_objects, report), _refused(objects, "Node"))
    device_objects = _unique(objects, kinds.Device, report)
    workload_objects = _unique(objects, kinds.Workload, report)
    device_names = Directory("Device", {name: name for name in device_objects}, _refused(objects, "Device"))
    resolved_workloads = resolve_workloads(workload_objects, networks, nodes, device_names, report)
    left_out = {
        located.model.metadata.name for key, located in workload_objects.items() if key not in resolved_workloads
    }
    workloads = Directory("Workload", resolved_workloads, _refused(objects, "Workload") | left_out)
    devices = resolve_devices(device_objects, nodes, workloads, report)
    check_reachability(devices.values(), resolved_workloads.values(), report)
    check_underlay(devices.values(), report)
    check_mtu(network_objects, devices.values(), report)
    redirect_objects = _unique(objects, MeshRedirect, report)
    redirects = resolve_redirects(redirect_objects, networks, _by_name(resolved_workloads), report)
    check_proxies(redirects, _by_name(devices), report)
    services, storage = _services(objects, networks, workloads, report, memory)
    in_file_order = sorted(services, key=lambda service: service.span)
    check_externals(in_file_order, nodes.found.values(), devices.values(), report)
    check_gateways(in_file_order, devices.values(), networks.found.values(), nodes.found.values(), report)
    check_node_ports(in_file_order, devices.values(), resolved_workloads.values(), report)
    check_direct_backends(in_file_order, devices.values(), redirects, report)
    return PolicySet(
        networks=_by_name(networks.found),
        nodes=_by_name(nodes.found),
        devices=_by_name(devices),
        workloads=_by_name(resolved_workloads),
        services=services,
        redirects=redirects,
        isolations=resolve_policies(
            _unique(objects, NetworkPolicy, report),
            _unique(objects, Namespace, report),
            _by_name(resolved_workloads),
            report,
        ),
        storage=storage,
        conversions=resolve_conversions(_unique(objects, ImageConversion, report), report),
    )


def _services(
    objects: Objects, networks: Directory[Network], workloads: Directory[Workload], report: Report, memory: Memory
) -> tuple[tuple[Service, ...], tuple[StoragePolicy, ...]]:
    holders = holders_of(workloads.found.values())
    backends = [workload for workload in workloads.found.values() if workload.type is not WorkloadType.PROXY]
    dpu_objects = _unique(objects, kinds.DpuService, report)
    cluster_objects = _unique(objects, KubernetesService, report)
    slices = _unique(objects, EndpointSlice, report)
    endpoints = collect_endpoints(slices.values(), cluster_objects, _refused(objects, "Service"), report, memory.keep)
    dpu = DpuServiceResolver(networks, workloads, holders, label_index(backends), report)
    cluster = ClusterServiceResolver(networks, holders, endpoints, report)
    steering = StorageResolver(networks=networks, workloads=workloads, holders=holders, report=report)
    storage, portals = steering.resolve(_unique(objects, StorageSteering, report))
    resolved = [
        *portals,
        *(dpu.resolve(located) for located in dpu_objects.values()),
        *(
            memory.resolved(located, endpoints.slices(key), cluster.resolve, networks.found, workloads.found, report)
            for key, located in cluster_objects.items()
        ),
    ]
    services = [service for service in resolved if service is not None]
    in_file_order = sorted(services, key=lambda service: service.span)
    check_clashes(in_file_order, report)
    check_chains(in_file_order, report)
    return tuple(sorted(services, key=lambda service: (service.key, service.kind))), storage


def _unique(objects: Objects, model: type[K], report: Report) -> dict[str, Located[K]]:
    kind = model.__name__.removeprefix("Kubernetes")
    return unique_objects(kind, objects.of(model), report)


def _refused(objects: Objects, kind: str) -> frozenset[str]:
    return frozenset(name for refused_kind, name in objects.unreadable if refused_kind == kind)


def _by_name(found: Mapping[str, T]) -> tuple[T, ...]:
    return tuple(found[name] for name in sorted(found))
