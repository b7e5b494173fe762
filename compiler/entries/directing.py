"""Entries of services whose backends answer clients outside by themselves (`compiler.pipeline.serverreturn`).

Such a backend is reached by a next hop that leads to it alone: behind another device that is the tunnel, with the
workload's MAC address as the destination of the inner frame. And a device that has workloads of a network with such a
service knows them by their MAC addresses, and has its own way out to clients outside for what they answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from compiler.diagnostic import Report
from compiler.entries.networking import way_out, way_to
from compiler.entries.numbers import NextHops
from compiler.entries.reachability import Homes, Place, Remote
from compiler.entries.vocabulary import Vocabulary, mac_number
from compiler.ir.entries import ActionCall, TableEntry
from compiler.pipeline import serverreturn
from compiler.policy.policyset import Backend, Device, Network, PolicySet, Protocol, ServerReturn, Service
from compiler.policy.policyset import WorkloadType as Type
from compiler.policy.serverreturns import device_of_workloads, met_by_proxies, why_not


def direct_networks(policies: PolicySet) -> frozenset[str]:
    """The names of networks that have a service whose backends answer by themselves."""
    asking = (s for s in policies.services if s.server_return is ServerReturn.DIRECT and s.externals)
    return frozenset(service.network.name for service in asking)


@dataclass
class DirectWays:
    """Gives backends the next hops that lead to them alone, and keeps the entries that these need."""

    words: Vocabulary
    policies: PolicySet
    homes: Homes
    device: Device
    hops: NextHops
    _entries: dict[int, TableEntry] = field(default_factory=dict[int, TableEntry])

    @cached_property
    def _devices(self) -> Mapping[str, Device]:
        return device_of_workloads(self.policies.devices)

    @cached_property
    def _at_proxies(self) -> frozenset[str]:
        return met_by_proxies(self.policies.redirects)

    def hop_to(self, service: Service, backend: Backend, protocol: Protocol) -> int | None:
        """None for one that cannot answer by itself, or that nothing leads to: that has been told."""
        workload = backend.workload
        if workload is None or why_not(backend, protocol, self._devices, self._at_proxies) is not None:
            return None
        place = self.homes.place(self.device, workload)
        way = self._way(service.network, place)
        return None if way is None else self._keep(way, place)

    def _way(self, network: Network, place: Place) -> ActionCall | None:
        way = way_to(self.words, self.device, network, place, Report())
        if way is None or not isinstance(place, Remote):
            return way
        changed = self.words.arguments(way) | {"dst_mac": mac_number(place.workload.mac)}
        return self.words.call(way.action, **changed)

    def _keep(self, way: ActionCall, place: Place) -> int:
        hop, owner = self.hops.of(way), f"Workload {place.workload.key}"
        self._entries.setdefault(hop, self.words.entry("neighbor", way, place.workload.span, owner, nexthop=hop))
        return hop

    def entries(self, network: Network) -> Iterator[TableEntry]:
        """What a network with such a service needs besides services, behind these: all next hops are known then.

        What leads to a workload that was a backend stays as long as the workload does: connections may drain there.
        """
        for place in self.homes.places(self.device, network):
            way = self._way(network, place) if isinstance(place, Remote) else None
            if way is not None and self.hops.knows(way):
                self._keep(way, place)
        yield from self._entries.values()
        if self.device.lets_in:
            yield from self._met_here(network)

    def _met_here(self, network: Network) -> Iterator[TableEntry]:
        """Workloads of the network by their MAC addresses."""
        out = way_out(self.words, self.device, network)
        back = self.hops.of(out)
        yield self.words.entry("neighbor", out, self.device.span, f"Device {self.device.name}", nexthop=back)
        for place in self.homes.places(self.device, network):
            workload = place.workload
            way = None if isinstance(place, Remote) else self._way(network, place)
            if way is None or workload.type is Type.PROXY:
                continue
            call = self.words.call(serverreturn.ACTION.name, nexthop=self.hops.of(way), back=back)
            for version in sorted({address.version for address in workload.addresses}):
                yield self.words.entry(
                    f"{serverreturn.TABLE}_ipv{version}",
                    call,
                    workload.span,
                    f"Workload {workload.key}",
                    network=network.id,
                    mac=mac_number(workload.mac),
                )
