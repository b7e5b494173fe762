"""Services and EndpointSlices, the same for kube-proxy and for Turnout: as many as are asked for, and those called.

Addresses of endpoints that nobody is behind count up from `FILLING`; each is told apart by its four bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from bench.lab.kernelway import ADDRESSES, FAR, NEAR
from bench.lab.places import DIRECT_PORT, SERVED_PORT

NAMESPACE = "bench"
CLUSTER = "10.9.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
CALLED = {NEAR: "10.96.0.11", FAR: "10.96.0.12"}
"""The services that clients call, one endpoint each, by the workload behind them."""
FILLING, MORE, CHANGED = (IPv4Address(text) for text in ("10.9.64.0", "10.9.160.0", "10.9.192.0"))
"""The first endpoint of the services that are there, of those that come later, and of endpoints that replace others."""
_FILLING_IP, _MORE_IP = IPv4Address("10.96.16.0"), IPv4Address("10.96.8.0")
_TCP = ("TCP",)
Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A Service, and the one slice that has its endpoints."""

    name: str
    address: str
    port: int
    protocols: tuple[str, ...]
    endpoints: tuple[str, ...]

    @property
    def service(self) -> Object:
        ports = [
            {"name": protocol.lower(), "protocol": protocol, "port": self.port, "targetPort": SERVED_PORT}
            for protocol in self.protocols
        ]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "spec": {"clusterIP": self.address, "ports": ports},
        }

    @property
    def slice(self) -> Object:
        metadata = {"name": self.name, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": self.name}}
        ports = [{"name": protocol.lower(), "protocol": protocol, "port": SERVED_PORT} for protocol in self.protocols]
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "endpoints": [{"addresses": [endpoint], "conditions": {"ready": True}} for endpoint in self.endpoints],
            "ports": ports,
        }


def called() -> tuple[Served, ...]:
    """What clients call, by TCP and UDP."""
    return tuple(
        Served(
            name=name,
            address=address,
            port=DIRECT_PORT,
            protocols=("TCP", "UDP"),
            endpoints=(ADDRESSES[name],),
        )
        for name, address in CALLED.items()
    )


def filling(first: int, last: int) -> Iterator[Served]:
    """Services number `first` up to `last`, without that one; two endpoints each."""
    for number in range(first, last):
        yield _served(f"s{number}", _FILLING_IP + number, FILLING + 2 * number)


def more(number: int) -> Served:
    """One that comes later."""
    return _served(f"more-{number}", _MORE_IP + number, MORE + 2 * number)


def changed(number: int, of: int) -> Served:
    """Service number `number` modulo `of`, one of whose endpoints has been replaced."""
    at = number % of
    return _served(f"s{at}", _FILLING_IP + at, FILLING + 2 * at, CHANGED + number)


def _served(name: str, address: IPv4Address, first: IPv4Address, second: IPv4Address | None = None) -> Served:
    endpoints = (str(first), str(second or first + 1))
    return Served(name=name, address=str(address), port=80, protocols=_TCP, endpoints=endpoints)


def needle(address: str) -> bytes:
    """An endpoint's address as it stands in a rule."""
    return IPv4Address(address).packed


def as_text(objects: Iterable[Served]) -> str:
    """A policy file, an object a document."""
    return "".join(f"---\n{json.dumps(part)}\n" for one in objects for part in (one.service, one.slice))


def node(name: str, address: str) -> Object:
    status = {"addresses": [{"type": "InternalIP", "address": address}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}


def namespace() -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def endpoints_of(services: Sequence[Served]) -> list[str]:
    return [endpoint for one in services for endpoint in one.endpoints]
