"""Workloads: where they are, and that their addresses and MACs are theirs alone within a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from compiler.diagnostic import Report, did_you_mean
from compiler.policy import codes, kinds
from compiler.policy.identity import workload_mac
from compiler.policy.located import Located
from compiler.policy.networks import edge_of
from compiler.policy.policyset import Address, Network, Node, Protocol, Workload, WorkloadPort, WorkloadType
from compiler.policy.references import Claims, Directory, check_annotations, object_name
from compiler.policy.scalar import shortened

LAB_SERVERS: Final = ("http", "tcp-echo", "udp-echo")
"""What the annotation turnout.dev/lab-serve may start."""

WorkloadObjects = Mapping[str, Located[kinds.Workload]]


def resolve_workloads(
    objects: WorkloadObjects,
    networks: Directory[Network],
    nodes: Directory[Node],
    device_names: Directory[str],
    report: Report,
) -> dict[str, Workload]:
    """Workloads by "namespace/name"; those whose network is unknown are left out."""
    addresses, macs = Claims(report), Claims(report)
    resolved: dict[str, Workload] = {}
    for name, located in objects.items():
        spec = located.model.spec
        check_annotations(located, located.model.metadata.annotations, (kinds.LAB_SERVE,), report)
        _check_place(located, report)
        network = networks.find(spec.network, located.at("spec", "network"), report)
        node = None if spec.node is None else nodes.find(spec.node, located.at("spec", "node"), report)
        if spec.device is not None:
            device_names.find(spec.device, located.at("spec", "device"), report)
        if network is None:
            continue
        are_own = _check_addresses(located, network, addresses, report)
        workload = _workload(located, network, node, report)
        # A doubled address derives a doubled MAC: one mistake, named once.
        if are_own or spec.mac is not None:
            message = f"MAC {workload.mac} is used twice in network '{network.name}'"
            span = located.at("spec", "mac")
            macs.claim((network.name, workload.mac), f"workload '{name}'", span, codes.DUPLICATE_MAC, message)
        resolved[name] = workload
    return resolved


def _workload(located: Located[kinds.Workload], network: Network, node: Node | None, report: Report) -> Workload:
    spec, metadata = located.model.spec, located.model.metadata
    return Workload(
        name=metadata.name,
        namespace=metadata.namespace,
        type=WorkloadType(spec.type),
        network=network,
        node=node,
        device=spec.device,
        addresses=tuple(sorted(spec.addresses, key=lambda address: address.version)),
        mac=spec.mac or workload_mac(network.name, spec.addresses[0]),
        lab_serve=_lab_serve(located, report),
        ports=_ports(located, report),
        labels=tuple(sorted(metadata.labels.items())),
        span=located.span,
    )


def _ports(located: Located[kinds.Workload], report: Report) -> tuple[WorkloadPort, ...]:
    names = Claims(report)
    found: list[WorkloadPort] = []
    for index, port in enumerate(located.model.spec.ports):
        span, message = located.at("spec", "ports", index, "name"), f"port name '{port.name}' is used twice"
        names.claim((port.name, port.protocol), f"port {port.port}", span, codes.DUPLICATE_PORT, message)
        found.append(WorkloadPort(name=port.name, protocol=Protocol(port.protocol), port=port.port))
    return tuple(sorted(found, key=lambda port: (port.name, port.protocol)))


def _check_place(located: Located[kinds.Workload], report: Report) -> None:
    """A bare address has a device or nothing; everything else runs on a node."""
    spec = located.model.spec
    if spec.type == "Address" and spec.node is not None:
        report.add(
            codes.CONFLICTING_FIELDS,
            located.key("spec", "node"),
            "a workload of type Address has no node",
            hint="name the device that reaches it in 'device', or leave both out when it is outside",
        )
    if spec.type != "Address" and spec.device is not None:
        report.add(
            codes.CONFLICTING_FIELDS,
            located.key("spec", "device"),
            f"a workload of type {spec.type} is reached through its node's device",
            expected="'device' only for type Address",
        )
    if spec.type != "Address" and spec.node is None:
        message = f"spec has no 'node', which a workload of type {spec.type} needs"
        report.add(codes.MISSING_FIELD, located.key("spec"), message, expected="'node': where it runs")


def _check_addresses(located: Located[kinds.Workload], network: Network, claims: Claims, report: Report) -> bool:
    """Whether all addresses are the workload's alone."""
    spec = located.model.spec
    are_own = True
    holder = f"workload '{object_name(located.model.metadata)}'"
    is_external = spec.type == "Address" and spec.device is None
    if len({address.version for address in spec.addresses}) < len(spec.addresses):
        span = located.at("spec", "addresses", 1)
        message = f"two addresses of IPv{spec.addresses[0].version}"
        report.add(codes.CONFLICTING_FIELDS, span, message, expected="at most one address per family")
    for index, address in enumerate(spec.addresses):
        span = located.at("spec", "addresses", index)
        if network.holds(address):
            _check_usable(located, index, network, report)
        elif not is_external:
            expected = "an address inside " + " or ".join(map(str, network.cidrs))
            message = f"{address} is outside of network '{network.name}'"
            report.add(codes.ADDRESS_OUTSIDE, span, message, expected=expected)
        message = f"{address} is used twice in network '{network.name}'"
        are_own &= claims.claim((network.name, address), holder, span, codes.DUPLICATE_ADDRESS, message)
    return are_own


def _check_usable(located: Located[kinds.Workload], index: int, network: Network, report: Report) -> None:
    address: Address = located.model.spec.addresses[index]
    edge = edge_of(address, network.cidrs)
    if edge is not None:
        message = f"{address} is the first or last address of {edge}, which no host may have"
        report.add(codes.UNUSABLE_ADDRESS, located.at("spec", "addresses", index), message)
    elif address in network.gateways:
        message = f"{address} is the gateway of network '{network.name}'"
        report.add(codes.UNUSABLE_ADDRESS, located.at("spec", "addresses", index), message)


def _lab_serve(located: Located[kinds.Workload], report: Report) -> tuple[tuple[str, int], ...]:
    """The annotation's `server:port` pairs, comma-separated."""
    text = located.model.metadata.annotations.get(kinds.LAB_SERVE)
    if text is None:
        return ()
    span = located.at("metadata", "annotations", kinds.LAB_SERVE)
    expected = "server:port, comma-separated; servers: " + ", ".join(LAB_SERVERS)
    pairs: list[tuple[str, int]] = []
    for item in text.split(","):
        server, _, port = item.strip().partition(":")
        is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
        if server not in LAB_SERVERS or not is_port:
            hint = did_you_mean(server, LAB_SERVERS) if server not in LAB_SERVERS else None
            message = f"'{shortened(item.strip())}' is nothing that the lab can run"
            report.add(codes.INVALID_VALUE, span, message, expected=expected, hint=hint)
        else:
            pairs.append((server, int(port)))
    return tuple(pairs)
