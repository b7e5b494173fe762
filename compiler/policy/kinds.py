"""The kinds of apiVersion turnout.dev/v1alpha1, as files and CustomResourceDefinitions write them.

Only the shape of one object is checked here; what needs a second object, or two fields together, is checked where it
is resolved. Explained for users in docs/policies.md.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from compiler.policy.affinities import SessionAffinityConfig
from compiler.policy.distribution import DistributionWord
from compiler.policy.model import Kind, Model, NamespacedKind
from compiler.policy.sourceranges import SourceRanges
from compiler.policy.values import (
    AddressValue,
    AlgorithmWord,
    DeviceAddress,
    Labels,
    MacValue,
    Mtu,
    Name,
    PortName,
    PortNumber,
    PrefixValue,
    ProtocolWord,
    Reference,
    ServiceTypeWord,
    UnderlayAddress,
)

API_VERSION: Final = "turnout.dev/v1alpha1"
ANNOTATION_PREFIX: Final = "turnout.dev/"
LAB_SERVE: Final = "turnout.dev/lab-serve"
NETWORK_ANNOTATION: Final = "turnout.dev/network"
ALGORITHM_ANNOTATION: Final = "turnout.dev/algorithm"
SERVER_RETURN_ANNOTATION: Final = "turnout.dev/server-return"
SOURCE_RANGES_ANNOTATION: Final = "turnout.dev/source-ranges"
"""Of a Kubernetes Service: whether clients in its ranges are those that may connect (Allow), or those that may not."""

ApiVersion = Literal["turnout.dev/v1alpha1"]


class NetworkSpec(Model):
    vni: Annotated[int, Field(ge=1, le=16_777_215, description="VXLAN network identifier (RFC 7348 section 5).")]
    cidrs: Annotated[tuple[PrefixValue, ...], Field(min_length=1, description="Prefixes that workloads live in.")]
    gateways: Annotated[
        tuple[AddressValue, ...],
        Field(max_length=2, description="One per family; default: first usable address of the family's first prefix."),
    ] = ()
    mtu: Annotated[Mtu, Field(description="Largest IP packet of a workload, in bytes.")] = 1450
    id: Annotated[int | None, Field(ge=1, le=65_535, description="What table keys carry; assigned when absent.")] = None


class Network(Kind):
    """A VPC: addresses that can reach each other, and nobody else."""

    api_version: ApiVersion
    kind: Literal["Network"]
    spec: NetworkSpec
    status: dict[str, Any] | None = None


class NodeSpec(Model):
    addresses: Annotated[tuple[AddressValue, ...], Field(description="The host's own addresses.")] = ()


class Node(Kind):
    """A machine: a host, and a DPU in it."""

    api_version: ApiVersion
    kind: Literal["Node"]
    spec: NodeSpec = NodeSpec()
    status: dict[str, Any] | None = None


class UnderlaySpec(Model):
    address: Annotated[UnderlayAddress, Field(description="IPv4 address with prefix length.")]
    mac: MacValue
    gateway: Annotated[AddressValue | None, Field(description="Router towards DPUs of other subnets.")] = None
    gateway_mac: MacValue | None = None
    mtu: Annotated[Mtu, Field(description="Largest IP packet of the underlay, in bytes.")] = 1500


class PortSpec(Model):
    id: Annotated[int, Field(ge=1, le=511, description="P4 port number.")]
    name: PortName
    type: Literal["uplink", "workload"]
    workload: Annotated[Reference | None, Field(description="name, or namespace/name; for type workload.")] = None
    vlan: Annotated[int, Field(ge=0, le=4094, description="802.1Q tag on this port; 0 is untagged.")] = 0
    mtu: Annotated[Mtu | None, Field(description="Default: that of the network, or of the underlay.")] = None


class DeviceSpec(Model):
    node: Name
    profile: Literal["ebpf", "model", "v1model"] = "ebpf"
    address: Annotated[DeviceAddress | None, Field(description="Default: unix:/run/turnout/<name>.sock")] = None
    device_id: Annotated[int, Field(ge=1, le=(1 << 63) - 1, description="P4Runtime device_id.")] = 1
    underlay: UnderlaySpec | None = None
    gateway_addresses: Annotated[
        tuple[AddressValue, ...],
        Field(max_length=2, description="The source that backends of services without a network see, per family."),
    ] = ()
    ports: tuple[PortSpec, ...] = ()


class Device(Kind):
    """A DPU: where its P4Runtime server is, how it reaches the other DPUs, and its ports."""

    api_version: ApiVersion
    kind: Literal["Device"]
    spec: DeviceSpec
    status: dict[str, Any] | None = None


class WorkloadPort(Model):
    name: PortName
    protocol: ProtocolWord = "TCP"
    port: PortNumber


class WorkloadSpec(Model):
    type: Literal["Pod", "VM", "BM", "Address", "Proxy"]
    network: Name
    node: Annotated[Name | None, Field(description="Where it runs; for Pod, VM, BM and Proxy.")] = None
    device: Annotated[Name | None, Field(description="The device that reaches it; for Address.")] = None
    addresses: Annotated[tuple[AddressValue, ...], Field(min_length=1, max_length=2, description="One per family.")]
    mac: Annotated[MacValue | None, Field(description="Default: derived from network and first address.")] = None
    ports: Annotated[tuple[WorkloadPort, ...], Field(description="Names that NetworkPolicies may use.")] = ()


class Workload(NamespacedKind):
    """Something with an address in a network."""

    api_version: ApiVersion
    kind: Literal["Workload"]
    spec: WorkloadSpec
    status: dict[str, Any] | None = None


class DpuServicePort(Model):
    name: PortName | None = None
    protocol: ProtocolWord = "TCP"
    port: PortNumber
    end_port: Annotated[
        PortNumber | None, Field(description="The last port of a range that begins with 'port'; at most 1,024 ports.")
    ] = None
    target_port: Annotated[
        PortNumber | None,
        Field(description="The backends' port; default: the same. Of a range the first: the others follow it."),
    ] = None
    node_port: Annotated[
        PortNumber | None, Field(description="At the addresses of nodes; with type NodePort or LoadBalancer.")
    ] = None


class DpuServiceBackend(Model):
    """One of `workload` and `address`."""

    workload: Annotated[Reference | None, Field(description="name, or namespace/name.")] = None
    address: AddressValue | None = None
    network: Annotated[
        Name | None, Field(description="That of the address, where the service itself has no network.")
    ] = None
    port: Annotated[
        PortNumber | None, Field(description="Instead of the service port's targetPort; of a range the first.")
    ] = None
    weight: Annotated[int, Field(ge=1, le=100, description="Share of new connections, with any algorithm.")] = 1


class DpuServiceSpec(Model):
    field_hints: ClassVar[dict[str, str]] = {
        "loadBalancerSourceRanges": "write the prefixes of clients that may connect in 'sourceRanges.allow'",
        "clusterIP": "write the cluster IPs as a list in 'addresses'",
        "clusterIPs": "write the cluster IPs in 'addresses'",
        "externalIPs": "write the addresses for clients outside in 'externalAddresses'",
        "weights": "write 'weight' at each of 'backends'",
    }

    network: Annotated[
        Name | None,
        Field(description="Without one clients outside alone call the service, with backends in any networks."),
    ] = None
    type: ServiceTypeWord = "ClusterIP"
    addresses: Annotated[
        tuple[AddressValue, ...], Field(max_length=2, description="One per family; of a service with a network.")
    ] = ()
    ports: Annotated[tuple[DpuServicePort, ...], Field(min_length=1)]
    selector: Annotated[Labels, Field(description="Workloads of its namespace, and of its network if any.")] = Field(
        default_factory=dict
    )
    backends: tuple[DpuServiceBackend, ...] = ()
    algorithm: Annotated[AlgorithmWord, Field(description="How new connections spread over the backends.")] = "Maglev"
    internal_traffic_policy: Annotated[
        Literal["Cluster", "Local"], Field(description="Local: only backends on the client's node.")
    ] = "Cluster"
    traffic_distribution: Annotated[
        DistributionWord | None,
        Field(description="Backends that clients get where there are any: in their zone, or on their node first."),
    ] = None
    external_addresses: Annotated[
        tuple[AddressValue, ...], Field(max_length=16, description="For clients outside; with type LoadBalancer.")
    ] = ()
    external_traffic_policy: Annotated[
        Literal["Cluster", "Local"] | None,
        Field(description="Local: only backends on the node that clients outside come to. Default: Cluster."),
    ] = None
    server_return: Annotated[
        Literal["Entrance", "Direct"],
        Field(description="Direct: backends have the external addresses themselves, and answer by their own device."),
    ] = "Entrance"
    source_ranges: Annotated[
        SourceRanges | None, Field(description="Which clients outside may connect; with type LoadBalancer or NodePort.")
    ] = None
    session_affinity: Annotated[
        Literal["None", "ClientIP"],
        Field(description="ClientIP: a client's connections go to the backend that its last one went to."),
    ] = "None"
    session_affinity_config: SessionAffinityConfig | None = None


class DpuService(NamespacedKind):
    """Connections to an address and port, spread over backends by the DPU."""

    api_version: ApiVersion
    kind: Literal["DpuService"]
    spec: DpuServiceSpec
    status: dict[str, Any] | None = None
