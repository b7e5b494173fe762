"""Kubernetes' own networking.k8s.io/v1 NetworkPolicy, and v1 Namespace, whose labels its selectors ask for.

Every field that the API server prints. Explained for users in docs/networkpolicies.md.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from compiler.policy.model import Kind, Model, NamespacedKind
from compiler.policy.selectors import LabelSelector
from compiler.policy.values import PortNumber, ProtocolWord, TargetPort


class PolicyPort(Model):
    """NetworkPolicyPort: a port by number or name, or the first of those up to `end_port`; none is all of them."""

    protocol: ProtocolWord = "TCP"
    port: TargetPort | None = None
    end_port: PortNumber | None = None


class IPBlock(Model):
    field_hints: ClassVar[dict[str, str]] = {"exceptions": "write them in 'except'", "excepts": "write 'except'"}

    cidr: str
    but: tuple[str, ...] = Field(default=(), alias="except")


class PolicyPeer(Model):
    """NetworkPolicyPeer: `ip_block` alone, or one or both of the selectors."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


class IngressRule(Model):
    field_hints: ClassVar[dict[str, str]] = {"to": "an ingress rule has its peers in 'from'"}

    ports: tuple[PolicyPort, ...] = ()
    peers: tuple[PolicyPeer, ...] = Field(default=(), alias="from")


class EgressRule(Model):
    field_hints: ClassVar[dict[str, str]] = {"from": "an egress rule has its peers in 'to'"}

    ports: tuple[PolicyPort, ...] = ()
    peers: tuple[PolicyPeer, ...] = Field(default=(), alias="to")


class NetworkPolicySpec(Model):
    """NetworkPolicySpec of networking/v1, Kubernetes 1.34."""

    pod_selector: LabelSelector = LabelSelector()
    policy_types: tuple[Literal["Ingress", "Egress"], ...] = ()
    ingress: tuple[IngressRule, ...] = ()
    egress: tuple[EgressRule, ...] = ()


class NetworkPolicy(NamespacedKind):
    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    spec: NetworkPolicySpec
    status: dict[str, Any] | None = None


class Namespace(Kind):
    api_version: Literal["v1"]
    kind: Literal["Namespace"]
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None
