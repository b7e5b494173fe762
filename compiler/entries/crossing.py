"""Entries of services whose backends are in networks of their own, on the devices that are their gateways.

Such a service's network is `OUTSIDE`, in which a gateway lets clients in as it does for networks with external
addresses (`entering`). What leads from there into a network, and back, is a crossing: one for each next hop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from compiler.diagnostic import Report
from compiler.entries.networking import enter_tunnel, set_gateway, underlay_mac, way_out, way_to
from compiler.entries.numbers import NextHops, Numbers
from compiler.entries.reachability import Homes, Local, Place
from compiler.entries.vocabulary import Vocabulary, mac_number
from compiler.ir.entries import ActionCall, TableEntry
from compiler.policy.policyset import OUTSIDE, Backend, Device, Network, PolicySet, Service
from compiler.span import InternalError


def across_services(policies: PolicySet, device: Device) -> tuple[Service, ...]:
    """The services that a device is a gateway of."""
    return tuple(s for s in policies.services if s.is_across and s.fronts(device))


def crossed_networks(policies: PolicySet, device: Device) -> tuple[Network, ...]:
    """The networks that have backends of the services that a device is a gateway of; sorted by name."""
    found = {
        network.name: network
        for service in across_services(policies, device)
        for port in service.ports
        for network in port.networks
    }
    return tuple(found[name] for name in sorted(found))


def gateways_into(policies: PolicySet, network: Network) -> tuple[Device, ...]:
    """The devices that bring clients of services without a network into a network."""
    crossing = [s for s in policies.services if s.is_across and any(network in p.networks for p in s.ports)]
    return tuple(d for d in policies.devices if any(service.fronts(d) for service in crossing))


@dataclass(slots=True)
class Crossings:
    """Gives backends the numbers of their crossings, and keeps the entries that these need."""

    words: Vocabulary
    policies: PolicySet
    homes: Homes
    device: Device
    hops: NextHops
    numbers: Numbers[ActionCall]
    report: Report
    _entries: dict[tuple[str, int], TableEntry] = field(default_factory=dict[tuple[str, int], TableEntry])
    _found: dict[tuple[str, str], int | None] = field(default_factory=dict[tuple[str, str], "int | None"])

    def number_of(self, family: str, backend: Backend) -> int | None:
        """Of the crossing to a backend of a family; None where nothing leads to it, which has been told then."""
        network, workload = backend.network, backend.workload
        if network is None or workload is None:
            raise InternalError(f"backend {backend.address} has no network of its own")
        key = (family, workload.key)
        if key not in self._found:
            self._found[key] = self._cross(family, network, self.homes.place(self.device, workload))
        return self._found[key]

    def _cross(self, family: str, network: Network, place: Place) -> int | None:
        way = way_to(self.words, self.device, network, place, self.report)
        if way is None:
            return None
        inwards = self._from_outside(way)
        back = way_out(self.words, self.device, network)
        hop, way_back = self.hops.of(inwards), self.hops.of(back)
        call = self.words.call("cross", network=network.id, nexthop=hop, way_back=way_back)
        number = self.numbers.of(call)
        span = place.workload.span if isinstance(place, Local) else self.device.span
        owner = f"Network {network.name}"
        for table, value, entry in (
            ("neighbor", hop, self.words.entry("neighbor", inwards, span, owner, nexthop=hop)),
            ("neighbor", way_back, self.words.entry("neighbor", back, self.device.span, owner, nexthop=way_back)),
            (family, number, self.words.entry(f"crossing_{family}", call, span, owner, crossing=number)),
        ):
            self._entries.setdefault((table, value), entry)
        return number

    def _from_outside(self, way: ActionCall) -> ActionCall:
        """The same way for packets of clients outside. Their frames have this device's MAC address as their source, by
        which the backend's device knows where its answers go (`compiler.pipeline.outside`)."""
        changed = {"network": OUTSIDE.id, "src_mac": mac_number(underlay_mac(self.device))}
        return self.words.call(way.action, **self.words.arguments(way) | changed)

    def entries(self) -> Iterator[TableEntry]:
        """What crossings need besides services: next hops, the networks' tunnels, and who tells of errors.

        Of a network whose backends cannot be reached from here, too: those that it had before keep their connections.
        """
        yield from self._entries.values()
        networks = crossed_networks(self.policies, self.device)
        if not networks:
            return
        addresses = {version: self.device.gateway_address(version) for version in (4, 6)}
        yield set_gateway(self.words, OUTSIDE, addresses, f"Network {OUTSIDE.name}")
        for network in networks:
            gateways = {version: network.gateway(version) for version in (4, 6)}
            yield set_gateway(self.words, network, gateways, f"Network {network.name}")
            yield from enter_tunnel(self.words, self.device, network)
            yield from self._ways_into(network)

    def _ways_into(self, network: Network) -> Iterator[TableEntry]:
        """To all workloads of a network, and back: a backend that a service no longer has keeps its connections."""
        owner, back = f"Network {network.name}", way_out(self.words, self.device, network)
        yield self.words.entry("neighbor", back, self.device.span, owner, nexthop=self.hops.of(back))
        for place in self.homes.places(self.device, network):
            way = way_to(self.words, self.device, network, place, Report())
            if way is not None:
                inwards = self._from_outside(way)
                span, hop = place.workload.span, self.hops.of(inwards)
                yield self.words.entry("neighbor", inwards, span, owner, nexthop=hop)
