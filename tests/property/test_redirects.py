"""Redirects go nowhere in circles: whatever the policies and the order of events, a way through the mesh has an end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, TableEntry
from compiler.ir.interpreter import Interpreter, Model, Outcome, VerdictKind
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.verification.meshes import (
    DEVICES,
    FIRST_PROXY_PORT,
    HOSTS,
    MOST_PROXIES,
    NETWORKS,
    PROXY_HOSTS,
    UPLINK,
    Mesh,
    Segment,
    host_of,
    meshes,
    port_of,
    redirects,
    segments,
)
from runtime.verification.shop import Clock
from runtime.verification.vector import in_order

RULES = ("outbound_ipv4", "outbound_ipv6", "inbound_ipv4", "inbound_ipv6", "redirect_limit_ipv4", "redirect_limit_ipv6")
IS_PROXY_PORT = frozenset(FIRST_PROXY_PORT + at for at in range(MOST_PROXIES * len(NETWORKS)))


def entries_of(mesh: Mesh, device: str) -> Entries:
    loaded = load_text(mesh.text(), "mesh.yaml")
    assert not loaded.is_refused, loaded.render()
    found = next(d for d in loaded.policies.devices if d.name == device)
    return compile_entries(loaded.policies, found).entries


@dataclass
class Walk:
    """Both devices of a mesh on interpreters. A proxy that gets an opening opens the same from its own address."""

    mesh: Mesh
    models: dict[str, Model] = field(default_factory=dict[str, Model])
    devices: dict[str, Interpreter] = field(default_factory=dict[str, Interpreter])
    rules: dict[str, tuple[TableEntry, ...]] = field(default_factory=dict[str, tuple[TableEntry, ...]])

    def __post_init__(self) -> None:
        for device in DEVICES:
            model = Model(pipeline(), hash_seed=3)
            entries = entries_of(self.mesh, device)
            for change in in_order(entries):
                model.insert(change)
            self.models[device] = model
            self.devices[device] = Interpreter(model, clock=Clock(), random=lambda _: 0)
            self.rules[device] = tuple(e for e in entries.table_entries if e.table in RULES)

    def change(self, mesh: Mesh) -> None:
        """Other rules, for which no connection has to go."""
        for device, model in self.models.items():
            for rule in self.rules[device]:
                model.delete(rule.key)
            wanted = tuple(e for e in entries_of(mesh, device).table_entries if e.table in RULES)
            for rule in wanted:
                model.insert(rule)
            self.rules[device] = wanted

    def send(self, network: str, segment: Segment) -> list[str]:
        """From the host that it comes from; the devices whose proxies it meets, one after the other."""
        source = next(d for d in DEVICES if segment.src in HOSTS[d])
        return self._follow(source, network, port_of(network, segment.src), segment.frame(), [])

    def _follow(self, device: str, network: str, port: int, frame: bytes, met: list[str]) -> list[str]:
        assert len(met) <= len(DEVICES), f"round and round: {met}"
        outcome = self.devices[device].process(port, frame)
        if outcome.verdict is not VerdictKind.FORWARD:
            return met
        if outcome.egress_port == UPLINK:
            assert port != UPLINK
            other = next(name for name in DEVICES if name != device)
            return self._follow(other, network, UPLINK, outcome.packet, met)
        if outcome.egress_port not in IS_PROXY_PORT or is_to_itself(outcome, device):
            return met
        proxies = {port_of(network, host): host for host in PROXY_HOSTS[device]}
        assert outcome.egress_port in proxies, "the proxy of another network"
        assert port not in IS_PROXY_PORT, "from a proxy to a proxy"
        segment = segment_of(outcome.packet)
        again = replace(segment, src=proxies[outcome.egress_port], src_port=segment.src_port + 100)
        if segment.flags != "S":
            return [*met, device]
        return self._follow(device, network, outcome.egress_port, again.frame(), [*met, device])


def is_to_itself(outcome: Outcome, device: str) -> bool:
    return segment_of(outcome.packet).dst in PROXY_HOSTS[device]


def segment_of(frame: bytes) -> Segment:
    packet = Ether(frame)
    version = 4 if IP in packet else 6
    ip = packet[IP if version == 4 else IPv6]
    tcp = ip.getlayer(TCP)
    return Segment(
        version=version,
        src=host_of(ip.src),
        dst=host_of(ip.dst),
        src_port=ip.payload.sport,
        dst_port=ip.payload.dport,
        flags="" if tcp is None else str(tcp.flags),
    )


SENDING = segments().filter(lambda segment: segment.src in (10, 11, 12))


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    mesh=meshes(),
    later=redirects(),
    steps=st.lists(st.tuples(st.sampled_from(NETWORKS), SENDING, st.booleans()), max_size=10),
)
def test_every_way_ends(
    mesh: Mesh, later: tuple[dict[str, object], ...], steps: list[tuple[str, Segment, bool]]
) -> None:
    """One proxy of each device at most, whichever policies come and go in between."""
    walk = Walk(mesh)
    for network, segment, changes in steps:
        if changes:
            walk.change(replace(mesh, redirects=later))
        met = walk.send(network, segment)
        assert len(met) == len(set(met)), f"twice by the proxy of one device: {met}"


@settings(max_examples=10, deadline=None)
@given(mesh=meshes(), segment=SENDING.filter(lambda segment: segment.flags != "S"))
def test_only_openings_are_redirected(mesh: Mesh, segment: Segment) -> None:
    walk = Walk(mesh)
    assert walk.send("red", segment) == []
