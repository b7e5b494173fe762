"""Redirects go nowhere in circles: whatever the policies and the order of events, a way through the mesh has an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

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
LONGEST_MS = 10_000_000
"""Behind it every connection is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A device gets the rules of before, or the later ones; the other one has those that it had."""

    device: str
    are_later: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """That of a proxy goes down or comes back, if it is there."""

    device: str
    network: str
    host: int
    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Nothing happens."""

    ms: int


Event = Rules | Port | Rest


def entries_of(mesh: Mesh, device: str) -> Entries:
    loaded = load_text(mesh.text(), "mesh.yaml")
    assert not loaded.is_refused, loaded.render()
    found = next(d for d in loaded.policies.devices if d.name == device)
    return compile_entries(loaded.policies, found).entries


@dataclass
class Walk:
    """Both devices of a mesh on interpreters. A proxy that gets an opening opens the same from its own address."""

    mesh: Mesh
    later: tuple[dict[str, object], ...] = ()
    clock: Clock = field(default_factory=Clock)
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
            self.devices[device] = Interpreter(model, clock=self.clock, random=lambda _: 0)
            self.rules[device] = tuple(e for e in entries.table_entries if e.table in RULES)

    def happen(self, event: Event) -> None:
        match event:
            case Rules(device=device, are_later=are_later):
                self._change(device, replace(self.mesh, redirects=self.later) if are_later else self.mesh)
            case Port(device=device, network=network, host=host, is_up=is_up):
                if (network, host) in self.mesh.proxies:
                    self.models[device].set_port(port_of(network, host), is_up=is_up)
            case Rest(ms=ms):
                self.clock.now_ms += ms

    def _change(self, device: str, mesh: Mesh) -> None:
        """Other rules, for which no connection has to go."""
        model = self.models[device]
        for rule in self.rules[device]:
            model.delete(rule.key)
        self.rules[device] = tuple(e for e in entries_of(mesh, device).table_entries if e.table in RULES)
        for rule in self.rules[device]:
            model.insert(rule)

    def send(self, network: str, segment: Segment, meanwhile: Iterable[Event] = ()) -> list[str]:
        """From the host that it comes from; the devices whose proxies it meets, one after the other.

        Of `meanwhile` one event happens behind each device that the segment passes, or what a proxy makes of it.
        """
        source = next(d for d in DEVICES if segment.src in HOSTS[d])
        return self._follow(source, network, port_of(network, segment.src), segment.frame(), [], iter(meanwhile))

    def _follow(
        self, device: str, network: str, port: int, frame: bytes, met: list[str], meanwhile: Iterator[Event]
    ) -> list[str]:
        assert len(met) <= len(DEVICES), f"round and round: {met}"
        outcome = self.devices[device].process(port, frame)
        for event in islice(meanwhile, 1):
            self.happen(event)
        if outcome.verdict is not VerdictKind.FORWARD:
            return met
        if outcome.egress_port == UPLINK:
            assert port != UPLINK
            other = next(name for name in DEVICES if name != device)
            return self._follow(other, network, UPLINK, outcome.packet, met, meanwhile)
        if outcome.egress_port not in IS_PROXY_PORT or is_to_itself(outcome, device):
            return met
        proxies = {port_of(network, host): host for host in PROXY_HOSTS[device]}
        assert outcome.egress_port in proxies, "the proxy of another network"
        assert port not in IS_PROXY_PORT, "from a proxy to a proxy"
        segment = segment_of(outcome.packet)
        again = replace(segment, src=proxies[outcome.egress_port], src_port=segment.src_port + 100)
        if segment.flags != "S":
            return [*met, device]
        return self._follow(device, network, outcome.egress_port, again.frame(), [*met, device], meanwhile)


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


def _port(place: tuple[str, int], network: str, is_up: bool) -> Port:
    return Port(device=place[0], host=place[1], network=network, is_up=is_up)


_PROXIES = st.sampled_from([(device, host) for device, hosts in PROXY_HOSTS.items() for host in hosts])
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Rules, device=st.sampled_from(DEVICES), are_later=st.booleans()),
    st.builds(_port, _PROXIES, st.sampled_from(NETWORKS), st.booleans()),
    st.builds(Rest, ms=st.sampled_from((1, 1_000, LONGEST_MS))),
)
EVERYWHERE = Mesh(
    proxies=tuple((network, host) for network in NETWORKS for hosts in PROXY_HOSTS.values() for host in hosts),
    redirects=tuple(
        {"network": network, "failure": "open", "selector": {}, "outbound": {}, "inbound": {}} for network in NETWORKS
    ),
)
"""Every connection by a proxy, at both of its ends."""
OPENINGS = SENDING.map(lambda segment: replace(segment, flags="S"))
FEW_EVENTS = st.lists(EVENTS, max_size=3)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    mesh=st.one_of(st.just(EVERYWHERE), meshes()),
    later=redirects(),
    steps=st.lists(st.tuples(FEW_EVENTS, st.sampled_from(NETWORKS), OPENINGS | SENDING, FEW_EVENTS), max_size=10),
)
def test_every_way_ends(
    mesh: Mesh,
    later: tuple[dict[str, object], ...],
    steps: list[tuple[list[Event], str, Segment, list[Event]]],
) -> None:
    """One proxy of each device at most, whatever happens before a segment is sent, and while it is on its way.

    Rules come and go on one device before the other has them, proxies are lost and found, connections are forgotten.
    """
    walk = Walk(mesh, later)
    for before, network, segment, meanwhile in steps:
        for event in before:
            walk.happen(event)
        met = walk.send(network, segment, meanwhile)
        assert len(met) == len(set(met)), f"twice by the proxy of one device: {met}"


@settings(max_examples=10, deadline=None)
@given(mesh=meshes(), segment=SENDING.filter(lambda segment: segment.flags != "S"))
def test_only_openings_are_redirected(mesh: Mesh, segment: Segment) -> None:
    walk = Walk(mesh)
    assert walk.send("red", segment) == []
