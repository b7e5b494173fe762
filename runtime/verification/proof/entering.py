"""Clients outside, who call services at a device's uplink: where they may, who they are, whom they may reach."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from compiler.entries.reachability import Homes, Local, Remote, served_networks
from compiler.policy.policyset import Address, Backend, Device, Front, Network, PolicySet, Service, ServicePort
from compiler.policy.serverreturns import device_of_workloads, met_by_proxies, why_not
from runtime.verification.speaking import Speaker, outsider

_STRANGERS = {
    4: ("192.0.2.77", "198.51.100.77", "203.0.113.77", "100.127.0.77", "1.1.1.77"),
    6: ("2001:db8:77::77", "2001:db8:ffff::77", "3fff::77", "2600::77"),
}
"""Of these the first that no policy names is a client like any other."""


def doors(policies: PolicySet, device: Device) -> tuple[tuple[Service, Front], ...]:
    """Where clients outside are let in at a device: external addresses, and node ports."""
    if not device.lets_in:
        return ()
    served = {network.name for network in served_networks(device, policies)}
    services = (s for s in policies.services if s.is_across or s.network.name in served)
    return tuple((s, front) for s in services for front in s.fronts(device) if front.address not in s.addresses)


def callers(policies: PolicySet, device: Device, service: Service, version: int) -> Iterator[Speaker]:
    """One of each range of clients that the service names, and one of none."""
    inside = [found.prefix for found in service.source_ranges if found.prefix.version == version]
    chosen = [prefix[1] if prefix.num_addresses > 1 else prefix[0] for prefix in inside]
    named = _taken(policies)
    taken = {*named, *chosen}
    networks = [*inside, *(cidr for network in policies.networks for cidr in network.cidrs)]
    for text in _STRANGERS[version]:
        address = ip_address(text)
        if address not in taken and not any(address in one for one in networks):
            chosen.append(address)
            break
    for address in dict.fromkeys(chosen):
        if address not in named:
            yield outsider(device, service.network, (address,))


def _taken(policies: PolicySet) -> frozenset[Address]:
    hosts = (address for device in policies.devices for address in device.host_addresses)
    workloads = (address for workload in policies.workloads for address in workload.addresses)
    return frozenset((*hosts, *workloads, *(a for s in policies.services for a in s.vips)))


def is_let_in(service: Service, front: Address, client: Address) -> bool:
    """By the longest range that holds the client."""
    if not service.is_bounded(front):
        return True
    holding = [found for found in service.source_ranges if client in found.prefix]
    if not holding:
        return service.admits_others
    return max(holding, key=lambda found: found.prefix.prefixlen).is_allowed


def networks_of(policies: PolicySet, device: str, address: Address) -> frozenset[str]:
    """The networks whose workloads may get what a client outside sends to an address."""
    found: set[Network] = set()
    there = next(one for one in policies.devices if one.name == device)
    for service, front in doors(policies, there):
        if front.address == address:
            found |= {backend.network or service.network for port in service.ports for backend in port.backends}
    return frozenset(network.name for network in found)


def network_entered(policies: PolicySet, device: str, address: Address) -> str | None:
    """The name of the network that a client outside enters by an address."""
    there = next(one for one in policies.devices if one.name == device)
    return next((s.network.name for s, front in doors(policies, there) if front.address == address), None)


def reached(policies: PolicySet, device: Device, backends: tuple[Backend, ...]) -> tuple[Backend, ...]:
    """Those of a service without a network that something leads to from a device."""
    homes = Homes(policies)
    return tuple(
        b for b in backends if b.workload is not None and isinstance(homes.place(device, b.workload), Local | Remote)
    )


def answering(policies: PolicySet, port: ServicePort, backends: tuple[Backend, ...]) -> tuple[Backend, ...]:
    """Those of a service with server return Direct that can answer clients outside by themselves."""
    homes, at_proxies = device_of_workloads(policies.devices), met_by_proxies(policies.redirects)
    return tuple(b for b in backends if why_not(b, port.protocol, homes, at_proxies) is None)
