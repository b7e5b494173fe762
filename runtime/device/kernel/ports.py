"""The device's ports: which P4 port is which interface, and how a packet is handed to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from compiler.ir.controller import CPU_PORT
from compiler.pipeline.metadata import MAX_UPLINK_PORT
from runtime.device.kernel.links import Link
from runtime.device.target import MAX_PORT, TargetError

_SYNTAX = re.compile(r"(?P<id>\d+)=(?P<interface>[^,=/\s]{1,15})(?:,(?P<delivery>redirect|peer))?")


class PortSyntaxError(Exception):
    """A `--port` that cannot be meant; the text is fit to print."""


class Delivery(IntEnum):
    """How a packet gets out of a port: the numbers of `struct egress`."""

    NONE = 0
    REDIRECT = 1
    """bpf_redirect: the interface sends it."""
    PEER = 2
    """bpf_redirect_peer: it goes straight into the other end of the veth, past this namespace's queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """What the user wrote. `delivery` None lets the device choose."""

    id: int
    interface: str
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port whose interface is there."""

    id: int
    interface: str
    ifindex: int
    delivery: Delivery


def parse_ports(texts: Iterable[str]) -> tuple[PortSpec, ...]:
    """`ID=INTERFACE[,redirect|peer]` each. Raises `PortSyntaxError`, also for an id or an interface given twice."""
    ports = tuple(_parse(text) for text in texts)
    for spec in ports:
        if sum(other.id == spec.id for other in ports) > 1:
            raise PortSyntaxError(f"port {spec.id} is given twice")
        if sum(other.interface == spec.interface for other in ports) > 1:
            raise PortSyntaxError(f"interface {spec.interface} is given to two ports")
    return ports


def _parse(text: str) -> PortSpec:
    found = _SYNTAX.fullmatch(text)
    if found is None:
        raise PortSyntaxError(f"a port is ID=INTERFACE, ID=INTERFACE,redirect or ID=INTERFACE,peer, not {text!r}")
    number = int(found["id"])
    if not 1 <= number <= MAX_PORT:
        raise PortSyntaxError(f"port {number} is not within 1 to {MAX_PORT}")
    if number == CPU_PORT:
        raise PortSyntaxError(f"port {number} is the controller's, no interface can have it")
    delivery = {"redirect": Delivery.REDIRECT, "peer": Delivery.PEER, None: None}[found["delivery"]]
    return PortSpec(id=number, interface=found["interface"], delivery=delivery)


def resolve(specs: Iterable[PortSpec], found: Iterable[Link]) -> tuple[Port, ...]:
    """Every port with its interface. Raises `TargetError` naming all that are missing or down."""
    by_name = {link.name: link for link in found}
    wrong: list[str] = []
    ports: list[Port] = []
    for spec in specs:
        link = by_name.get(spec.interface)
        if link is None:
            wrong.append(f"port {spec.id}: there is no interface {spec.interface}")
        elif not link.is_up:
            wrong.append(f"port {spec.id}: interface {spec.interface} is down (ip link set {spec.interface} up)")
        else:
            ports.append(port_of(spec, link))
    if wrong:
        raise TargetError("; ".join(wrong))
    return tuple(ports)


def port_of(spec: PortSpec, link: Link) -> Port:
    """Raises `TargetError` for `peer` where there is no peer to hand packets to."""
    has_peer = link.kind == "veth" and link.peer_is_elsewhere
    if spec.delivery is Delivery.PEER and not has_peer:
        raise TargetError(f"port {spec.id}: interface {link.name} is no veth whose other end is in another namespace")
    chosen = Delivery.PEER if has_peer and spec.id > MAX_UPLINK_PORT else Delivery.REDIRECT
    return Port(id=spec.id, interface=spec.interface, ifindex=link.index, delivery=spec.delivery or chosen)
