"""Meshes at random: two nodes whose networks use the same addresses, proxies or none, redirects of any rules.

All numbers come from small sets, so that prefixes, ports and connections of different policies meet. Used by the tests
that hold redirects to what they promise, on the interpreter and in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether

from runtime.verification.policies.manifests import to_yaml

API = "turnout.dev/v1alpha1"
NETWORKS = ("red", "blue")
HOSTS = {"dpu-a": (10, 11), "dpu-b": (12,)}
"""Of each network."""
PROXY_HOSTS = {"dpu-a": (250, 252), "dpu-b": (251,)}
"""Of each network; two on one device share its new connections."""
SERVED_PORTS = {11: 8080, 12: 80}
"""Ports of the name "web"."""
_DEVICE_OF = {host: device for device, hosts in PROXY_HOSTS.items() for host in hosts}
VIP_HOST = 1
UPLINK, FIRST_PORT, FIRST_PROXY_PORT = 1, 16, 40
MOST_PROXIES = 2
"""Of a network on a device."""
DEVICES = tuple(HOSTS)
_MACS = {"dpu-a": "02:00:00:00:50:01", "dpu-b": "02:00:00:00:50:02"}
_PREFIXES = ("10.1.0.0/16", "10.1.0.11/32", "10.1.0.12/31", "10.96.0.0/16", "fd00:1::/64", "fd00:1::b/128")
_PORTS: tuple[int | str, ...] = (80, 8080, "80-81", "1-1023", "1000-60000")

RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "cidrs": st.lists(st.sampled_from(_PREFIXES), max_size=2, unique=True),
            "ports": st.lists(st.sampled_from(_PORTS), max_size=2, unique=True),
        },
    ),
    max_size=2,
)
DIRECTION = st.fixed_dictionaries({}, optional={"include": RULES, "exclude": RULES, "deny": RULES})
LIMIT = st.sampled_from((None, None, {"connectionsPerSecond": 1}, {"connectionsPerSecond": 50, "burst": 2}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """`proxies` are pairs of network and host; `redirects` the specs of MeshRedirects; `others` whole objects."""

    proxies: tuple[tuple[str, int], ...] = ()
    redirects: tuple[dict[str, Any], ...] = ()
    others: tuple[dict[str, Any], ...] = ()

    def objects(self) -> list[dict[str, Any]]:
        own = (_fixed(), _proxies(self.proxies), _devices(self.proxies), _redirects(self.redirects), self.others)
        return [made for objects in own for made in objects]

    def text(self) -> str:
        """All of it as a policy file."""
        return to_yaml(self.objects())


@st.composite
def redirects(draw: st.DrawFn) -> tuple[dict[str, Any], ...]:
    """Specs of MeshRedirects, each with a direction at least."""
    specs: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 3))):
        spec: dict[str, Any] = {
            "network": draw(st.sampled_from(NETWORKS)),
            "failure": draw(st.sampled_from(["open", "closed"])),
            "selector": draw(st.sampled_from([{}, {"host": "10"}, {"host": "11"}, {"host": "12"}])),
        }
        directions = draw(st.sampled_from([("outbound",), ("inbound",), ("outbound", "inbound")]))
        limit = draw(LIMIT)
        specs.append(spec | {name: draw(DIRECTION) for name in directions} | ({"limit": limit} if limit else {}))
    return tuple(specs)


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    everywhere = [(network, host) for network in NETWORKS for host in _DEVICE_OF]
    return Mesh(
        proxies=tuple(draw(st.lists(st.sampled_from(everywhere), unique=True))),
        redirects=draw(redirects()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A packet between hosts of a network. `dst` of VIP_HOST is the service; no `flags` is a datagram."""

    version: int
    src: int
    dst: int
    src_port: int
    dst_port: int
    flags: str

    def frame(self) -> bytes:
        ip = IP if self.version == 4 else IPv6
        network = ip(src=address(self.version, self.src), dst=address(self.version, self.dst))
        ports = {"sport": self.src_port, "dport": self.dst_port}
        transport = TCP(**ports, flags=self.flags) if self.flags else UDP(**ports)
        return bytes(Ether(src="02:00:00:00:00:aa", dst="02:00:00:00:00:bb") / network / transport)

    def ping(self) -> bytes:
        """From and to the same hosts, without ports."""
        ip, echo = (IP, ICMP()) if self.version == 4 else (IPv6, ICMPv6EchoRequest())
        network = ip(src=address(self.version, self.src), dst=address(self.version, self.dst))
        return bytes(Ether(src="02:00:00:00:00:aa", dst="02:00:00:00:00:bb") / network / echo)


def segments() -> st.SearchStrategy[Segment]:
    """Openings more often than others."""
    hosts = [*(host for held in HOSTS.values() for host in held), VIP_HOST, *_DEVICE_OF]
    return st.builds(
        Segment,
        version=st.sampled_from((4, 6)),
        src=st.sampled_from(hosts),
        dst=st.sampled_from(hosts),
        src_port=st.sampled_from((1025, 1026, 80)),
        dst_port=st.sampled_from((80, 81, 8080, 1025)),
        flags=st.sampled_from(("S", "S", "S", "SA", "A", "PA", "FA", "R", "SR", "")),
    )


def address(version: int, host: int) -> str:
    prefix = {True: ("10.96.0", "fd00:96::"), False: ("10.1.0", "fd00:1::")}[host == VIP_HOST]
    return f"{prefix[0]}.{host}" if version == 4 else str(IPv6Address(f"{prefix[1]}{host:x}"))


def host_of(text: str) -> int:
    return int(ip_address(text)) & 0xFF


def port_of(network: str, host: int) -> int:
    """The port of a host, or of a proxy, on its own device."""
    index = NETWORKS.index(network)
    if host in _DEVICE_OF:
        return FIRST_PROXY_PORT + MOST_PROXIES * index + PROXY_HOSTS[_DEVICE_OF[host]].index(host)
    return FIRST_PORT + 8 * index + host % 8


def _object(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def _addresses(host: int) -> list[str]:
    return [address(4, host), address(6, host)]


def _fixed() -> list[dict[str, Any]]:
    """Networks, nodes, workloads, a service in each network."""
    objects: list[dict[str, Any]] = [_object("Node", f"node-{device}", {}) for device in DEVICES]
    for number, network in enumerate(NETWORKS, 1):
        cidrs = ["10.1.0.0/16", "fd00:1::/64"]
        gateways = ["10.1.0.2", "fd00:1::2"]
        spec = {"id": number, "vni": 100 * number, "cidrs": cidrs, "gateways": gateways}
        objects.append(_object("Network", network, spec))
        for device, hosts in HOSTS.items():
            objects.extend(_workload(network, device, host, "Pod") for host in hosts)
        port = {"port": 80, "targetPort": 8080}
        backends = {"network": network, "addresses": _addresses(VIP_HOST), "ports": [port], "selector": {"app": "web"}}
        objects.append(_object("DpuService", "web", backends, namespace=network))
    return objects


def _workload(network: str, device: str, host: int, kind: str) -> dict[str, Any]:
    place = {"type": kind, "network": network, "node": f"node-{device}"}
    spec: dict[str, Any] = place | {"addresses": _addresses(host)}
    if host in SERVED_PORTS:
        spec["ports"] = [{"name": "web", "port": SERVED_PORTS[host]}]
    labels = {"host": str(host), "app": "web" if host != 10 else "client"}
    return _object("Workload", f"host-{host}", spec, namespace=network, labels=labels)


def _proxies(proxies: tuple[tuple[str, int], ...]) -> list[dict[str, Any]]:
    return [_workload(network, _DEVICE_OF[host], host, "Proxy") for network, host in proxies]


def _devices(proxies: tuple[tuple[str, int], ...]) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = []
    for at, device in enumerate(DEVICES, 1):
        hosts = [(network, host) for network in NETWORKS for host in HOSTS[device]]
        hosts += [(network, host) for network, host in proxies if _DEVICE_OF[host] == device]
        ports: list[dict[str, Any]] = [{"id": UPLINK, "name": "p0", "type": "uplink"}]
        ports += [
            {
                "id": port_of(network, host),
                "name": f"{network}-{host}",
                "type": "workload",
                "workload": f"{network}/host-{host}",
            }
            for network, host in hosts
        ]
        underlay = {"address": f"192.168.50.{at}/24", "mac": _MACS[device]}
        objects.append(_object("Device", device, {"node": f"node-{device}", "underlay": underlay, "ports": ports}))
    return objects


def _redirects(specs: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    return [
        _object("MeshRedirect", f"redirect-{at}", spec, namespace=str(spec["network"])) for at, spec in enumerate(specs)
    ]
