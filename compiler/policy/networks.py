"""Networks and nodes: ids, gateways, overlaps."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.diagnostic import Related, Report
from compiler.policy import codes, kinds
from compiler.policy.identity import assign_network_ids
from compiler.policy.located import Located
from compiler.policy.policyset import Address, Network, Node, Prefix
from compiler.policy.references import Claims, check_annotations

NetworkObjects = Mapping[str, Located[kinds.Network]]


def first_usable(cidr: Prefix) -> Address:
    """The first address that a host may have: after the network's own, except in /31, /32, /127 and /128."""
    only_hosts = cidr.prefixlen >= cidr.max_prefixlen - 1
    return cidr.network_address if only_hosts else cidr.network_address + 1


def is_edge(address: Address, cidr: Prefix) -> bool:
    """Whether `address` is the prefix's own: network and broadcast, or the subnet-router anycast (RFC 4291 2.6.1)."""
    if cidr.prefixlen >= cidr.max_prefixlen - 1:
        return False
    if address == cidr.network_address:
        return True
    return cidr.version == 4 and address == cidr.broadcast_address


def edge_of(address: Address, cidrs: tuple[Prefix, ...]) -> Prefix | None:
    return next((cidr for cidr in cidrs if address in cidr and is_edge(address, cidr)), None)


def resolve_networks(objects: NetworkObjects, report: Report) -> dict[str, Network]:
    ids = assign_network_ids({name: located.model.spec.id for name, located in objects.items()})
    vnis, written_ids = Claims(report), Claims(report)
    networks: dict[str, Network] = {}
    for name, located in objects.items():
        spec = located.model.spec
        check_annotations(located, located.model.metadata.annotations, (), report)
        vni_span = located.at("spec", "vni")
        vnis.claim(spec.vni, f"network '{name}'", vni_span, codes.DUPLICATE_VNI, f"VNI {spec.vni} is used twice")
        if spec.id is not None:
            message = f"network id {spec.id} is used twice"
            span = located.at("spec", "id")
            written_ids.claim(spec.id, f"network '{name}'", span, codes.DUPLICATE_NETWORK_ID, message)
        _check_overlaps(located, report)
        if name not in ids:
            report.add(
                codes.TOO_MANY_NETWORKS, located.span, "no network id is left", expected="at most 65535 networks"
            )
            continue
        networks[name] = Network(
            name=name,
            id=ids[name],
            vni=spec.vni,
            cidrs=tuple(sorted(spec.cidrs, key=_prefix_order)),
            gateways=_gateways(located, report),
            mtu=spec.mtu,
            labels=tuple(sorted(located.model.metadata.labels.items())),
            span=located.span,
        )
    return networks


def _prefix_order(cidr: Prefix) -> tuple[int, int, int]:
    return cidr.version, int(cidr.network_address), cidr.prefixlen


def _check_overlaps(located: Located[kinds.Network], report: Report) -> None:
    """Prefixes nest or are disjoint: in sorted order an overlap is always with the last one that was not inside."""
    cidrs = located.model.spec.cidrs
    order = sorted(range(len(cidrs)), key=lambda index: (_prefix_order(cidrs[index]), index))
    outer = order[0]
    for index in order[1:]:
        if cidrs[index].version == cidrs[outer].version and cidrs[index].network_address in cidrs[outer]:
            first, second = sorted((outer, index))
            related = (Related(message="the other one", span=located.at("spec", "cidrs", first)),)
            report.add(
                codes.OVERLAPPING_CIDRS,
                located.at("spec", "cidrs", second),
                f"{cidrs[second]} overlaps {cidrs[first]} of the same network",
                related=related,
            )
        else:
            outer = index


def _gateways(located: Located[kinds.Network], report: Report) -> tuple[Address, ...]:
    """The written gateways, and for other families the first usable address of the first written prefix."""
    spec = located.model.spec
    by_version: dict[int, Address] = {}
    for index, gateway in enumerate(spec.gateways):
        span = located.at("spec", "gateways", index)
        if gateway.version in by_version:
            message = f"two gateways of IPv{gateway.version}"
            report.add(codes.CONFLICTING_FIELDS, span, message, expected="at most one gateway per family")
        by_version.setdefault(gateway.version, gateway)
        edge = edge_of(gateway, spec.cidrs)
        if edge is not None:
            report.add(codes.UNUSABLE_ADDRESS, span, f"gateway {gateway} is the first or last address of {edge}")
        elif not any(gateway in cidr for cidr in spec.cidrs):
            expected = "an address inside " + " or ".join(map(str, spec.cidrs))
            report.add(codes.ADDRESS_OUTSIDE, span, f"gateway {gateway} is outside of its network", expected=expected)
    for cidr in spec.cidrs:
        by_version.setdefault(cidr.version, first_usable(cidr))
    return tuple(by_version[version] for version in sorted(by_version))


def resolve_nodes(objects: Mapping[str, Located[kinds.Node]], report: Report) -> dict[str, Node]:
    claims = Claims(report)
    nodes: dict[str, Node] = {}
    for name, located in objects.items():
        metadata, addresses = located.model.metadata, located.model.spec.addresses
        check_annotations(located, metadata.annotations, (), report)
        for index, address in enumerate(addresses):
            span = located.at("spec", "addresses", index)
            message = f"node address {address} is used twice"
            claims.claim(address, f"node '{name}'", span, codes.DUPLICATE_ADDRESS, message)
        nodes[name] = Node(
            name=name, addresses=addresses, labels=tuple(sorted(metadata.labels.items())), span=located.span
        )
    return nodes
