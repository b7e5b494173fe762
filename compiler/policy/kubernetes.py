"""Kubernetes' own v1 Service and discovery.k8s.io/v1 EndpointSlice, with every field that the API server prints.

A field that changes where packets go and that Turnout does not follow is not left out here: it is modelled, and
`compiler.policy.clusterservice` answers it with an error or a warning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from compiler.policy.affinities import SessionAffinityConfig
from compiler.policy.model import Model, NamespacedKind
from compiler.policy.values import PortNumber, ProtocolWord, TargetPort


class KubernetesServicePort(Model):
    name: str = ""
    protocol: ProtocolWord = "TCP"
    port: PortNumber
    target_port: TargetPort | None = None
    node_port: Annotated[int, Field(ge=0, le=65535)] = 0
    app_protocol: str = ""


class KubernetesServiceSpec(Model):
    """ServiceSpec of core/v1, Kubernetes 1.34."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    cluster_ip: str = Field(default="", alias="clusterIP")
    cluster_ips: tuple[str, ...] = Field(default=(), alias="clusterIPs")
    ip_families: tuple[Literal["IPv4", "IPv6"], ...] = ()
    ip_family_policy: Literal["", "SingleStack", "PreferDualStack", "RequireDualStack"] = ""
    ports: tuple[KubernetesServicePort, ...] = ()
    selector: dict[str, str] = Field(default_factory=dict)
    session_affinity: Literal["", "None", "ClientIP"] = ""
    session_affinity_config: SessionAffinityConfig | None = None
    internal_traffic_policy: Literal["", "Cluster", "Local"] = ""
    external_traffic_policy: Literal["", "Cluster", "Local"] = ""
    traffic_distribution: str = ""
    publish_not_ready_addresses: bool = False
    external_name: str = ""
    external_ips: tuple[str, ...] = Field(default=(), alias="externalIPs")
    load_balancer_ip: str = Field(default="", alias="loadBalancerIP")
    load_balancer_class: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    allocate_load_balancer_node_ports: bool = True
    health_check_node_port: int = 0


class LoadBalancerIngress(Model):
    ip: str = ""
    hostname: str = ""
    ip_mode: Literal["", "VIP", "Proxy"] = ""
    ports: tuple[dict[str, Any], ...] = ()


class LoadBalancerStatus(Model):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class KubernetesServiceStatus(Model):
    """ServiceStatus of core/v1: where a load balancer's controller writes which addresses it has given."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[dict[str, Any], ...] = ()


class KubernetesService(NamespacedKind):
    api_version: Literal["v1"]
    kind: Literal["Service"]
    spec: KubernetesServiceSpec
    status: KubernetesServiceStatus | None = None


class ObjectReference(Model):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class EndpointConditions(Model):
    """None is unknown: ready and serving then count as true, terminating as false."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class HintedPlace(Model):
    name: str


class EndpointHints(Model):
    """The clients that an endpoint is meant for, by zone and by node (EndpointHints of discovery.k8s.io/v1)."""

    for_zones: tuple[HintedPlace, ...] = ()
    for_nodes: tuple[HintedPlace, ...] = ()


class Endpoint(Model):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    target_ref: ObjectReference | None = None
    deprecated_topology: dict[str, str] = Field(default_factory=dict)
    node_name: str = ""
    zone: str = ""
    hints: EndpointHints | None = None


class EndpointPort(Model):
    name: str = ""
    protocol: ProtocolWord = "TCP"
    port: PortNumber | None = None
    app_protocol: str = ""


class EndpointSlice(NamespacedKind):
    api_version: Literal["discovery.k8s.io/v1"]
    kind: Literal["EndpointSlice"]
    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
