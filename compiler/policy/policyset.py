"""The policies after checking: every name resolved, every default filled in, everything sorted.

This is what the rest of Turnout reads (entries, the lab, the agents); the shapes of the files are in
`compiler.policy.kinds`. Built by `compiler.policy.resolution` only when no error was found.

Names: Network, Node and Device belong to the cluster and have a plain name; Workload and Service live in a namespace,
and their `key` is "namespace/name".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from compiler.policy.distribution import NO_HINTS, ZONE_LABEL, Hints, preferred
from compiler.policy.imagenames import ImageName, RegistryImage
from compiler.policy.signingkeys import SigningKey
from compiler.span import NOWHERE, Span

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network
Labels = tuple[tuple[str, str], ...]
"""Key and value pairs sorted by key; `dict(labels)` to look one up."""


class Profile(StrEnum):
    """What a device runs: eBPF in its kernel, the interpreter, or a v1model P4 program."""

    EBPF = "ebpf"
    MODEL = "model"
    V1MODEL = "v1model"


class WorkloadType(StrEnum):
    POD = "Pod"
    VM = "VM"
    BARE_METAL = "BM"
    ADDRESS = "Address"
    PROXY = "Proxy"


class PortType(StrEnum):
    UPLINK = "uplink"
    WORKLOAD = "workload"


class Algorithm(StrEnum):
    """How new connections spread: each by itself, by source, by chance, in turn, to the less busy of two.

    The more weight a backend has, the more it gets.
    """

    MAGLEV = "Maglev"
    SOURCE_HASH = "SourceHash"
    RANDOM = "Random"
    ROUND_ROBIN = "RoundRobin"
    LEAST_CONNECTIONS = "LeastConnections"


class TrafficPolicy(StrEnum):
    """Which backends get connections: all, or those on the node whose device gets the first packet."""

    CLUSTER = "Cluster"
    LOCAL = "Local"


class ServerReturn(StrEnum):
    """Where answers to clients outside leave: where the connection came in, or at the backend's own device."""

    ENTRANCE = "Entrance"
    DIRECT = "Direct"


class Health(StrEnum):
    """Of a target: one that drains keeps its hosts and takes no new ones, one that is down takes none either."""

    UP = "up"
    DRAINING = "draining"
    DOWN = "down"


class Transport(StrEnum):
    TCP = "TCP"
    RDMA = "RDMA"


class Protocol(StrEnum):
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"

    @property
    def number(self) -> int:
        """The IP protocol number (RFC 9293, RFC 768, RFC 9260)."""
        return _NUMBERS[self]


_NUMBERS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A VPC. `id` (1..65535) is what table keys carry, `vni` what packets between DPUs carry."""

    name: str
    id: int
    vni: int
    cidrs: tuple[Prefix, ...]
    gateways: tuple[Address, ...]
    mtu: int
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    def gateway(self, version: int) -> Address | None:
        """The gateway of the family 4 or 6, or None when the network has no prefix of that family."""
        return next((address for address in self.gateways if address.version == version), None)

    def holds(self, address: Address) -> bool:
        return any(address in cidr for cidr in self.cidrs)


OUTSIDE: Final = Network(name="(outside)", id=0, vni=0, cidrs=(), gateways=(), mtu=0)
"""Stands for the network of a service that has none: no workload is in it, and no Network can have its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    name: str
    addresses: tuple[Address, ...] = ()
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def zone(self) -> str:
        """Empty where its labels do not say."""
        return dict(self.labels).get(ZONE_LABEL, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadPort:
    """A port that a workload serves, by a name that policies may use."""

    name: str
    protocol: Protocol
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`node` is None only for type Address, which is reached through `device`, or is outside of the fabric.

    `mac` is in lower case with colons. `lab_serve` is what the lab starts for it: pairs of server and port.
    """

    name: str
    namespace: str
    type: WorkloadType
    network: Network
    node: Node | None
    device: str | None
    addresses: tuple[Address, ...]
    mac: str
    lab_serve: tuple[tuple[str, int], ...] = ()
    ports: tuple[WorkloadPort, ...] = ()
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def address(self, version: int) -> Address | None:
        return next((address for address in self.addresses if address.version == version), None)

    def port_named(self, name: str, protocol: Protocol) -> int | None:
        return next((port.port for port in self.ports if (port.name, port.protocol) == (name, protocol)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A P4 port. `workload` is set exactly when `type` is workload; `vlan` 0 is untagged; `mtu` has its default."""

    id: int
    name: str
    type: PortType
    workload: Workload | None
    vlan: int
    mtu: int
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlay:
    """The device's leg in the network between DPUs: the outer source of encapsulated packets."""

    address: IPv4Interface
    mac: str
    gateway: IPv4Address | None
    gateway_mac: str | None
    mtu: int


@dataclass(frozen=True, kw_only=True)
class Device:
    """A DPU. `address` is where its P4Runtime server listens: `unix:/path` or `host:port`. Ports are sorted by id.

    `gateway_addresses`, at most one per family, are the sources that backends see of clients whom it lets in to
    services without a network.
    """

    name: str
    node: Node
    profile: Profile
    address: str
    device_id: int
    underlay: Underlay | None
    ports: tuple[Port, ...]
    gateway_addresses: tuple[Address, ...] = ()
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @cached_property
    def uplinks(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if port.type is PortType.UPLINK)

    @property
    def lets_in(self) -> bool:
        """Whether it has a way back to clients outside: the router of its underlay."""
        return bool(self.uplinks) and self.underlay is not None and self.underlay.gateway_mac is not None

    def gateway_address(self, version: int) -> Address | None:
        """Of the family 4 or 6; None where it lets no clients in to services without a network."""
        found = (address for address in self.gateway_addresses if address.version == version)
        return next(found, None) if self.lets_in else None

    @property
    def host_addresses(self) -> tuple[Address, ...]:
        """Those of its node, and its own in the underlay; sorted. Node ports are called at them."""
        own = () if self.underlay is None else (self.underlay.address.ip,)
        return tuple(sorted({*self.node.addresses, *own}, key=lambda address: (address.version, int(address))))

    def port_of(self, workload: Workload) -> Port | None:
        return next((p for p in self.ports if p.workload is not None and p.workload.key == workload.key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where a connection may go. `port` is the backend's own; `weight` 1..100; `workload` None for an address that
    no Workload declares. `node` is the name of the one that it is on, empty where that is not known. `span` is the line
    that made it a backend: the workload, the list item or the endpoint. `preference` and `health` are a target's;
    `hints` say which clients it is meant for."""

    address: Address
    port: int
    weight: int = 1
    workload: Workload | None = None
    node: str = ""
    preference: int = 0
    health: Health = Health.UP
    hints: Hints = NO_HINTS
    network: Network | None = None
    """Its own, where the service has none; else None."""
    span: Span = field(default=NOWHERE, compare=False)

    def is_near(self, device: Device) -> bool:
        """Whether it is on the node of a device; an address that the device reaches counts as there."""
        reached_by = self.workload.device if self.workload is not None else None
        return device.node.name == self.node or device.name == reached_by


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """One port of a service with its backends of both families, sorted by family, address and port.

    `name` is empty when the only port has none. `node_port` is its number at the addresses of nodes, 0 where it has
    none there.
    """

    name: str
    protocol: Protocol
    port: int
    backends: tuple[Backend, ...]
    node_port: int = 0
    node_port_span: Span = field(default=NOWHERE, compare=False)
    outside: tuple[Backend, ...] | None = None
    """Those of clients outside, where their traffic policy makes others of endpoints that end; None: the same."""
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those of its backends, each with its own, where the service has none."""
        found = {b.network.name: b.network for b in self.backends if b.network is not None}
        return tuple(found.values())

    def backends_of(self, version: int, *, is_outside: bool = False) -> tuple[Backend, ...]:
        found = self.backends if self.outside is None or not is_outside else self.outside
        return tuple(backend for backend in found if backend.address.version == version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Where a port of a service is called; `number` is that of the port there."""

    address: Address
    number: int
    port: ServicePort
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What a portal has beyond a service. `dscp` 0 to 63 marks its packets; `rate_bps` and `burst` (bytes) bound them
    in each direction; without `is_portal` it is a registry, whose connections go where they are addressed."""

    dscp: int | None = None
    rate_bps: int | None = None
    burst: int = 0
    shared_data: bool = False
    is_portal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRange:
    """Clients outside by their addresses, and whether a service lets them in. `span` is the range's own line."""

    prefix: Prefix
    is_allowed: bool
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service or a portal; `kind` is the policy it came from: DpuService, Service or StorageSteering.

    Clients outside call it at `externals`, sorted; each was written at the span at its place in `external_spans`.
    `source_ranges`, sorted, say which of them it lets in at those addresses that are `bounded`, and at node ports if
    `bounds_node_ports`.
    """

    name: str
    namespace: str
    kind: str
    network: Network
    addresses: tuple[Address, ...]
    ports: tuple[ServicePort, ...]
    algorithm: Algorithm = Algorithm.MAGLEV
    internal_traffic_policy: TrafficPolicy = TrafficPolicy.CLUSTER
    externals: tuple[Address, ...] = ()
    external_spans: tuple[Span, ...] = field(default=(), compare=False)
    external_traffic_policy: TrafficPolicy = TrafficPolicy.CLUSTER
    server_return: ServerReturn = ServerReturn.ENTRANCE
    traffic_distribution: str = ""
    """As it is asked for; what comes of it are the hints of the backends."""
    source_ranges: tuple[SourceRange, ...] = ()
    bounded: frozenset[Address] = frozenset()
    bounds_node_ports: bool = False
    steering: Steering | None = None
    affinity_s: int = 0
    """So long after its last new connection a client still goes to the same backend, 1 to 86,400; 0: it need not."""
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def address(self, version: int) -> Address | None:
        return next((address for address in self.addresses if address.version == version), None)

    @property
    def is_across(self) -> bool:
        """Whether it has no network: its clients are outside, and its backends in networks of their own."""
        return self.network.id == OUTSIDE.id

    @property
    def vips(self) -> tuple[Address, ...]:
        """All addresses that are its own: it is called at them whichever device is asked."""
        return (*self.addresses, *self.externals)

    @property
    def node_ports(self) -> tuple[ServicePort, ...]:
        return tuple(port for port in self.ports if port.node_port)

    def fronts(self, device: Device) -> tuple[Front, ...]:
        """Where it is called behind or at a device: at all addresses of its own, and by its node ports at the host's.

        These have the families that the service has. One without a network is called at gateways of the family alone.
        """
        own = (
            Front(address=a, number=p.port, port=p, span=p.span)
            for a in self.vips
            if not self.is_across or device.gateway_address(a.version) is not None
            for p in self.ports
        )
        return (*own, *self.node_fronts(device))

    def node_fronts(self, device: Device) -> tuple[Front, ...]:
        """Where it is called by its node ports, at a device that serves its network or is a gateway."""
        families = {address.version for address in (self.vips if self.is_across else self.addresses)}
        return tuple(
            Front(address=a, number=p.node_port, port=p, span=p.node_port_span)
            for a in (device.host_addresses if device.lets_in else ())
            if a.version in families and (not self.is_across or device.gateway_address(a.version) is not None)
            for p in self.node_ports
        )

    @property
    def admits_others(self) -> bool:
        """Whether clients outside whose addresses are in no range are let in: unless others are let in by theirs."""
        return not any(found.is_allowed for found in self.source_ranges)

    def is_bounded(self, front: Address) -> bool:
        """Whether its source ranges say who may call one of its addresses, or that of a node."""
        return front in self.bounded or (self.bounds_node_ports and front not in self.vips)

    def is_direct(self, front: Address) -> bool:
        """Whether backends that are called at an address have it themselves, and answer by themselves."""
        return self.server_return is ServerReturn.DIRECT and front in self.externals

    def traffic_policy(self, front: Address) -> TrafficPolicy:
        """Of connections to one of its addresses, or to that of a node."""
        return self.internal_traffic_policy if front in self.addresses else self.external_traffic_policy

    def backends(self, port: ServicePort, front: Address, device: Device) -> tuple[Backend, ...]:
        """Those of one of its ports that connections to one of its addresses are sent to, which a device gets."""
        found = port.backends_of(front.version, is_outside=front not in self.addresses)
        if self.steering is not None:
            return _for_new_hosts(found)
        if self.traffic_policy(front) is TrafficPolicy.CLUSTER:
            return preferred(found, device.node.name, device.node.zone)
        return tuple(backend for backend in found if backend.is_near(device))

    @property
    def is_hinted(self) -> bool:
        """Whether it may depend on a client's place which backends it gets, be the traffic policy Cluster."""
        return any(backend.hints != NO_HINTS for port in self.ports for backend in port.backends)

    @property
    def is_portal(self) -> bool:
        return self.steering is not None and self.steering.is_portal

    def keepers(self, port: ServicePort, version: int) -> tuple[Backend, ...]:
        """Targets that hosts stay with; without shared data also those that are down, since no other has the data."""
        shares = self.steering is not None and self.steering.shared_data
        return tuple(b for b in port.backends_of(version) if b.health is not Health.DOWN or not shares)


def _for_new_hosts(targets: tuple[Backend, ...]) -> tuple[Backend, ...]:
    """Those that are up, of the lowest preference that any of them has."""
    up = [target for target in targets if target.health is Health.UP]
    lowest = min((target.preference for target in up), default=0)
    return tuple(target for target in up if target.preference == lowest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectRule:
    """Peers and ports of connections: no `cidrs` are all addresses; each of `ports` is the first and the last."""

    cidrs: tuple[Prefix, ...]
    ports: tuple[tuple[int, int], ...]
    span: Span = field(default=NOWHERE, compare=False)

    def prefixes(self, version: int) -> tuple[Prefix | None, ...]:
        """Those of a family, None for all addresses; empty for a rule of the other family alone."""
        return tuple(cidr for cidr in self.cidrs if cidr.version == version) if self.cidrs else (None,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    """One direction of a MeshRedirect. `deny` overrules `exclude`, which overrules `include`."""

    include: tuple[RedirectRule, ...]
    exclude: tuple[RedirectRule, ...] = ()
    deny: tuple[RedirectRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimit:
    """New connections a second of a workload, and how many may come at once."""

    connections_per_s: int
    burst: int
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """A MeshRedirect. `workloads` are those that it concerns, no proxy among them; `limit` is that of each."""

    name: str
    namespace: str
    network: Network
    workloads: tuple[Workload, ...]
    is_closed: bool
    outbound: Redirection | None
    inbound: Redirection | None
    limit: ConnectionLimit | None = None
    http_ports: tuple[int, ...] = ()
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRange:
    """Ports `first` to `last` of a protocol."""

    protocol: Protocol
    first: int
    last: int
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPort:
    """The port that a workload has under a name: each its own."""

    protocol: Protocol
    name: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Whom a rule allows: a block of addresses without some parts of it, or else workloads."""

    block: Prefix | None = None
    excepts: tuple[Prefix, ...] = ()
    workloads: tuple[Workload, ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """What one rule of a NetworkPolicy allows. `ports` are those of the opened side; without, of any protocol."""

    peers: tuple[Peer, ...]
    is_everyone: bool
    ports: tuple[PortRange | NamedPort, ...]
    is_any_port: bool
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """A NetworkPolicy. Its workloads may have no connections but those that a rule of it, or of another policy of
    theirs, allows; None leaves a direction as it is."""

    name: str
    namespace: str
    workloads: tuple[Workload, ...]
    ingress: tuple[PolicyRule, ...] | None
    egress: tuple[PolicyRule, ...] | None
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def rules(self, direction: str) -> tuple[PolicyRule, ...] | None:
        """Of `egress` or `ingress`."""
        return self.egress if direction == "egress" else self.ingress


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePolicy:
    """A StorageSteering as those see it who hand storage out. Its portals are among the services of the set.

    `portals` are addresses and ports that hosts are told; of transport RDMA they are told those of `targets`.
    """

    name: str
    namespace: str
    network: Network
    transport: Transport
    volumes: tuple[str, ...]
    portals: tuple[tuple[Address, int], ...]
    targets: tuple[Backend, ...]
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def targets_for_new(self, version: int) -> tuple[Backend, ...]:
        """The targets of a family that take new hosts."""
        return _for_new_hosts(tuple(target for target in self.targets if target.address.version == version))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConversion:
    """An image to be made into volumes. `mode` is erofs, overlayfs or block, `compression` none or lz4; no platform is
    the machine's own. One of the keys of `signed_by` must have signed it, where there are any."""

    name: str
    namespace: str
    source: ImageName
    destination: RegistryImage | None
    mode: str
    virtual_size_gib: int | None
    compression: str
    platforms: tuple[str, ...]
    pool: str
    signed_by: tuple[SigningKey, ...] = ()
    labels: Labels = ()
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """Everything, each tuple sorted by name or by key, then kind."""

    networks: tuple[Network, ...] = ()
    nodes: tuple[Node, ...] = ()
    devices: tuple[Device, ...] = ()
    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    isolations: tuple[Isolation, ...] = ()
    storage: tuple[StoragePolicy, ...] = ()
    conversions: tuple[ImageConversion, ...] = ()
