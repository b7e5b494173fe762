"""MeshRedirect as files write it. Explained for users in docs/mesh.md."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from compiler.policy.kinds import ApiVersion
from compiler.policy.model import Model, NamespacedKind
from compiler.policy.values import LabelName, Labels, Name, PortNumber, PortsValue, PrefixValue

MAX_LIMIT = 1_000_000


class RedirectRule(Model):
    """Peers and ports of connections; what is left out is any."""

    field_hints: ClassVar[dict[str, str]] = {
        "to": "write the peers' prefixes in 'cidrs'",
        "from": "write the peers' prefixes in 'cidrs'",
        "port": "write the ports as a list in 'ports'",
    }

    cidrs: Annotated[tuple[PrefixValue, ...], Field(description="Where connections go to, or come from.")] = ()
    ports: Annotated[tuple[PortsValue, ...], Field(description="Ports of the opened side: 80, or '8000-8999'.")] = ()


class RedirectDirection(Model):
    include: Annotated[tuple[RedirectRule, ...], Field(description="To the proxy; default: everything.")] = (
        RedirectRule(),
    )
    exclude: Annotated[tuple[RedirectRule, ...], Field(description="Not to the proxy, whoever includes it.")] = ()
    deny: Annotated[tuple[RedirectRule, ...], Field(description="Nowhere.")] = ()


class RedirectLimit(Model):
    """Of each workload by itself, both IP families together."""

    field_hints: ClassVar[dict[str, str]] = {
        "connections": "only new ones a second are bounded: 'connectionsPerSecond'",
        "maxConnections": "only new ones a second are bounded: 'connectionsPerSecond'",
        "rate": "write the new connections a second in 'connectionsPerSecond'",
    }

    connections_per_second: Annotated[
        int, Field(ge=1, le=MAX_LIMIT, description="New connections a second that go to the proxy.")
    ]
    burst: Annotated[
        int | None, Field(ge=1, le=MAX_LIMIT, description="So many at once; default: those of a second.")
    ] = None


class MeshRedirectSpec(Model):
    field_hints: ClassVar[dict[str, str]] = {
        "egress": "connections that workloads open are 'outbound'",
        "ingress": "connections that are opened to workloads are 'inbound'",
    }

    network: Name
    selector: Annotated[Labels, Field(description="Workloads that have all of them; default: all.")] = Field(
        default_factory=dict
    )
    namespaces: Annotated[tuple[LabelName, ...], Field(description="Default: the policy's own.")] = ()
    failure: Annotated[Literal["open", "closed"], Field(description="What becomes of connections without a proxy.")] = (
        "closed"
    )
    limit: Annotated[RedirectLimit | None, Field(description="Of each workload; what is beyond is dropped.")] = None
    outbound: RedirectDirection | None = None
    inbound: RedirectDirection | None = None
    http_ports: Annotated[
        tuple[PortNumber, ...], Field(max_length=64, description="Ports that the proxy takes for HTTP; others are TCP.")
    ] = ()


class MeshRedirect(NamespacedKind):
    """New TCP connections of workloads that the network's proxy gets instead of where they are addressed."""

    api_version: ApiVersion
    kind: Literal["MeshRedirect"]
    spec: MeshRedirectSpec
    status: dict[str, Any] | None = None
