"""Clients outside of a plan's cluster: who they are, where they come in, and which of them a service lets in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from runtime.verification.policies import plan as planned
from runtime.verification.policies.plan import (
    Address,
    PlannedCrossing,
    PlannedRanges,
    PlannedService,
    PlannedWorkload,
    PolicyPlan,
)

CLIENTS: dict[int, tuple[Address, ...]] = {
    4: tuple(map(ip_address, ("203.0.113.1", "203.0.113.200", "10.0.0.19"))),
    6: tuple(map(ip_address, ("2001:db8:51::1", "2001:db8:52::1", "fd00::19"))),
}
"""One of them looks as if it were of a network inside, where nobody has its address."""
RANGES = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/0", "203.0.113.0/24", "203.0.113.0/25", "203.0.113.1/32", "10.0.0.0/8", "192.0.2.0/24"),
            *("::/0", "2001:db8::/32", "2001:db8:51::/64", "2001:db8:51::1/128", "fd00::/8"),
        ),
    )
)
"""Some in others, and one that holds no client."""
ROUTER_MAC = "02:00:00:00:01:fe"
"""That of the router of each device's underlay."""
_PLACE_BITS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """An address that clients outside call at a device, and the network that they enter there; `planned.ACROSS` where
    the backend says which one that is."""

    network: int
    device: str
    address: Address

    @property
    def client(self) -> PlannedWorkload:
        """Who comes in, as if it were a workload there that no redirect concerns."""
        return PlannedWorkload(network=self.network, host=0, place=self.device, app="", team="")


def external_address(service: PlannedService | PlannedCrossing, version: int) -> Address:
    """Of no other service, and of no other network, whoever else comes and goes."""
    network = planned.ACROSS if isinstance(service, PlannedCrossing) else service.network
    is_inside = isinstance(service, PlannedService) and service.is_inside
    number = (network + 1 << _PLACE_BITS) + 2 * (service.host - planned.FIRST_HOST) + is_inside
    return ip_address(f"198.18.0.{number}" if version == 4 else f"2001:db8:113::{number:x}")


def network_shown_at(address: Address) -> int | None:
    """The network that an external address belongs to, or `planned.ACROSS`; None for any other address."""
    first = ip_address("198.18.0.0" if address.version == 4 else "2001:db8:113::")
    network = (int(address) - int(first) >> _PLACE_BITS) - 1
    return network if network in range(planned.ACROSS + 1) else None


def is_node_address(device: str, address: Address) -> bool:
    return address == planned.node_address(device, address.version)


def entrances(plan: PolicyPlan) -> Iterator[Entrance]:
    """All that devices let clients outside in by."""
    for device in planned.DEVICES if plan.lets_in else ():
        for service in plan.services:
            if service.is_shown and plan.is_served(device, service.network):
                for version in service.versions:
                    address = external_address(service, version)
                    yield Entrance(network=service.network, device=device, address=address)
        for crossing in plan.crossings:
            for version in crossing.versions:
                if plan.is_gateway(device, version):
                    address = external_address(crossing, version)
                    yield Entrance(network=planned.ACROSS, device=device, address=address)
        at_nodes = next((service.network for service in plan.services if plan.has_node_ports(service)), None)
        if at_nodes is not None and plan.is_served(device, at_nodes):
            for version in (4, 6):
                yield Entrance(network=at_nodes, device=device, address=planned.node_address(device, version))


def entrance_at(plan: PolicyPlan, device: str, address: Address) -> Entrance | None:
    return next((one for one in entrances(plan) if (one.device, one.address) == (device, address)), None)


def lets_in(service: PlannedService, address: Address, client: Address) -> bool:
    """Whether a service lets a client in that calls it at an address, which is external or a node's."""
    is_external = network_shown_at(address) is not None
    return service.ranges is None or (service.is_kubernetes and not is_external) or admit(service.ranges, client)


def admit(ranges: PlannedRanges, client: Address) -> bool:
    """Of those that hold a client the longest decides; where none does, whether none is allowed."""
    holding = [number for number in (*ranges.allow, *ranges.deny) if client in RANGES[number]]
    if not holding:
        return not ranges.allow
    return max(holding, key=lambda number: RANGES[number].prefixlen) in ranges.allow
