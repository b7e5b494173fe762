"""A whole policy set as few small numbers: two nodes with a device each, networks, workloads, services.

A plan is right by construction but for what its own words say (a workload without a port, a service that nothing
stands behind): names, addresses, numbers and ports come from where things stand in it. So a shrunk plan is short, and
two plans of the same shape are two states of one cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

NETWORK_NAMES = ("red", "blue", "default")
ACROSS = len(NETWORK_NAMES)
"""In the place of a network's number: that of services without a network."""
DEVICES = ("dpu-a", "dpu-b")
NODES = {"dpu-a": "node-a", "dpu-b": "node-b"}
BARE_NODE = "node-c"
"""A node without a device."""
ZONES = {"node-a": "east", "node-b": "west", BARE_NODE: "east"}
"""Where a plan has zones."""
UNDERLAY_MACS = {"dpu-a": "02:00:00:00:01:01", "dpu-b": "02:00:00:00:01:02"}
FIRST_WORKLOAD_PORT = 16
UPLINK = 1
FIRST_HOST = 10
"""Hosts are `FIRST_HOST` and the nine behind it."""
PROXY_PLACES = {16: "dpu-a", 17: "dpu-a", 18: "dpu-b"}
"""The hosts of each network that are proxies, and where they are; two of one device share its new connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNetwork:
    """All networks use the same addresses. `is_wide`: a prefix of 16 bits in place of 24, `has_second` another one."""

    versions: tuple[int, ...] = (4, 6)
    is_wide: bool = False
    has_second: bool = False
    mtu: int = 1450
    has_id: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWorkload:
    """`place`: a device, "nowhere" (a node whose device has no port for it), or "bare" (a node without a device)."""

    network: int
    host: int
    versions: tuple[int, ...] = (4, 6)
    place: str = "dpu-a"
    vlan: int = 0
    app: str = "web"
    team: str = "shop"
    """Its namespace."""

    @property
    def is_proxy(self) -> bool:
        return self.host in PROXY_PLACES

    @property
    def may_move(self) -> bool:
        """Whether it is a virtual machine: connections to it go on when it moves behind another device."""
        return self.host % 2 == 0 and not self.is_proxy

    @property
    def wherever(self) -> PlannedWorkload:
        """What is the same of it before it moves and behind that."""
        return replace(self, place="", vlan=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRule:
    """Numbers of prefixes and ranges of ports (`meshes`); none of a kind is any."""

    prefixes: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDirection:
    """`include` None: left out, which is everything."""

    include: tuple[PlannedRule, ...] | None = None
    exclude: tuple[PlannedRule, ...] = ()
    deny: tuple[PlannedRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRedirect:
    """`app` empty: all workloads of its namespace, `of_all_teams`: of every namespace."""

    network: int
    app: str = ""
    team: str = "shop"
    of_all_teams: bool = False
    is_closed: bool = True
    outbound: PlannedDirection | None = None
    inbound: PlannedDirection | None = None
    limit: tuple[int, int] | None = None
    """New connections a second of each workload, and how many at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGrant:
    """A rule of a NetworkPolicy: numbers of peers and of ports (`isolating`); none of a kind is any."""

    peers: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedIsolation:
    """A NetworkPolicy for workloads of a namespace; `app` empty: for all of them. `number` tells those apart that are
    for the same ones.

    A direction that is None is none of its types.
    """

    app: str = ""
    team: str = "shop"
    number: int = 0
    ingress: tuple[PlannedGrant, ...] | None = None
    egress: tuple[PlannedGrant, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPort:
    """`target` None: the same as `port`."""

    protocol: str = "TCP"
    port: int = 80
    target: int | None = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBackend:
    """Workload number `workload` of those in the service's network; by its address when `by_address`."""

    workload: int
    port: int | None = None
    weight: int = 1
    by_address: bool = False
    is_ready: bool = True
    """Of a Kubernetes endpoint; one that is not still serves while it terminates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRanges:
    """Source ranges: numbers of `entrances.RANGES`, those that are allowed and those that are denied."""

    allow: tuple[int, ...] = ()
    deny: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedService:
    """`host`: of its cluster IPs; `is_inside`: these are in the network's own prefix.

    A DpuService with `app` selects, and has `backends` beside; a Kubernetes one has `backends` as its endpoints.
    """

    network: int
    host: int
    versions: tuple[int, ...] = (4,)
    is_inside: bool = False
    ports: tuple[PlannedPort, ...] = (PlannedPort(),)
    app: str = "web"
    team: str = "shop"
    backends: tuple[PlannedBackend, ...] = ()
    is_kubernetes: bool = False
    algorithm: str = "Maglev"
    is_local: bool = False
    """Its clients are sent to backends on their own node only."""
    distribution: str = ""
    """Which of its backends clients would rather get; of a Kubernetes one, what is written into its endpoints."""
    affinity_s: int = 0
    """How long it remembers clients."""
    is_storage: bool = False
    """It is a StorageSteering, with a portal for each port (of TCP), and `backends` for targets."""
    shares_data: bool = False
    """Of such a one: its backends that are not ready are down; else they drain."""
    is_shown: bool = False
    """It has an external address of each of its families."""
    ranges: PlannedRanges | None = None
    """Who may call it from outside; of a Kubernetes one either of both lists, and at its external addresses alone."""

    @property
    def remembers(self) -> bool:
        """Which backend a client has got."""
        return self.is_storage or self.affinity_s > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFarBackend:
    """Workload number `workload` of all."""

    workload: int
    port: int | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCrossing:
    """A DpuService without a network: clients outside alone call it, at gateways, and its backends are in any network.

    `host` says its external addresses; with `app` it selects, and has `backends` beside.
    """

    host: int
    versions: tuple[int, ...] = (4, 6)
    ports: tuple[PlannedPort, ...] = (PlannedPort(),)
    app: str = ""
    team: str = "shop"
    backends: tuple[PlannedFarBackend, ...] = ()
    algorithm: str = "Maglev"
    ranges: PlannedRanges | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGateway:
    """A device that is a gateway of services without a network, in these families."""

    device: str
    versions: tuple[int, ...] = (4, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlan:
    """`underlay`: "shared" subnet, two "routed" ones with gateways, "split" ones without, or "none" for dpu-b."""

    networks: tuple[PlannedNetwork, ...]
    workloads: tuple[PlannedWorkload, ...]
    services: tuple[PlannedService, ...]
    underlay: str = "shared"
    underlay_mtu: int = 1500
    has_zones: bool = False
    """Its nodes are in `ZONES`."""
    has_orphan: bool = False
    """An EndpointSlice whose Service is not there."""
    proxies: tuple[PlannedWorkload, ...] = ()
    redirects: tuple[PlannedRedirect, ...] = ()
    isolations: tuple[PlannedIsolation, ...] = ()
    crossings: tuple[PlannedCrossing, ...] = ()
    gateways: tuple[PlannedGateway, ...] = ()
    at_nodes: int | None = None
    """The network whose services have node ports; those of StorageSteering have none."""

    @property
    def lets_in(self) -> bool:
        """Whether devices know a router, and so let clients outside in."""
        return self.underlay == "routed"

    def has_node_ports(self, service: PlannedService) -> bool:
        return service.network == self.at_nodes and not service.is_storage

    def is_served(self, device: str, network: int) -> bool:
        """Whether a device has a workload of a network."""
        return any((workload.place, workload.network) == (device, network) for workload in self.everyone)

    @property
    def everyone(self) -> tuple[PlannedWorkload, ...]:
        return *self.workloads, *self.proxies

    def workloads_of(self, network: int) -> tuple[PlannedWorkload, ...]:
        return tuple(workload for workload in self.workloads if workload.network == network)

    def backend_of(self, service: PlannedService, backend: PlannedBackend) -> PlannedWorkload | None:
        near = self.workloads_of(service.network)
        return near[backend.workload % len(near)] if near else None

    def selected(self, service: PlannedService) -> tuple[PlannedWorkload, ...]:
        """What the selector of a DpuService finds."""
        near = self.workloads_of(service.network)
        return tuple(w for w in near if service.app and (w.app, w.team) == (service.app, service.team))

    def concerned(self, redirect: PlannedRedirect) -> tuple[PlannedWorkload, ...]:
        """No proxy is among them."""
        return tuple(
            w
            for w in self.workloads_of(redirect.network)
            if redirect.app in ("", w.app) and (redirect.of_all_teams or w.team == redirect.team)
        )

    def isolated(self, isolation: PlannedIsolation) -> tuple[PlannedWorkload, ...]:
        """Those that a NetworkPolicy concerns, in all networks; proxies are among them."""
        return tuple(w for w in self.everyone if w.team == isolation.team and isolation.app in ("", w.app))

    def is_gateway(self, device: str, version: int) -> bool:
        is_its = ((gateway.device, version in gateway.versions) for gateway in self.gateways)
        return self.lets_in and (device, True) in is_its

    def far_backend_of(self, backend: PlannedFarBackend) -> PlannedWorkload:
        return self.workloads[backend.workload % len(self.workloads)]

    def selected_across(self, crossing: PlannedCrossing) -> tuple[PlannedWorkload, ...]:
        """What the selector of a service without a network finds, in all networks."""
        return tuple(w for w in self.workloads if crossing.app and (w.app, w.team) == (crossing.app, crossing.team))

    def proxies_at(self, device: str, network: int) -> tuple[PlannedWorkload, ...]:
        return tuple(p for p in self.proxies if (p.place, p.network) == (device, network))


def network_name(number: int) -> str:
    return NETWORK_NAMES[number]


def vni(number: int) -> int:
    """All three bytes differ, so that their order matters."""
    return 0x0A0B00 + number + 1


def workload_name(workload: PlannedWorkload) -> str:
    return f"{network_name(workload.network)}-{workload.host}"


def port_of(workload: PlannedWorkload) -> int:
    """A workload that stays keeps its port, whoever else comes and goes."""
    return FIRST_WORKLOAD_PORT + 10 * workload.network + workload.host - FIRST_HOST


def behind_port(port: int) -> tuple[int, int]:
    """Network and host of the workload that a port is for."""
    network, host = divmod(port - FIRST_WORKLOAD_PORT, 10)
    return network, FIRST_HOST + host


def workload_at(plan: PolicyPlan, device: str, port: int) -> PlannedWorkload | None:
    return next((w for w in plan.everyone if (w.place, port_of(w)) == (device, port)), None)


def node_of(workload: PlannedWorkload) -> str:
    return NODES.get(workload.place, BARE_NODE if workload.place == "bare" else NODES[DEVICES[0]])


def workload_of(plan: PolicyPlan, network: int, address: Address) -> PlannedWorkload | None:
    """Whose address it is in a network."""
    version = address.version
    near = (w for w in plan.everyone if w.network == network and version in w.versions)
    return next((workload for workload in near if workload_address(workload, version) == address), None)


def is_reachable(plan: PolicyPlan, device: str, workload: PlannedWorkload) -> bool:
    """Whether a device can send to a workload: its own, or that of the other one through the underlay."""
    is_far = workload.place in DEVICES and plan.underlay in ("shared", "routed")
    return workload.place == device or is_far


def workload_address(workload: PlannedWorkload, version: int) -> Address:
    return host_address(workload.host, version)


def host_address(host: int, version: int) -> Address:
    """The same in every network."""
    return IPv4Address(f"10.0.0.{host}") if version == 4 else IPv6Address(f"fd00::{host}")


def cluster_ip(service: PlannedService, version: int) -> Address:
    if service.is_inside:
        return IPv4Address(f"10.0.0.{100 + service.host}") if version == 4 else IPv6Address(f"fd00::1:{service.host}")
    return IPv4Address(f"10.96.0.{service.host}") if version == 4 else IPv6Address(f"fd00:96::{service.host}")


def gateway_address(device: str, version: int) -> Address:
    """What backends of services without a network see."""
    number = DEVICES.index(device) + 1
    return IPv4Address(f"100.64.0.{number}") if version == 4 else IPv6Address(f"fd00:64::{number}")


UNDERLAYS = {
    "shared": ("192.0.2.1/24", "192.0.2.2/24"),
    "routed": ("192.0.2.1/24", "198.51.100.2/24"),
    "split": ("192.0.2.1/24", "198.51.100.2/24"),
}


def node_address(device: str, version: int) -> Address:
    """Where node ports are called at a device that lets clients in: its own address, and that of its node."""
    number = DEVICES.index(device)
    if version == 4:
        return IPv4Address(UNDERLAYS["routed"][number].partition("/")[0])
    return IPv6Address(f"2001:db8:50::{number + 1}")


def node_port(plan: PolicyPlan, service: PlannedService, port: PlannedPort) -> int:
    return 30_000 + 10 * plan.services.index(service) + service.ports.index(port)


def service_name(plan: PolicyPlan, service: PlannedService) -> str:
    return f"service-{plan.services.index(service)}"
