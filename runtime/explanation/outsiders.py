"""Clients outside, who ask a service at its external address: which device gets what they send. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.entries.entering import answering, entrances_of
from compiler.policy.policyset import Address, PolicySet, Workload, WorkloadType
from runtime.verification.speaking import Speaker


def outsider_at(source: Address, target: Address, views: Mapping[str, PolicySet]) -> Speaker | None:
    """A client at the uplink of the device that answers for `target`, as `views` have it, else of any that lets in.

    None where `target` is no external address of a service, or nobody lets clients in.
    """
    for policies in views.values():
        services = [service for service in policies.services if target in service.externals]
        if not services:
            continue
        network = services[0].network
        device = answering(target, services, [d for d in entrances_of(policies, network) if d.name in views])
        if device is None or device.underlay is None or device.underlay.gateway_mac is None:
            continue
        client = Workload(
            name="outside",
            namespace="clients",
            type=WorkloadType.ADDRESS,
            network=network,
            node=None,
            device=device.name,
            addresses=(source,),
            mac=device.underlay.gateway_mac,
        )
        to = device.underlay.mac
        return Speaker(workload=client, device=device.name, port=device.uplinks[0], next_hop_mac=to)
    return None
