"""Storage steering in the pipeline: one target for all connections of a host, classes, and rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, MeterConfig, TableEntry
from compiler.ir.interpreter import Interpreter, Model, Outcome, VerdictKind
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.lifetimes import ESTABLISHED_MS
from compiler.policy.loading import load, load_text
from runtime.client.plan import Kind, difference
from runtime.verification.shop import Clock
from runtime.verification.vector import in_order

STORAGE = Path(__file__).parents[3] / "examples" / "storage.yaml"
HOST_1, TARGET_1, UPLINK = 16, 24, 1
PORTAL = {4: "10.3.255.1", 6: "fd00:10:3::ff:1"}
REGISTRY = {4: "10.3.2.1", 6: "fd00:10:3::2:1"}
AF21 = 18
BOTH = pytest.mark.parametrize("version", [4, 6])


def host(version: int, number: int = 1) -> str:
    return f"10.3.0.{10 + number}" if version == 4 else f"fd00:10:3::1{number}"


class Device:
    """dpu-a of examples/storage.yaml on the interpreter; `burst` is that of all rates."""

    def __init__(self, burst: int = 1_000_000) -> None:
        loaded = load([STORAGE])
        assert not loaded.diagnostics
        device = next(d for d in loaded.policies.devices if d.name == "dpu-a")
        entries = compile_entries(loaded.policies, device).entries
        self.clock = Clock()
        self.model = Model(pipeline(), hash_seed=7)
        self.storage = [e for e in entries.table_entries if e.table == "storage"]
        kept = (limited(e, burst) if e.table == "storage" else e for e in entries.table_entries)
        for change in in_order(Entries(members=entries.members, groups=entries.groups, table_entries=tuple(kept))):
            self.model.insert(change)
        self.interpreter = Interpreter(self.model, clock=self.clock, random=lambda _: 0)

    def send(self, port: int, packet: Packet) -> Outcome:
        return self.interpreter.process(port, bytes(packet))


def limited(entry: TableEntry, burst: int) -> TableEntry:
    return replace(entry, meter=MeterConfig(cir=1, cburst=burst, pir=1, pburst=burst))


def segment(src: str, dst: str, dport: int = 4420, *, sport: int = 40000, flags: str = "S", ecn: int = 0) -> Packet:
    ip = IPv6(src=src, dst=dst, tc=ecn, fl=0x12345) if ":" in src else IP(src=src, dst=dst, tos=ecn)
    return Ether(src="02:00:00:00:00:99", dst="02:00:00:00:00:98") / ip / TCP(sport=sport, dport=dport, flags=flags)


def inner(outcome: Outcome) -> Packet:
    packet = Ether(outcome.packet)
    return packet[VXLAN].payload if VXLAN in packet else packet


def traffic_class(packet: Packet) -> int:
    return packet[IP].tos if IP in packet else packet[IPv6].tc


def destination(outcome: Outcome) -> str:
    packet = inner(outcome)
    return str((packet[IP] if IP in packet else packet[IPv6]).dst)


@BOTH
def test_all_queues_of_a_host_go_to_one_target(version: int) -> None:
    device = Device()
    for number in range(1, 7):
        went = {
            destination(device.send(HOST_1 - 1 + number, segment(host(version, number), PORTAL[version], sport=port)))
            for port in range(40000, 40008)
        }
        assert len(went) == 1


@BOTH
def test_hosts_spread_over_targets_by_weight(version: int) -> None:
    device = Device()
    prefix = "10.3.7." if version == 4 else "fd00:10:3::7:"
    found = [destination(device.send(HOST_1, segment(f"{prefix}{n}", PORTAL[version]))) for n in range(1, 201)]
    shares = sorted(found.count(target) for target in set(found))
    assert len(shares) == 3
    assert abs(shares[2] - 100) < 25
    assert all(abs(share - 50) < 25 for share in shares[:2])


@BOTH
@pytest.mark.parametrize("destination", [PORTAL, REGISTRY], ids=["portal", "registry"])
@pytest.mark.parametrize("ecn", [0, 2])
def test_requests_have_the_class_and_keep_their_ecn(version: int, destination: dict[int, str], ecn: int) -> None:
    device, port = Device(), 4420 if destination is PORTAL else 5000
    for flags in ("S", "A", "PA"):
        outcome = device.send(HOST_1, segment(host(version), destination[version], port, flags=flags, ecn=ecn))
        assert outcome.verdict is VerdictKind.FORWARD
        packet = inner(outcome)
        assert traffic_class(packet) == AF21 << 2 | ecn
        assert bytes(packet) == bytes(rebuilt(packet)), "every checksum is right"
        if version == 6:
            assert packet[IPv6].fl == 0x12345
        if VXLAN in Ether(outcome.packet):
            assert Ether(outcome.packet)[IP].tos == AF21 << 2 | ecn, "the tunnel has the class too"


def rebuilt(packet: Packet) -> Packet:
    again = packet.copy()
    if IP in again:
        del again[IP].chksum
    del again[TCP].chksum
    return again.__class__(bytes(again))


@BOTH
def test_replies_have_the_class_as_well(version: int) -> None:
    device = Device()
    for sport in range(40000, 40030):
        for number in range(1, 7):
            asked = device.send(HOST_1 - 1 + number, segment(host(version, number), PORTAL[version], sport=sport))
            if asked.egress_port == TARGET_1:
                answer = segment(destination(asked), host(version, number), sport, sport=4420, flags="SA")
                outcome = device.send(TARGET_1, answer)
                assert traffic_class(inner(outcome)) == AF21 << 2
                assert inner(outcome)[TCP].sport == 4420
                return
    pytest.fail("no host has target-1")


@BOTH
def test_what_is_beyond_the_rate_is_dropped_in_its_direction_alone(version: int) -> None:
    device = Device(burst=160)
    outcomes = [device.send(HOST_1, segment(host(version), PORTAL[version], flags=flags)) for flags in "SAA"]
    assert [o.drop_reason for o in outcomes] == [None, None, "rate_exceeded"]
    other = device.send(HOST_1, segment(host(version), REGISTRY[version], 5000))
    assert other.verdict is VerdictKind.FORWARD, "another portal has a rate of its own"


@BOTH
def test_other_connections_are_neither_marked_nor_counted(version: int) -> None:
    device = Device(burst=1)
    outcome = device.send(HOST_1, segment(host(version), REGISTRY[version], 22, ecn=1))
    assert outcome.verdict is VerdictKind.FORWARD
    assert traffic_class(inner(outcome)) == 1
    assert device.send(HOST_1, segment(host(version), PORTAL[version])).drop_reason == "rate_exceeded"


def test_a_changed_class_holds_for_known_connections() -> None:
    device = Device()
    device.send(HOST_1, segment(host(4), PORTAL[4]))
    for entry in device.storage:
        assert not isinstance(entry.action, int)
        device.model.modify(replace(entry, action=replace(entry.action, action="admit", arguments=())))
    outcome = device.send(HOST_1, segment(host(4), PORTAL[4], flags="A"))
    assert traffic_class(inner(outcome)) == 0


class Changing(Device):
    """The same, whose policies change as `turnout apply` changes them."""

    def __init__(self, **health: str) -> None:
        super().__init__()
        self.present = compiled(health, None)

    def apply(self, *, shared: bool = True, **health: str) -> None:
        desired = compiled(health, self.present, shared=shared)
        for step in difference(self.present, desired).steps:
            change = step.entity
            if isinstance(change, TableEntry) and change.table == "storage":
                continue
            {Kind.INSERT: self.model.insert, Kind.MODIFY: self.model.modify, Kind.DELETE: self.model.delete}[step.kind](
                change
            )
        self.present = desired

    def target(self, number: int, sport: int, version: int = 4) -> str:
        return destination(self.send(HOST_1 - 1 + number, segment(host(version, number), PORTAL[version], sport=sport)))


def compiled(health: dict[str, str], previous: Entries | None, *, shared: bool = True) -> Entries:
    documents = list(yaml.safe_load_all(STORAGE.read_text()))
    spec = next(d for d in documents if d["kind"] == "StorageSteering")["spec"]
    spec["sharedData"] = shared
    for target in spec["targets"]:
        target["health"] = health.get(target["workload"].replace("-", "_"), "up")
    loaded = load_text(yaml.safe_dump_all(documents))
    assert not loaded.is_refused, loaded.render()
    device = next(d for d in loaded.policies.devices if d.name == "dpu-a")
    return compile_entries(loaded.policies, device, previous).entries


def name_of(target: str) -> str:
    return f"target_{target[-1]}"


@BOTH
@pytest.mark.parametrize(
    ("health", "shared", "stays"),
    [("draining", True, True), ("draining", False, True), ("down", False, True), ("down", True, False)],
)
def test_a_host_moves_only_from_a_target_that_is_down_and_shares_its_data(
    version: int, health: str, shared: bool, stays: bool
) -> None:
    device = Changing()
    device.apply(shared=shared)
    before = device.target(1, 40000, version)
    device.apply(shared=shared, **{name_of(before): health})
    after = {device.target(1, port, version) for port in range(40001, 40009)}
    assert len(after) == 1
    assert (after == {before}) is stays


@BOTH
def test_a_host_stays_with_its_target_when_others_come_and_go(version: int) -> None:
    device = Changing()
    device.apply(target_1="down", target_2="down")
    before = {number: device.target(number, 40000, version) for number in range(1, 7)}
    assert {name_of(target) for target in before.values()} == {"target_3"}
    device.apply()
    assert {number: device.target(number, 40001, version) for number in before} == before, (
        "what came back takes new hosts"
    )
    device.apply(target_3="draining")
    assert {number: device.target(number, 40002, version) for number in before} == before
    prefix = "10.3.7." if version == 4 else "fd00:10:3::7:"
    fresh = {destination(device.send(HOST_1, segment(f"{prefix}{n}", PORTAL[version]))) for n in range(1, 40)}
    assert {name_of(target) for target in fresh} == {"target_1", "target_2"}


@BOTH
def test_a_host_is_remembered_while_any_of_its_connections_lives(version: int) -> None:
    """By any packet that it sends, not by answers; two hours and four minutes after the last it is a new host."""
    device = Changing()
    device.apply(target_1="down", target_2="down")
    before = device.target(1, 40000, version)
    device.apply()
    for _ in range(5):
        device.clock.now_ms += ESTABLISHED_MS - 1
        device.model.sweep(device.clock.now_ms)
        known = segment(host(version), PORTAL[version], sport=40000, flags="A")
        assert destination(device.send(HOST_1, known)) == before
    device.apply(target_3="draining")
    assert device.target(1, 40001, version) == before
    device.clock.now_ms += ESTABLISHED_MS
    device.model.sweep(device.clock.now_ms)
    assert device.target(1, 40002, version) != before
