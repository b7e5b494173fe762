"""StorageSteering as files write it. Explained for users in docs/storage.md."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from compiler.policy.kinds import ApiVersion
from compiler.policy.model import Model, NamespacedKind
from compiler.policy.storagevalues import MAX_BURST, MIN_BURST, ClassValue, RateValue
from compiler.policy.values import AddressValue, Name, PortName, PortNumber, Reference


class StoragePortal(Model):
    """Stable addresses that hosts connect to."""

    name: Annotated[PortName | None, Field(description="Needed with several portals.")] = None
    addresses: Annotated[tuple[AddressValue, ...], Field(min_length=1, max_length=2, description="One per family.")]
    port: Annotated[PortNumber, Field(description="Default: that of NVMe/TCP.")] = 4420


class StorageTarget(Model):
    field_hints: ClassVar[dict[str, str]] = {
        "address": "define a Workload of type Address, and name that in 'workload'",
    }

    workload: Annotated[Reference, Field(description="name, or namespace/name.")]
    port: Annotated[PortNumber | None, Field(description="Instead of the portal's port.")] = None
    weight: Annotated[int, Field(ge=1, le=100, description="Share of new hosts.")] = 1
    preference: Annotated[int, Field(ge=0, le=255, description="New hosts get healthy targets of the lowest.")] = 0
    health: Annotated[
        Literal["up", "draining", "down"], Field(description="draining keeps its hosts, and takes no new ones.")
    ] = "up"


class StorageRegistry(Model):
    """A registry whose traffic has the class and the rate of the policy, and goes where it is addressed."""

    field_hints: ClassVar[dict[str, str]] = {
        "address": "define a Workload of type Address, and name that in 'workload'",
    }

    workload: Annotated[Reference, Field(description="name, or namespace/name.")]
    port: Annotated[PortNumber, Field(description="Default: that of a registry of the distribution.")] = 5000


class StorageSteeringSpec(Model):
    field_hints: ClassVar[dict[str, str]] = {
        "dscp": "write it as 'class'",
        "backends": "storage has 'targets'",
        "workloads": "a policy says which 'volumes' it serves; any host of the network may connect",
    }

    network: Name
    transport: Annotated[
        Literal["TCP", "RDMA"], Field(description="RDMA cannot be rewritten: hosts get the targets' own addresses.")
    ] = "TCP"
    portals: tuple[StoragePortal, ...] = ()
    targets: tuple[StorageTarget, ...] = ()
    shared_data: Annotated[bool, Field(description="Whether a host may go on with another target's data.")] = False
    service_class: Annotated[ClassValue | None, Field(alias="class", description="DSCP of its packets.")] = None
    rate: Annotated[
        RateValue | None, Field(description="Bits a second of a portal on one device, in each direction.")
    ] = None
    burst: Annotated[
        int | None,
        Field(ge=MIN_BURST, le=MAX_BURST, description="Bytes above the rate; default: a quarter of a second."),
    ] = None
    volumes: Annotated[tuple[Name, ...], Field(description="Names of what the targets serve, for the plan.")] = ()
    registries: tuple[StorageRegistry, ...] = ()


class StorageSteering(NamespacedKind):
    """Connections of hosts to storage: which target each host gets, and the class and rate of what it carries."""

    api_version: ApiVersion
    kind: Literal["StorageSteering"]
    spec: StorageSteeringSpec
    status: dict[str, Any] | None = None
