"""Pipelines and policies with a fault in what concerns service gateways: stories of made-up clusters find each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.ir.statements import Apply, If
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.notation import assign, field, meta
from compiler.policy.policyset import Backend, Device, PolicySet, Service, ServicePort
from runtime.verification.gateway_stories import GATEWAYS
from runtime.verification.levels import small
from runtime.verification.stories import Story
from tests.unit.verification.faulty import (
    SLOTS,
    Body,
    Faulty,
    in_action,
    in_control,
    is_found,
    played,
    with_faulty_policies,
    within,
    without,
)

pytestmark = pytest.mark.slow


def crossing(change: Callable[[Body], Body]) -> Callable[[If], Body | None]:
    """What is done where a backend is in another network."""

    def changed(found: If) -> Body | None:
        is_it = "name='across'" in repr(found.condition) and any(isinstance(s, Apply) for s in found.then)
        return (replace(found, then=change(found.then)),) if is_it else None

    return changed


def across(change: Callable[[Body], Body]) -> Callable[[Body], Body]:
    def changed(body: Body) -> Body:
        made = within(body, crossing(change))
        assert made != body
        return made

    return changed


IN_PIPELINE = {
    "backends see the client": in_control(
        "decide_ipv4", across(lambda body: (*body, assign(meta("new_src_ipv4"), field("ipv4.src"))))
    ),
    "low ports are kept": in_control(
        "decide_ipv4", across(lambda body: tuple(s for s in body if not isinstance(s, If)))
    ),
    "backends see one port of all": in_control(
        "decide_ipv4", across(lambda body: (*body, assign(meta("reverse_dst_port"), 0x8000)))
    ),
    "answers are not expected in the backend's network": in_action("cross", without("reverse_network")),
    "answers are expected in the first network": in_action(
        "cross", lambda body: (*body, assign(meta("reverse_network"), 1))
    ),
    "nothing leads to the backend": in_action("cross", without("nexthop")),
    "nothing leads back": in_action("cross", without("source_nexthop")),
    "answers come from the backend": in_action("translate_reply", without("new_src_ipv4")),
    "the backend's device does not remember the gateway": in_control("remember_entrance_ipv4", lambda _: ()),
}


def in_backends(change: Callable[[PolicySet, Backend], Backend]) -> Faulty:
    def in_port(policies: PolicySet, port: ServicePort) -> ServicePort:
        return replace(port, backends=tuple(change(policies, backend) for backend in port.backends))

    def in_service(policies: PolicySet, service: Service) -> Service:
        return replace(service, ports=tuple(in_port(policies, port) for port in service.ports))

    return lambda policies: replace(policies, services=tuple(in_service(policies, one) for one in policies.services))


def twin(policies: PolicySet, backend: Backend) -> Backend:
    """The one of the same address in the other network."""
    others = (w for w in policies.workloads if backend.address in w.addresses and w.network != backend.network)
    return next((replace(backend, network=other.network, workload=other) for other in others), backend)


def with_others_addresses(policies: PolicySet) -> PolicySet:
    first, second = policies.devices

    def having(device: Device, other: Device) -> Device:
        return replace(device, gateway_addresses=other.gateway_addresses)

    return replace(policies, devices=(having(first, second), having(second, first)))


IN_POLICIES: dict[str, Faulty] = {
    "a backend is the one of the same address in the other network": in_backends(twin),
    "a backend's port is that of the service": in_backends(lambda _, backend: replace(backend, port=80)),
    "gateways have each other's addresses": with_others_addresses,
    "ranges are not asked": lambda policies: replace(
        policies, services=tuple(replace(service, source_ranges=()) for service in policies.services)
    ),
    "policies of backends are not asked": lambda policies: replace(policies, isolations=()),
    "redirects of backends are not asked": lambda policies: replace(policies, redirects=()),
}


@pytest.mark.parametrize("fault", IN_PIPELINE)
def test_a_fault_in_the_pipeline_is_found(fault: str) -> None:
    assert is_found(GATEWAYS, IN_PIPELINE[fault](small(pipeline(), SLOTS)))


@pytest.mark.parametrize("fault", IN_POLICIES)
def test_a_fault_in_what_is_compiled_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_faulty_policies(monkeypatch, IN_POLICIES[fault])
    assert is_found(GATEWAYS, small(pipeline(), SLOTS))


@pytest.mark.parametrize("story", GATEWAYS, ids=lambda story: story.name)
def test_without_a_fault_nothing_is_found(story: Story) -> None:
    played(story, small(pipeline(), SLOTS))
