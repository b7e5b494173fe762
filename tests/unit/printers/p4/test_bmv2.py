"""The printed v1model program in BMv2, packet by packet against the interpreter.

Excepted is what docs/p4.md names: the outer source port and the member that a hash picks. What one service alone can
get has one backend here, so everything else is compared to the byte.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Exact, Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.ir.interpreter.run import VerdictKind
from compiler.pipeline.portable import portable_pipeline
from compiler.policy.loading import load_text
from compiler.policy.policyset import Profile
from compiler.printers.p4.v1model import KERNEL_PORT
from runtime.client.plan import Kind
from runtime.verification.bmv2_level import Bmv2Level, learned_entries
from runtime.verification.bmv2_switch import Switch
from runtime.verification.comparison import Comparison
from runtime.verification.frames import frame, tcp, tunnelled, udp
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    GATEWAY,
    LOST,
    MACS,
    OTHER_PORT,
    ROUTER_MAC,
    TAG,
    TAGGED_PORT,
    UPLINK,
    VIP,
    WEB_1_PORT,
    Node,
    device_entries,
)
from runtime.verification.shop_frames import vectors
from runtime.verification.vector import in_order
from tests.unit.printers.examples import EXAMPLES, ROOT
from tests.unit.printers.p4.peers import portable_switch

pytestmark = [pytest.mark.peer, pytest.mark.root, pytest.mark.slow]

PORTS = (UPLINK, CLIENT_PORT, WEB_1_PORT, TAGGED_PORT, OTHER_PORT, KERNEL_PORT)
OUTER_SOURCE_PORT = slice(34, 36)


def writable() -> Iterator[Member | Group | TableEntry]:
    """BMv2 refuses an entry to an empty group; a service without its backend entry misses all the same."""
    entries = tuple(in_order(device_entries("A")))
    empty = {group.id for group in entries if isinstance(group, Group) and not group.members}
    for entry in entries:
        group_id = entry.action.group_id if isinstance(entry, TableEntry) and isinstance(entry.action, GroupRef) else 0
        if not (isinstance(entry, Group) and not entry.members) and group_id not in empty:
            yield entry


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Generator[Switch]:
    with portable_switch(tmp_path_factory.mktemp("bmv2"), PORTS) as running:
        running.write(Kind.INSERT, writable())
        yield running


@pytest.mark.parametrize("example", [*EXAMPLES, "mesh"])
def test_takes_the_entries_of_every_example(example: str, tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all((ROOT / "examples" / f"{example}.yaml").read_text()))
    for document in documents:
        if document["kind"] == "StorageSteering":  # portals are refused (E0307), registries are not
            for name in ("portals", "targets", "volumes", "sharedData"):
                document["spec"].pop(name)
    policies = load_text(yaml.safe_dump_all(documents), f"{example}.yaml").policies
    compiled = compile_entries(policies, replace(policies.devices[0], profile=Profile.V1MODEL))
    assert [d for d in compiled.diagnostics if d.code.id.startswith("E")] == []
    entries = compiled.entries
    with portable_switch(tmp_path, PORTS) as running:
        running.write(Kind.INSERT, in_order(entries))
        held = running.contents.read(running.session)
    assert set(held.groups) == set(entries.groups)
    assert {entry.key: entry.action for entry in held.table_entries} == {
        entry.key: entry.action for entry in entries.table_entries
    }


def expected(node: Node, port: int, packet: bytes) -> tuple[int, bytes] | None:
    outcome = node.interpreter.process(port, packet)
    match outcome.verdict:
        case VerdictKind.TO_KERNEL:
            return KERNEL_PORT, packet
        case VerdictKind.DROP | VerdictKind.PUNT | VerdictKind.MULTICAST:
            return None
        case VerdictKind.FORWARD | VerdictKind.REPLY:
            assert outcome.egress_port is not None
            return outcome.egress_port, outcome.packet


def comparable(seen: tuple[int, bytes] | None) -> tuple[int, bytes] | None:
    """The outer source port of a tunnel comes from a hash; that it is in 49152..65535 is all that is promised."""
    if seen is None or seen[0] != UPLINK:
        return seen
    data = seen[1]
    assert int.from_bytes(data[OUTER_SOURCE_PORT], "big") >= 0xC000
    return seen[0], data[:34] + b"\0\0" + data[36:]


def agree(device: Switch, node: Node, packets: Iterable[tuple[int, Packet | bytes]]) -> None:
    for port, packet in packets:
        data = bytes(packet)
        wanted = expected(node, port, data)
        seen = device.exchange(port, data, is_dropped=wanted is None)
        assert comparable(seen) == comparable(wanted), packet


def without_checksum(packet: Packet) -> Packet:
    packet[UDP].chksum = 0
    return packet


def with_checksum(packet: Packet, value: int) -> Packet:
    packet[TCP].chksum = value
    return packet


@pytest.mark.parametrize("version", [4, 6])
def test_forwarding_and_services(device: Switch, version: int) -> None:
    a, vip = ADDRESSES[version], VIP[version]
    agree(
        device,
        Node(),
        [
            (CLIENT_PORT, frame(a["client"], vip, tcp(40001, 81))),
            (CLIENT_PORT, frame(a["client"], vip, tcp(40002, 81), payload=b"odd")),
            (CLIENT_PORT, with_checksum(frame(a["client"], vip, tcp(40003, 81)), 0x1234)),
            (CLIENT_PORT, with_checksum(frame(a["client"], vip, tcp(40004, 81)), 0xFFFF)),
            (CLIENT_PORT, frame(a["client"], vip, tcp(40005, 83))),
            (CLIENT_PORT, frame(a["client"], a["web-1"], udp(1, 2), payload=b"hello")),
            (CLIENT_PORT, without_checksum(frame(a["client"], a["web-1"], udp(1, 2), payload=b"hello"))),
            (CLIENT_PORT, frame(a["client"], a["tagged"], tcp(1, 2))),
            (TAGGED_PORT, Ether(bytes(frame(a["tagged"], a["client"], tcp(1, 2), mac=MACS["tagged"])))),
        ],
    )


@pytest.mark.parametrize("version", [4, 6])
def test_tunnels(device: Switch, version: int) -> None:
    a = ADDRESSES[version]
    inner = frame(a["web-2"], a["client"], tcp(80, 4000), mac=MACS["web-2"])
    to_service = frame(a["web-2"], VIP[version], tcp(80, 81), mac=MACS["web-2"])
    agree(
        device,
        Node(),
        [
            (CLIENT_PORT, frame(a["client"], a["web-2"], udp(1, 2), payload=b"hello!")),
            (UPLINK, tunnelled(inner)),
            (UPLINK, tunnelled(to_service)),
            (UPLINK, tunnelled(frame(a["web-2"], a["web-2"], tcp(1, 2), mac=MACS["web-2"]))),
            (UPLINK, tunnelled(inner, vni=4711)),
            (CLIENT_PORT, tunnelled(inner)),
        ],
    )


@pytest.mark.parametrize("version", [4, 6])
def test_drops_and_what_nobody_wants(device: Switch, version: int) -> None:
    a = ADDRESSES[version]
    agree(
        device,
        Node(),
        [
            (CLIENT_PORT, frame(a["client"], VIP[version], tcp(40000, 82))),
            (CLIENT_PORT, frame(a["client"], VIP[version], tcp(40000, 84))),
            (CLIENT_PORT, frame(a["client"], LOST[version], tcp(1, 2))),
            (OTHER_PORT, frame(a["client"], VIP[version], tcp(1, 81))),
            (CLIENT_PORT, bytes(frame(a["client"], a["web-1"], tcp(1, 2)))[:40]),
            (UPLINK, bytes(tunnelled(frame(a["web-2"], a["client"], tcp(1, 2))))[:37]),
            (UPLINK, bytes(tunnelled(frame(a["web-2"], a["client"], tcp(1, 2))))[:60]),
        ],
    )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("payload", [b"", b"zz", b"z" * 60])
def test_icmp_errors(device: Switch, version: int, payload: bytes) -> None:
    a = ADDRESSES[version]
    large = b"z" * 1440
    agree(
        device,
        Node(),
        [
            (CLIENT_PORT, frame(a["client"], a["web-1"], tcp(1, 2), ttl=1, payload=payload)),
            (CLIENT_PORT, frame(a["client"], a["web-1"], udp(1, 2), ttl=1, payload=payload)),
            (CLIENT_PORT, frame(a["client"], a["web-2"], tcp(1, 2), payload=large)),
            (CLIENT_PORT, frame(a["client"], a["web-2"], udp(1, 2), payload=large)),
        ],
    )


def test_an_icmp_error_keeps_the_tag(device: Switch) -> None:
    packets: list[tuple[int, Packet]] = []
    for ttl in (1, 64):
        inner = frame(ADDRESSES[4]["tagged"], ADDRESSES[4]["client"], tcp(1, 2), ttl=ttl).payload
        packets.append((TAGGED_PORT, Ether(src=MACS["tagged"], dst=ROUTER_MAC) / Dot1Q(vlan=TAG) / inner))
    agree(device, Node(), packets)


def test_neighbours_are_answered(device: Switch) -> None:
    mac = MACS["client"]
    solicitation = ICMPv6ND_NS(tgt=GATEWAY[6]) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    agree(
        device,
        Node(),
        [
            (
                CLIENT_PORT,
                Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc="10.0.0.10", pdst=GATEWAY[4]),
            ),
            (
                CLIENT_PORT,
                Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc="10.0.0.10", pdst="10.0.0.99"),
            ),
            (CLIENT_PORT, Ether(src=mac) / IPv6(src="fd00::10", dst="ff02::1:ff00:1", hlim=255) / solicitation),
        ],
    )


@pytest.mark.parametrize("version", [4, 6])
def test_a_udp_checksum_that_becomes_zero_is_sent_as_ones(device: Switch, version: int) -> None:
    """RFC 768: choose a payload for which the translated sum is 0."""
    a, node = ADDRESSES[version], Node()
    for entity in udp_service(node, version):
        node.model.insert(entity)
        device.write(Kind.INSERT, [entity])
    opened = node.interpreter.process(
        CLIENT_PORT, bytes(frame(a["client"], VIP[version], udp(1, 5000), payload=b"\0\0"))
    )
    checksum = Ether(opened.packet)[UDP].chksum
    exact = frame(a["client"], VIP[version], udp(1, 5000), payload=checksum.to_bytes(2, "big"))
    wanted = expected(node, CLIENT_PORT, bytes(exact))
    assert wanted is not None
    assert Ether(wanted[1])[UDP].chksum == 0xFFFF
    assert device.exchange(CLIENT_PORT, bytes(exact)) == wanted


def udp_service(node: Node, version: int) -> tuple[Member | Group | TableEntry, ...]:
    """UDP 5000 of the service address with web-1 alone behind."""
    book, number = node.book, 40
    member_call = book.call(f"to_backend_ipv{version}", address=ADDRESSES[version]["web-1"], port=5001)
    service = book.call(f"to_service_ipv{version}", service_id=number, hairpin=GATEWAY[version], affinity_ms=0)
    member = Member(selector=f"backends_ipv{version}", id=900, action=member_call)
    local = next(e for e in device_entries("A").groups if e.selector == member.selector and e.members)
    group = Group(selector=member.selector, id=number, members=(type(local.members[0])(member_id=900),))
    return (
        member,
        group,
        book.entry(f"service_ipv{version}", service, network=1, address=VIP[version], protocol=17, port=5000),
        book.entry(f"backend_ipv{version}", GroupRef(group_id=number), service_id=number),
    )


@pytest.mark.parametrize("version", [4, 6])
def test_algorithms_spread_as_they_say(device: Switch, version: int) -> None:
    """Which backend a hash picks is the switch's; whether packets that are alike go to the same is the algorithm's."""
    node = Node()
    for entity in spreading_service(node, version, "to_service"):
        device.write(Kind.INSERT, [entity])
    for action, same_port, other_ports in (
        ("to_service", 1, 4),
        ("to_service_by_source", 1, 1),
        ("to_service_by_chance", 4, 4),
    ):
        device.write(Kind.MODIFY, [spreading_service(node, version, action)[-2]])
        assert len(picked(device, version, [6_000] * 40)) == same_port
        assert len(picked(device, version, range(6_000, 6_040))) == other_ports


def picked(device: Switch, version: int, source_ports: Iterable[int]) -> set[int]:
    """The backends' ports that datagrams of a client go to, none of which is learned."""
    seen: set[int] = set()
    for source_port in source_ports:
        packet = frame(ADDRESSES[version]["client"], VIP[version], udp(source_port, 5010))
        answer = device.exchange(CLIENT_PORT, bytes(packet))
        assert answer is not None
        seen.add(Ether(answer[1])[UDP].dport)
    return seen


def spreading_service(node: Node, version: int, action: str) -> tuple[Member | Group | TableEntry, ...]:
    """UDP 5010 of the service address with four ports of web-1 behind."""
    book, number, selector = node.book, 41, f"backends_ipv{version}"
    calls = (
        book.call(f"to_backend_ipv{version}", address=ADDRESSES[version]["web-1"], port=port)
        for port in range(5011, 5015)
    )
    members = [Member(selector=selector, id=901 + at, action=call) for at, call in enumerate(calls)]
    chosen = tuple(WeightedMember(member_id=member.id) for member in members)
    service = book.call(f"{action}_ipv{version}", service_id=number, hairpin=GATEWAY[version], affinity_ms=0)
    return (
        *members,
        Group(selector=selector, id=number, members=chosen),
        book.entry(f"service_ipv{version}", service, network=1, address=VIP[version], protocol=17, port=5010),
        book.entry(f"backend_ipv{version}", GroupRef(group_id=number), service_id=number),
    )


@pytest.mark.parametrize("version", [4, 6])
def test_learns_by_digest_and_then_knows_the_connection(device: Switch, version: int) -> None:
    """What the digests say, inserted, is what the interpreter has learned; then both directions are known."""
    node, a = Node(), ADDRESSES[version]
    device.enable_digests()
    request = frame(a["client"], VIP[version], tcp(41000, 81))
    agree(device, node, [(CLIENT_PORT, request)])
    tables = (f"flow_ipv{version}", f"flow_reverse_ipv{version}")
    learned: dict[str, TableEntry] = {}
    while set(learned) != set(tables):  # digests of earlier tests come first
        for entry in learned_entries(device.names, next(device.digests(10))):
            if Exact(value=41000) in entry.matches:
                learned[entry.table] = entry
    for table in tables:
        (slot,) = node.model.learned(table)
        assert (learned[table].key, learned[table].action) == (slot.key, slot.action)
    device.write(Kind.INSERT, learned.values())
    reply = frame(a["web-1"], a["client"], tcp(8081, 41000, "SA"), mac=MACS["web-1"])
    agree(device, node, [(CLIENT_PORT, request), (WEB_1_PORT, reply)])
    assert [device.direct_counter(learned[table]).packets for table in tables] == [1, 1]


def test_drops_are_counted_by_reason(device: Switch) -> None:
    reason = device.names.drop_reasons["no_route"].id
    packet = bytes(frame(ADDRESSES[4]["client"], VIP[4], tcp(40000, 84)))
    (before,) = device.indexed_counters("drops", [reason])
    assert device.exchange(CLIENT_PORT, packet, is_dropped=True) is None
    assert device.indexed_counters("drops", [reason]) == ((before.packets + 1, before.bytes + len(packet)),)


def test_as_a_level_beside_the_interpreter(tmp_path: Path) -> None:
    """With one backend behind each service; learned entries and counters in the end."""
    shop = device_entries("A")
    groups = tuple(replace(group, members=group.members[:1]) for group in shop.groups)
    with portable_switch(tmp_path, PORTS) as running:
        running.enable_digests()
        comparison = Comparison([Bmv2Level(portable_pipeline(), running, PORTS)])
        comparison.fill(replace(shop, groups=groups))
        for _, port, data in vectors():
            comparison.process(port, data)
        comparison.compare_state()
