"""Entries for clients outside: the addresses they call, the way back to them, and who let them in elsewhere.

Every device that serves a network, and has a router in its underlay, lets packets to the network's external addresses
in. On the underlay itself one of these devices answers for an address: which one follows from the address and the names
of the devices, so that all agree without talking, and a device that comes or goes moves few addresses.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Final

from compiler.entries.crossing import across_services, gateways_into
from compiler.entries.identity import router_mac
from compiler.entries.networking import tunnel_to, underlay_mac, way_out
from compiler.entries.numbers import NextHops
from compiler.entries.reachability import Homes, reaches
from compiler.entries.vocabulary import Vocabulary, mac_number
from compiler.ir.entries import ActionCall, TableEntry
from compiler.ir.hashing import mix64
from compiler.policy.policyset import OUTSIDE, Address, Device, Network, PolicySet, Service, ServicePort, TrafficPolicy
from compiler.span import Span

UNDERLAY: Final = 0
"""The network of tables `arp` and `nd` that is the underlay itself."""
_OWNER_SEED: Final = 0x6F757473696465


def entering_entries(
    words: Vocabulary, policies: PolicySet, homes: Homes, device: Device, network: Network, hops: NextHops
) -> Iterator[TableEntry]:
    """All that a network with external addresses needs on a device, but for its services."""
    fronts = _fronts(policies, network)
    offered = next((port for s in policies.services if s.network.name == network.name for port in s.node_ports), None)
    is_entered = bool(fronts) or offered is not None
    entrances = _letting_in(homes, network) if is_entered else ()
    others = {there.name: there for there in (*entrances, *gateways_into(policies, network))}
    for name, there in others.items():
        if name != device.name and reaches(device, there):
            yield from _entrance(words, device, there, network, hops)
    if is_entered and device.lets_in:
        enter = yield from _way_back(words, device, network, hops)
        yield from _own_entries(words, device, enter, fronts, entrances)
        if offered is not None:
            yield from _host_entries(words, device, enter, dict.fromkeys(device.host_addresses, offered))


def crossing_entries(words: Vocabulary, policies: PolicySet, device: Device, hops: NextHops) -> Iterator[TableEntry]:
    """What lets clients outside in to services without a network, on a device that is a gateway of any."""
    if across_services(policies, device):
        fronts = {
            address: found
            for address, found in _fronts(policies, OUTSIDE).items()
            if device.gateway_address(address.version) is not None
        }
        enter = yield from _way_back(words, device, OUTSIDE, hops)
        for address, services in fronts.items():
            gateways = tuple(d for d in policies.devices if d.gateway_address(address.version) is not None)
            yield from _own_entries(words, device, enter, {address: services}, gateways)
        called = {f.address: f.port for s in across_services(policies, device) for f in s.node_fronts(device)}
        yield from _host_entries(words, device, enter, called)


def entrances_of(policies: PolicySet, network: Network) -> tuple[Device, ...]:
    """The devices that let clients outside into a network; of `OUTSIDE` all that are gateways of any family."""
    if network.id == OUTSIDE.id:
        return tuple(device for device in policies.devices if across_services(policies, device))
    return _letting_in(Homes(policies), network)


def _letting_in(homes: Homes, network: Network) -> tuple[Device, ...]:
    return tuple(device for device in homes.devices(network) if device.lets_in)


def _fronts(policies: PolicySet, network: Network) -> dict[Address, list[tuple[Service, Span]]]:
    """The services of each external address, with the place where each was given it."""
    found: dict[Address, list[tuple[Service, Span]]] = {}
    for service in policies.services:
        if service.network.name == network.name:
            for address, span in zip(service.externals, service.external_spans, strict=True):
                found.setdefault(address, []).append((service, span))
    return found


def _entrance(
    words: Vocabulary, device: Device, there: Device, network: Network, hops: NextHops
) -> Iterator[TableEntry]:
    tunnel = tunnel_to(words, device, there, network)
    hop = hops.of(tunnel)
    yield words.entry("neighbor", tunnel, there.span, f"Device {there.name}", nexthop=hop)
    call = words.call("came_in_by", nexthop=hop)
    source = mac_number(underlay_mac(there))
    owner = f"Device {there.name}"
    for family in ("ipv4", "ipv6"):
        yield words.entry(f"entrance_{family}", call, there.span, owner, network=network.id, source=source)


def _way_back(
    words: Vocabulary, device: Device, network: Network, hops: NextHops
) -> Generator[TableEntry, None, ActionCall]:
    """The way back to clients outside; what lets them into the network is given back."""
    out = way_out(words, device, network)
    hop = hops.of(out)
    yield words.entry("neighbor", out, device.span, f"Device {device.name}", nexthop=hop)
    source = mac_number(underlay_mac(device))
    signature = 0 if network.id == OUTSIDE.id else (source - router_mac(network)) % (1 << 48)
    return words.call("enter_from_outside", network=network.id, nexthop=hop, signature=signature)


def _host_entries(
    words: Vocabulary, device: Device, enter: ActionCall, called: Mapping[Address, ServicePort]
) -> Iterator[TableEntry]:
    """What is sent to the host may be for a node port. Who asks for its MAC address is answered by the host itself.

    `called` are the host's addresses, each with a node port there.
    """
    mac = mac_number(underlay_mac(device))
    for address, offered in called.items():
        owner = f"Node {device.node.name}"
        yield words.entry(f"eip_ipv{address.version}", enter, offered.node_port_span, owner, address=address, mac=mac)


def _own_entries(
    words: Vocabulary,
    device: Device,
    enter: ActionCall,
    fronts: dict[Address, list[tuple[Service, Span]]],
    entrances: tuple[Device, ...],
) -> Iterator[TableEntry]:
    mac = mac_number(underlay_mac(device))
    for address, services in fronts.items():
        service, span = services[0]
        owner = f"{service.kind} {service.key}"
        yield words.entry(f"eip_ipv{address.version}", enter, span, owner, address=address, mac=mac)
        owner_of = answering(address, [s for s, _ in services], entrances)
        if owner_of is not None and owner_of.name == device.name:
            answer = words.call("answer", mac=mac)
            table = "arp" if address.version == 4 else "nd"
            yield words.entry(table, answer, span, owner, network=UNDERLAY, address=address)


def answering(address: Address, services: Iterable[Service], entrances: Iterable[Device]) -> Device | None:
    """The device that answers for an address on the underlay; None where no device lets anybody in.

    One with a backend of a service that wants clients to come to its backends' own nodes, where there is any: of all
    that are equal the one of the highest hash.
    """
    local = [s for s in services if s.external_traffic_policy is TrafficPolicy.LOCAL]

    def rank(device: Device) -> tuple[int, int]:
        near = sum(bool(s.backends(port, address, device)) for s in local for port in s.ports)
        name = [(byte, 8) for byte in device.name.encode()]
        return near, mix64(_OWNER_SEED, [(int(address), 128), *name])

    return max(entrances, key=rank, default=None)
