"""Where each workload is, seen from one device: behind a port of its own, behind a tunnel, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.policy.policyset import Device, Network, PolicySet, Port, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """Behind a port of the device itself."""

    port: Port
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Behind another device, through a tunnel."""

    device: Device
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """Behind no port of any device, or behind one that shares no underlay with this one.

    `reason` is None where the checks of policies have told it already.
    """

    workload: Workload
    reason: str | None = None


Place = Local | Remote | Unreachable


def places(policies: PolicySet, device: Device, network: Network) -> tuple[Place, ...]:
    """The place of every workload of a network, sorted as the policies are."""
    found = homes(policies)
    members = (workload for workload in policies.workloads if workload.network.name == network.name)
    return tuple(place_of(found.get(workload.key), device, workload) for workload in members)


def homes(policies: PolicySet) -> dict[str, tuple[Device, Port]]:
    """The port that each workload is behind, by the workload's key."""
    return {p.workload.key: (d, p) for d in policies.devices for p in d.ports if p.workload is not None}


def place_of(home: tuple[Device, Port] | None, device: Device, workload: Workload) -> Place:
    """The place of a workload whose `home` is known, seen from a device."""
    if home is None:
        return Unreachable(workload=workload)
    there, port = home
    if there.name == device.name:
        return Local(port=port, workload=workload)
    if there.underlay is None or device.underlay is None or not device.uplinks:
        return Unreachable(workload=workload)
    if not reaches(device, there):
        return Unreachable(
            workload=workload, reason=f"'{there.name}' is in another subnet and '{device.name}' has no gatewayMac"
        )
    return Remote(device=there, workload=workload)


def reaches(device: Device, there: Device) -> bool:
    """Whether a device has a way through the underlay to another one."""
    own, far = device.underlay, there.underlay
    if own is None or far is None or not device.uplinks:
        return False
    return far.address.ip in own.address.network or own.gateway_mac is not None


def served_networks(device: Device, policies: PolicySet) -> tuple[Network, ...]:
    """The networks that have a workload behind a port of the device: the others are none of its business."""
    names = {port.workload.network.name for port in device.ports if port.workload is not None}
    return tuple(network for network in policies.networks if network.name in names)
