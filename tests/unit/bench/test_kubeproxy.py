"""What bench.kubeproxy asks of both sides, and how it knows that rules are there; without kube-proxy."""

from __future__ import annotations

import struct

from bench.kube.commits import NEWGEN, is_new_generation
from bench.kube.comparing import CHOSEN, PAIRS, ratios
from bench.kube.objects import CALLED, as_text, called, changed, endpoints_of, filling, more, needle
from bench.kube.programming import TABLE, services_of, sought
from bench.kube.turnouts import FABRIC, NAME, by_service
from bench.kube.ways import NAMES, PLACES
from bench.lab.places import Way
from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries
from compiler.policy.loading import load_texts
from compiler.policy.policyset import PolicySet
from runtime.client.applying import Outlook, PipelineState
from runtime.client.fixup import RemovedBackends
from runtime.client.plan import Kind, difference

OTHER = 10 << 8 | 6
"""NFT_MSG_NEWRULE."""


def loaded(text: str) -> PolicySet:
    found = load_texts({"fabric.yaml": FABRIC.read_text(), "services.yaml": text})
    assert found.render() == ""
    return found.policies


def outlook(policies: PolicySet, present: Entries) -> Outlook:
    device = next(one for one in policies.devices if one.name == NAME)
    desired = compile_entries(policies, device, present)
    assert desired.diagnostics == ()
    return Outlook(
        device=device,
        pipeline=PipelineState.SAME,
        running="",
        plan=difference(present, desired.entries),
        diagnostics=(),
        desired=desired.entries,
        removed=RemovedBackends.DRAIN,
    )


def message(kind: int, body: bytes = b"") -> bytes:
    length = 16 + len(body)
    return struct.pack("=IHHII", length, kind, 0, 0, 0) + body + bytes(-length % 4)


def test_turnout_serves_the_same_services() -> None:
    services = [*called(), *filling(0, 3)]
    found = loaded(as_text(services))
    assert {service.name for service in found.services} == {"near", "far", "s0", "s1", "s2"}
    assert {str(service.addresses[0]) for service in found.services} >= {*CALLED.values(), "10.96.16.2"}
    backends = {str(b.address) for service in found.services for port in service.ports for b in port.backends}
    assert backends == {*endpoints_of(services)}


def test_no_endpoint_is_another_one() -> None:
    services = [*services_of(10_000), *map(more, range(100)), *(changed(number, 5000) for number in range(100))]
    endpoints = endpoints_of([*services_of(10_000), *map(more, range(100))])
    assert len(endpoints) == len({*endpoints})
    assert len({one.endpoints[1] for one in services[-100:]} - {*endpoints}) == 100


def test_one_more_fits_the_table() -> None:
    ports = sum(len(one.protocols) for one in services_of(10_000, 100))
    assert ports + 100 == TABLE
    assert len(services_of(10)) == 10


def test_some_are_sought_first_and_last_among_them() -> None:
    services = services_of(1000)
    assert sought(services)[0] == services[0].endpoints[0]
    assert sought(services)[-1] == services[-1].endpoints[-1]
    assert len(sought(services)) < 12


def test_a_transaction_ends_with_a_new_generation() -> None:
    assert needle("10.9.64.1") == b"\x0a\x09\x40\x01"
    assert not is_new_generation(message(OTHER, needle("10.9.64.1") + b"x"))
    assert is_new_generation(message(OTHER, b"xyz") + message(NEWGEN, b"12345678"))
    assert not is_new_generation(message(OTHER)[:10])
    assert not is_new_generation(bytes(16))


def test_each_service_is_a_write_of_its_own() -> None:
    before = [*called(), *filling(0, 3)]
    first = outlook(loaded(as_text(before)), Entries())
    later = outlook(loaded(as_text([*before, more(0), more(1)])), first.desired)
    assert [sorted(step.kind for step in steps) for steps in by_service(later)] == [[Kind.INSERT] * 5] * 2
    again = outlook(loaded(as_text([*called(), changed(0, 3), *filling(1, 3)])), first.desired)
    assert [[step.kind for step in steps] for steps in by_service(again)] == [[Kind.INSERT, Kind.MODIFY, Kind.DELETE]]


def test_ratios_say_what_is_faster() -> None:
    ways = [Way(name=f"{place}: {name}", client="c", server="s", address="a") for place in PLACES for name in NAMES]
    speeds = dict(zip(NAMES, (10.0, 8.0, 5.0, 4.0, 8.0), strict=True))
    found = {metric: {way: [speeds[way.name.partition(": ")[2]]] for way in ways} for metric in CHOSEN}
    told = [*ratios(found)]
    assert len(told) == len(CHOSEN) * len(PLACES) * len(PAIRS)
    asked = [one.speed.median for one in told[: len(PAIRS)]]
    assert asked == [1.0, 0.8, 0.5, 0.4, 1.6, 2.0]
    slower = next(one for one in told if one.metric.is_smaller_better and one.way == "iptables")
    assert slower.speed.median == 2.0
