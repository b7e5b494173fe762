"""Where each workload is, seen from one device: behind a port of its own, behind a tunnel, or nowhere."""

from __future__ import annotations

from collections import defaultdict
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


class Homes:
    """The port that each workload of policies is behind, and who is in each network, and where: looked for once."""

    def __init__(self, policies: PolicySet) -> None:
        self._homes: dict[str, tuple[Device, Port]] = {}
        self._devices: defaultdict[str, dict[str, Device]] = defaultdict(dict)
        for device in policies.devices:
            for port in device.ports:
                if port.workload is not None:
                    self._homes[port.workload.key] = device, port
                    self._devices[port.workload.network.name][device.name] = device
        self._members: defaultdict[str, list[Workload]] = defaultdict(list)
        for workload in policies.workloads:
            self._members[workload.network.name].append(workload)

    def place(self, device: Device, workload: Workload) -> Place:
        """Of a workload, seen from a device."""
        home = self._homes.get(workload.key)
        return Unreachable(workload=workload) if home is None else _place(*home, device, workload)

    def places(self, device: Device, network: Network) -> tuple[Place, ...]:
        """Of every workload of a network, sorted as the policies are."""
        return tuple(self.place(device, workload) for workload in self._members.get(network.name, ()))

    def devices(self, network: Network) -> tuple[Device, ...]:
        """Those that have a workload of a network behind a port, sorted as the policies are."""
        return tuple(self._devices.get(network.name, {}).values())


def _place(there: Device, port: Port, device: Device, workload: Workload) -> Place:
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
