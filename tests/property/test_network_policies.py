"""NetworkPolicies on interpreters against a model that evaluates labels: who may connect, and that answers arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.entries.desired import compile_entries
from compiler.ir.interpreter import Interpreter, Model, VerdictKind
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.verification.isolations import LABELS, POLICIES, isolated
from runtime.verification.meshes import (
    DEVICES,
    HOSTS,
    NETWORKS,
    SERVED_PORTS,
    UPLINK,
    VIP_HOST,
    Segment,
    address,
    port_of,
    segments,
)
from runtime.verification.policyreference import Connection, Pod, Reference
from runtime.verification.vector import in_order
from tests.property.test_redirects import segment_of

Policies = tuple[tuple[str, dict[str, Any]], ...]
ALL_HOSTS = tuple(host for hosts in HOSTS.values() for host in hosts)
DEVICE_OF = {host: device for device, hosts in HOSTS.items() for host in hosts}
BACKENDS, BACKEND_PORT, SERVICE_PORT = (11, 12), 8080, 80
UNTOUCHED = "untouched"


@dataclass(frozen=True, slots=True)
class Fate:
    """The host that got the packet and how, or why nobody did."""

    host: int = 0
    got: Segment | None = None
    reason: str = ""


class World:
    """Both devices, new, with the policies."""

    def __init__(self, policies: Policies) -> None:
        self._now_ms = 1000
        loaded = load_text(isolated(policies).text(), "policies.yaml")
        assert not loaded.is_refused, loaded.render()
        self._models: list[Model] = []
        self._devices: dict[str, Interpreter] = {}
        for device in loaded.policies.devices:
            model = Model(pipeline(), hash_seed=3)
            desired = compile_entries(loaded.policies, device)
            assert not any(d.code.id.startswith("E") for d in desired.diagnostics)
            for change in in_order(desired.entries):
                model.insert(change)
            self._models.append(model)
            self._devices[device.name] = Interpreter(model, clock=lambda: self._now_ms, random=lambda _: 0)

    def forget(self) -> None:
        """All connections."""
        self._now_ms += 10_000_000
        for model in self._models:
            model.sweep(self._now_ms)

    def send(self, network: str, segment: Segment) -> Fate:
        device = DEVICE_OF[segment.src]
        return self._follow(device, network, port_of(network, segment.src), segment.frame())

    def _follow(self, device: str, network: str, port: int, frame: bytes) -> Fate:
        outcome = self._devices[device].process(port, frame)
        if outcome.verdict is VerdictKind.TO_KERNEL:
            return Fate(reason=UNTOUCHED)
        if outcome.verdict is not VerdictKind.FORWARD:
            return Fate(reason=outcome.drop_reason or outcome.verdict.value)
        if outcome.egress_port == UPLINK:
            other = next(name for name in DEVICES if name != device)
            return self._follow(other, network, UPLINK, outcome.packet)
        (host,) = (h for h in HOSTS[device] if port_of(network, h) == outcome.egress_port)
        return Fate(host=host, got=segment_of(outcome.packet))


def pod(network: str, host: int) -> Pod:
    return Pod(
        namespace=network,
        network=network,
        labels={"host": str(host), "app": "web" if host != 10 else "client"},
        addresses=frozenset(address(version, host) for version in (4, 6)),
        ports={("TCP", "web"): SERVED_PORTS[host]} if host in SERVED_PORTS else {},
    )


def expected(reference: Reference, network: str, segment: Segment, host: int, port: int) -> str:
    """Of a packet that goes to a host or to an address that nobody has: a reason, or nothing."""
    destination = pod(network, host) if host in ALL_HOSTS else None
    if segment.src == host:
        return ""
    connection = Connection(
        source=pod(network, segment.src),
        destination=destination,
        source_address=address(segment.version, segment.src),
        destination_address=address(segment.version, host),
        protocol="TCP" if segment.flags else "UDP",
        port=port,
    )
    if not reference.egress(connection):
        return "egress_denied"
    return "" if reference.ingress(connection) else "ingress_denied"


SENDING = segments().filter(lambda segment: segment.src in ALL_HOSTS)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(policies=POLICIES, sent=st.lists(st.tuples(st.sampled_from(NETWORKS), SENDING), min_size=1, max_size=12))
def test_connections_are_what_kubernetes_says(policies: Policies, sent: list[tuple[str, Segment]]) -> None:
    reference = Reference(policies, LABELS)
    world = World(policies)
    for network, segment in sent:
        world.forget()
        fate = world.send(network, segment)
        if segment.dst == VIP_HOST and segment.flags and segment.dst_port == SERVICE_PORT:
            reasons = {expected(reference, network, segment, host, BACKEND_PORT) for host in BACKENDS}
        elif segment.dst in ALL_HOSTS:
            reasons = {expected(reference, network, segment, segment.dst, segment.dst_port)}
        else:
            reasons = {expected(reference, network, segment, segment.dst, segment.dst_port) or UNTOUCHED}
        assert fate.reason in reasons, f"{segment} in {network}: {fate}, not {reasons}"
        if fate.got is not None:
            assert expected(reference, network, segment, fate.host, fate.got.dst_port) == ""
            _check_answer(world, network, segment, fate.host, fate.got)


def _check_answer(world: World, network: str, segment: Segment, host: int, got: Segment) -> None:
    """Whatever policies say of the opposite direction, and whoever else asks."""
    if host == segment.src or got.src == 2:
        return
    flags = "SA" if got.flags else ""
    answer = replace(got, src=got.dst, dst=got.src, src_port=got.dst_port, dst_port=got.src_port, flags=flags)
    back = world.send(network, answer)
    assert back.host == segment.src, f"{answer} in {network}: {back}"
    assert back.got is not None
    assert (back.got.src, back.got.src_port) == (segment.dst, segment.dst_port)
    again = world.send(network, segment)
    assert again.host == host
