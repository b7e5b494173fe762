"""One network with a client, two backends and a service, written as an engineer writes it into a foreign client.

Names and texts alone: nothing of Turnout's own compiler or client is used, so what a foreign client reads back can be
compared with it. `LAB` is the same network as policies without the service, for a lab whose tables are then filled by
hand. Values are in the texts that both p4runtime-shell and finsy take: numbers, addresses, `10.2.0.0/24`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

CLIENT_PORT, WEB_1_PORT, WEB_2_PORT = 16, 17, 18
ROUTER_MAC = "02:00:00:00:fe:01"
MACS = {"client": "02:00:00:00:02:10", "web-1": "02:00:00:00:02:11", "web-2": "02:00:00:00:02:12"}
ADDRESSES = {
    4: {"client": "10.2.0.10", "web-1": "10.2.0.11", "web-2": "10.2.0.12"},
    6: {"client": "fd02::10", "web-1": "fd02::11", "web-2": "fd02::12"},
}
PORTS = {"client": CLIENT_PORT, "web-1": WEB_1_PORT, "web-2": WEB_2_PORT}
GATEWAY = {4: "10.2.0.1", 6: "fd02::1"}
SERVICE_ADDRESS = {4: "10.96.1.10", 6: "fd00:96::10"}
NETWORK, SERVICE, SERVICE_PORT, BACKEND_PORT, TCP = "1", "7", "80", "8080", "6"
FULL_LENGTH = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An action with its parameters."""

    action: str
    params: Mapping[str, str]

    def numbers(self) -> dict[str, Any]:
        return {"action": self.action, "params": {name: number(text) for name, text in self.params.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a table: with an action, with the id of a group, or with a set of weighted actions."""

    table: str
    match: Mapping[str, str]
    call: Call | None = None
    group_id: int = 0
    actions: tuple[tuple[Call, int], ...] = ()

    def numbers(self) -> dict[str, Any]:
        """What a read is to give, with all values as numbers; an LPM value as [value, length]."""
        matches = {name: _match(self.table, name, text) for name, text in self.match.items()}
        actions = [{"weight": weight, **call.numbers()} for call, weight in self.actions]
        call = None if self.call is None else self.call.numbers()
        return {"table": self.table, "match": matches, "call": call, "group_id": self.group_id, "actions": actions}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of an action profile."""

    profile: str
    id: int
    call: Call

    def numbers(self) -> dict[str, Any]:
        return {"profile": self.profile, "id": self.id, "call": self.call.numbers()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of an action profile; `members` are pairs of id and weight."""

    profile: str
    id: int
    members: tuple[tuple[int, int], ...]

    def numbers(self) -> dict[str, Any]:
        return {"profile": self.profile, "id": self.id, "members": [list(member) for member in self.members]}


Wish = Entry | Member | Group


def number(text: str) -> int:
    """The number that a text stands for: a MAC address, an IP address, digits."""
    if text.count(":") == 5 and len(text) == 17:
        return int(text.replace(":", ""), 16)
    return int(ip_address(text)) if "." in text or ":" in text else int(text, 0)


def _match(table: str, name: str, text: str) -> int | list[int]:
    if not (table.startswith("route_") and name == "dst"):
        return number(text)
    value, _, length = text.partition("/")
    return [number(value), int(length)]


def call(action: str, **params: str) -> Call:
    return Call(action=action, params=params)


def workloads() -> tuple[Wish, ...]:
    """What carries packets between the workloads: ports, next hops, routes, answered neighbours."""
    wishes: list[Wish] = [
        Entry(
            table="network",
            match={"network": NETWORK},
            call=call("set_gateway", ipv4=GATEWAY[4], ipv6=GATEWAY[6]),
        )
    ]
    for version, table in ((4, "arp"), (6, "nd")):
        match = {"network": NETWORK, "address": GATEWAY[version]}
        wishes.append(Entry(table=table, match=match, call=call("answer", mac=ROUTER_MAC)))
    for name in MACS:
        wishes += _workload(name)
    return tuple(wishes)


def _workload(name: str) -> Iterable[Entry]:
    port = nexthop = str(PORTS[name])
    yield Entry(
        table="port",
        match={"port": port, "vlan": "0"},
        call=call("set_workload", network=NETWORK, nexthop=nexthop),
    )
    out = {"network": NETWORK, "port": port, "mtu": "1450", "dst_mac": MACS[name], "src_mac": ROUTER_MAC, "vlan": "0"}
    yield Entry(table="neighbor", match={"nexthop": nexthop}, call=Call(action="deliver", params=out))
    for version, table in ((4, "arp"), (6, "nd")):
        address = ADDRESSES[version][name]
        match = {"network": NETWORK, "address": address}
        yield Entry(table=table, match=match, call=call("answer", mac=MACS[name]))
        match = {"network": NETWORK, "dst": f"{address}/{FULL_LENGTH[version]}"}
        yield Entry(table=f"route_ipv{version}", match=match, call=call("via", nexthop=nexthop))


def backend(version: int, name: str, port: str = BACKEND_PORT) -> Call:
    return call(f"to_backend_ipv{version}", address=ADDRESSES[version][name], port=port)


def service(version: int) -> tuple[Wish, ...]:
    """A ClusterIP: two members, their group, the service and its backends, in the order in which they can be added."""
    profile, suffix = f"backends_ipv{version}", f"ipv{version}"
    return (
        Member(profile=profile, id=1, call=backend(version, "web-1")),
        Member(profile=profile, id=2, call=backend(version, "web-2")),
        Group(profile=profile, id=int(SERVICE), members=((1, 1), (2, 1))),
        Entry(table=f"backend_{suffix}", match={"service_id": SERVICE}, group_id=int(SERVICE)),
        Entry(
            table=f"service_{suffix}",
            match={
                "network": NETWORK,
                "address": SERVICE_ADDRESS[version],
                "protocol": TCP,
                "port": SERVICE_PORT,
            },
            call=call(f"to_service_{suffix}", service_id=SERVICE, hairpin=GATEWAY[version], affinity_ms="0"),
        ),
    )


def everything() -> tuple[Wish, ...]:
    return (*workloads(), *service(4), *service(6))


def entries_of(wishes: Iterable[Wish]) -> dict[str, list[Entry]]:
    """The table entries by table."""
    found: dict[str, list[Entry]] = {}
    for wish in wishes:
        if isinstance(wish, Entry):
            found.setdefault(wish.table, []).append(wish)
    return found
