"""Clients outside, who ask a service at its external address: which device gets what they send. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.entries.entering import answering, entrances_of
from compiler.policy.policyset import Address, Device, Network, PolicySet, Service
from runtime.verification.speaking import Speaker, outsider


def outsider_at(source: Address, target: Address, views: Mapping[str, PolicySet]) -> Speaker | None:
    """A client at the uplink of the device that answers for `target`, as `views` have it, else of any that lets in.

    None where `target` is neither an external address of a service nor that of a node with node ports, or nobody lets
    clients in.
    """
    for policies in views.values():
        network, device = _entrance(target, policies, views)
        if network is not None and device is not None and device.lets_in:
            return outsider(device, network, (source,))
    return None


def nodes_called(service: Service, version: int, views: Mapping[str, PolicySet]) -> list[str]:
    """The names of nodes at which clients outside call node ports of a service by an address of a family, sorted."""
    return sorted(
        {
            device.node.name
            for policies in views.values()
            for device in entrances_of(policies, service.network)
            if device.name in views
            for front in service.node_fronts(device)
            if front.address.version == version
        }
    )


def _entrance(
    target: Address, policies: PolicySet, views: Mapping[str, PolicySet]
) -> tuple[Network | None, Device | None]:
    """The network that an address leads into, and the device that gets packets to it."""
    services = [service for service in policies.services if target in service.externals]
    if services:
        network = services[0].network
        return network, answering(target, services, [d for d in entrances_of(policies, network) if d.name in views])
    for service in policies.services:
        for device in entrances_of(policies, service.network) if service.node_ports else ():
            if device.name in views and any(target == front.address for front in service.node_fronts(device)):
                return service.network, device
    return None, None
