"""Entries that carry packets within a network: ports, tunnels, next hops, routes, answered neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from compiler.diagnostic import Report
from compiler.entries import codes
from compiler.entries.identity import router_mac
from compiler.entries.numbers import NextHops
from compiler.entries.reachability import Homes, Local, Place, Remote, Unreachable
from compiler.entries.succeeding import Way
from compiler.entries.vocabulary import Vocabulary, mac_number
from compiler.ir.entries import ActionCall, TableEntry
from compiler.policy.policyset import Address, Device, Network, Underlay, WorkloadType
from compiler.span import InternalError, Span

VXLAN_OVERHEAD = 50
"""Bytes in front of an inner IP packet: outer IPv4, UDP, VXLAN and inner Ethernet (RFC 7348, section 5)."""


def uplink_entries(words: Vocabulary, device: Device) -> Iterator[TableEntry]:
    for port in device.uplinks:
        yield words.entry(
            "port", words.call("set_uplink"), port.span, f"Device {device.name}", port=port.id, vlan=port.vlan
        )


def network_entries(
    words: Vocabulary,
    device: Device,
    network: Network,
    ways: Iterable[Way],
    hops: NextHops,
) -> Iterator[TableEntry]:
    """All that one network needs on one device, but for its services; `ways` lead to its workloads."""
    owner = f"Network {network.name}"
    yield from _gateway_entries(words, network, owner)
    yield from enter_tunnel(words, device, network)
    seen: set[int] = set()
    for way in ways:
        hop = hops.to(way.mover, way.call)
        if hop not in seen:
            seen.add(hop)
            yield words.entry("neighbor", way.call, *_origin(way.place), nexthop=hop)
        yield from _address_entries(words, network, way.place, hop)


def ways_into(words: Vocabulary, homes: Homes, device: Device, network: Network, report: Report) -> list[Way]:
    """The ways to all workloads of a network that can be reached."""
    found = ((place, way_to(words, device, network, place, report)) for place in homes.places(device, network))
    return [Way(place=place, network=network, call=call) for place, call in found if call is not None]


def _origin(home: Place) -> tuple[Span, str]:
    """Where the next hop to a place was written, and what wants it."""
    if isinstance(home, Remote):
        return home.device.span, f"Device {home.device.name}"
    return home.workload.span, f"Workload {home.workload.key}"


def enter_tunnel(words: Vocabulary, device: Device, network: Network) -> Iterator[TableEntry]:
    """What other devices send to a network's workloads here, or to clients outside by way of here."""
    if device.underlay is not None and device.uplinks:
        enter, own = words.call("enter_network", network=network.id), device.underlay.address.ip
        owner = f"Network {network.name}"
        yield words.entry("tunnel", enter, network.span, owner, destination=own, vni=network.vni)


def set_gateway(words: Vocabulary, network: Network, gateways: Mapping[int, Address | None], owner: str) -> TableEntry:
    """By family 4 and 6 who tells of errors in a network."""
    numbers = {version: int(address or 0) for version, address in gateways.items()}
    call = words.call("set_gateway", ipv4=numbers[4], ipv6=numbers[6])
    return words.entry("network", call, network.span, owner, network=network.id)


def _gateway_entries(words: Vocabulary, network: Network, owner: str) -> Iterator[TableEntry]:
    yield set_gateway(words, network, {version: network.gateway(version) for version in (4, 6)}, owner)
    answer = words.call("answer", mac=router_mac(network))
    for gateway in network.gateways:
        table = "arp" if gateway.version == 4 else "nd"
        yield words.entry(table, answer, network.span, owner, network=network.id, address=gateway)


def way_to(words: Vocabulary, device: Device, network: Network, home: Place, report: Report) -> ActionCall | None:
    """The action that reaches a workload, or None when nothing does."""
    match home:
        case Local(port=port, workload=workload):
            return words.call(
                "deliver",
                network=network.id,
                port=port.id,
                mtu=port.mtu,
                dst_mac=mac_number(workload.mac),
                src_mac=router_mac(network),
                vlan=port.vlan,
            )
        case Remote(device=there):
            return tunnel_to(words, device, there, network)
        case Unreachable(workload=workload, reason=reason):
            if reason is None:
                return None
            message = f"workload '{workload.key}' cannot be reached from device '{device.name}': {reason}"
            report.add(codes.UNREACHABLE, workload.span, message)
            return None
        case _:
            assert_never(home)


def tunnel_to(words: Vocabulary, device: Device, there: Device, network: Network) -> ActionCall:
    """The action that reaches another device, which `reachability.reaches` said there is a way to."""
    here = _underlay(device)
    far = _underlay(there)
    is_direct = far.address.ip in here.address.network
    next_mac = far.mac if is_direct else here.gateway_mac
    if next_mac is None:
        raise InternalError(f"device {there.name} has no way from {device.name}")
    return words.call(
        "encapsulate",
        network=network.id,
        port=device.uplinks[0].id,
        mtu=min(network.mtu, here.mtu - VXLAN_OVERHEAD),
        dst_mac=router_mac(network),
        src_mac=router_mac(network),
        vni=network.vni,
        tunnel_src=here.address.ip,
        tunnel_dst=far.address.ip,
        tunnel_src_mac=mac_number(here.mac),
        tunnel_dst_mac=mac_number(next_mac),
    )


def way_out(words: Vocabulary, device: Device, network: Network) -> ActionCall:
    """The action that reaches clients outside from a network, by a device that lets them in."""
    uplink = device.uplinks[0]
    if device.underlay is None or device.underlay.gateway_mac is None:
        raise InternalError(f"device {device.name} lets nobody in")
    return words.call(
        "deliver",
        network=network.id,
        port=uplink.id,
        mtu=uplink.mtu,
        dst_mac=mac_number(device.underlay.gateway_mac),
        src_mac=mac_number(device.underlay.mac),
        vlan=uplink.vlan,
    )


def underlay_mac(device: Device) -> str:
    return _underlay(device).mac


def _underlay(device: Device) -> Underlay:
    if device.underlay is None:
        raise InternalError(f"device {device.name} has no underlay")
    return device.underlay


def _address_entries(words: Vocabulary, network: Network, home: Place, hop: int) -> Iterator[TableEntry]:
    workload = home.workload
    owner = f"Workload {workload.key}"
    if isinstance(home, Local):
        action = "set_proxy" if workload.type is WorkloadType.PROXY else "set_workload"
        call = words.call(action, network=network.id, nexthop=hop)
        yield words.entry("port", call, home.port.span, owner, port=home.port.id, vlan=home.port.vlan)
    answer, via = words.call("answer", mac=mac_number(workload.mac)), words.call("via", nexthop=hop)
    for address in workload.addresses:
        table, family = ("arp", "ipv4") if address.version == 4 else ("nd", "ipv6")
        yield words.entry(table, answer, workload.span, owner, network=network.id, address=address)
        yield words.entry(
            f"route_{family}",
            via,
            workload.span,
            owner,
            prefix_len=address.max_prefixlen,
            network=network.id,
            dst=address,
        )
