"""A service with backends of weights, each a port of web-1, and where its connections go: for tests of spreading."""

from __future__ import annotations

from compiler.ir.entries import Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from runtime.verification.frames import frame, tcp
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, GATEWAY, MACS, SHOP, VIP, Node

PORT, SERVICE = 90, 50
BY_ITSELF, BY_SOURCE, BY_CHANCE = "to_service", "to_service_by_source", "to_service_by_chance"
IN_TURN, BY_COUNT = "to_service_in_turn", "to_service_by_count"
BACKEND_PORT = 9000
"""Of the first backend; the others follow."""
DST_PORT_AT = {4: 14 + 20 + 2, 6: 14 + 40 + 2}
FLOWS = range(20_000, 20_400)


def frontend(node: Node, version: int, action: str) -> TableEntry:
    call = node.book.call(f"{action}_ipv{version}", service_id=SERVICE, hairpin=GATEWAY[version], affinity_ms=0)
    return node.book.entry(f"service_ipv{version}", call, network=SHOP, address=VIP[version], protocol=6, port=PORT)


def spreading(version: int, action: str, weights: tuple[int, ...], source: Pipeline | None = None) -> Node:
    """Service port 90 with so many backends, each a port of web-1."""
    node = Node(source=source or pipeline())
    add, book = node.model.insert, node.book
    for at in range(len(weights)):
        call = book.call(f"to_backend_ipv{version}", address=ADDRESSES[version]["web-1"], port=BACKEND_PORT + at)
        add(Member(selector=f"backends_ipv{version}", id=500 + at, action=call))
    add(group_of(version, weights))
    add(frontend(node, version, action))
    add(book.entry(f"backend_ipv{version}", GroupRef(group_id=SERVICE), service_id=SERVICE))
    return node


def group_of(version: int, weights: tuple[int, ...]) -> Group:
    """Backends of weight 0 are not in it."""
    members = (WeightedMember(member_id=500 + at, weight=weight) for at, weight in enumerate(weights) if weight)
    return Group(selector=f"backends_ipv{version}", id=SERVICE, members=tuple(members))


def change_to(node: Node, version: int, action: str) -> None:
    """As a client's Write does it on a service that is in use."""
    node.model.modify(frontend(node, version, action))


def backend(node: Node, version: int, src: str, sport: int, flags: str = "S") -> int:
    """The number of the backend that a packet of a client goes to."""
    node.clock.now_ms += 1
    packet = frame(src, VIP[version], tcp(sport, PORT, flags), mac=MACS["client"])
    outcome = node.interpreter.process(CLIENT_PORT, bytes(packet))
    at = DST_PORT_AT[version]
    return int.from_bytes(outcome.packet[at : at + 2], "big") - BACKEND_PORT


def source(version: int, host: int) -> str:
    return f"10.0.{1 + host // 250}.{1 + host % 250}" if version == 4 else f"fd00::1:{host:x}"


def openings(node: Node, version: int, *, flows: range = FLOWS) -> dict[int, int]:
    """The backend of each flow of one client, by source port."""
    src = ADDRESSES[version]["client"]
    return {sport: backend(node, version, src, sport) for sport in flows}
