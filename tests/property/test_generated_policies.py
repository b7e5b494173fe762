"""Policies that nobody wrote: what is right loads, what is missing is warned of, and one mistake is named as such."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostic import Diagnostic, Severity
from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, GroupRef
from compiler.ir.interpreter import Model
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.verification.policies import expected
from runtime.verification.policies import plan as planned
from runtime.verification.policies.drawing import next_plans, plans
from runtime.verification.policies.manifests import manifests, to_yaml
from runtime.verification.policies.mistakes import MISTAKES, Mistake
from runtime.verification.policies.plan import PolicyPlan
from runtime.verification.vector import in_order

pytestmark = pytest.mark.slow
FEW = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
)


@settings(FEW)
@given(plan=plans())
def test_what_is_said_of_policies_is_what_the_plan_lacks(plan: PolicyPlan) -> None:
    loaded = load_text(to_yaml(manifests(plan)), "generated.yaml")
    found = {diagnostic.code for diagnostic in loaded.diagnostics}
    assert found == expected.load_codes(plan), loaded.render()
    for device in loaded.policies.devices:
        said = {diagnostic.code for diagnostic in compile_entries(loaded.policies, device).diagnostics}
        assert said == expected.entry_codes_of(plan, device.name), device.name


@settings(FEW)
@given(plan=plans())
def test_services_get_the_backends_that_the_plan_gives_them(plan: PolicyPlan) -> None:
    policies = load_text(to_yaml(manifests(plan)), "generated.yaml").policies
    by_key = {service.key: service for service in policies.services}
    for service in plan.services:
        for at, port in enumerate(service.ports):
            portal = f".p{at}" if service.is_storage else ""
            found = by_key[f"{service.team}/{planned.service_name(plan, service)}{portal}"]
            made = next(p for p in found.ports if (p.protocol.value, p.port) == (port.protocol, port.port))
            for version in service.versions:
                wanted = expected.backends(plan, service, port, version)
                if service.is_storage:
                    stays = expected.stays(plan, service, port, version)
                    assert {(b.address, b.port) for b in found.keepers(made, version)} == stays
                else:
                    assert {(b.address, b.port): b.weight for b in made.backends_of(version)} == wanted
                for device in policies.devices:
                    near = expected.backends(plan, service, port, version, device.node.name)
                    fronts = [f for f in found.fronts(device) if (f.port, f.address.version) == (made, version)]
                    assert len(fronts) == 1 + service.is_shown + (plan.lets_in and plan.has_node_ports(service))
                    for front in fronts:
                        assert {(b.address, b.port) for b in found.backends(made, front.address, device)} == near.keys()


@settings(FEW)
@given(plan=plans())
def test_every_device_takes_its_entries(plan: PolicyPlan) -> None:
    """In the order in which they come; groups that entries lead to are there."""
    policies = load_text(to_yaml(manifests(plan)), "generated.yaml").policies
    for device in policies.devices:
        entries = compile_entries(policies, device).entries
        model = Model(pipeline())
        for change in in_order(entries):
            model.insert(change)
        groups = {group.id for group in entries.groups}
        assert {e.action.group_id for e in entries.table_entries if isinstance(e.action, GroupRef)} <= groups


@settings(FEW)
@given(data=st.data(), plan=plans())
def test_compiled_again_over_what_is_held_nothing_changes(data: st.DataObject, plan: PolicyPlan) -> None:
    """Whatever was held before it."""
    other = data.draw(next_plans(plan))
    for name in planned.DEVICES:
        before = _entries(plan, name, Entries())
        after = _entries(other, name, before)
        assert _entries(other, name, after) == after


def _entries(plan: PolicyPlan, name: str, previous: Entries) -> Entries:
    policies = load_text(to_yaml(manifests(plan)), "generated.yaml").policies
    device = next(device for device in policies.devices if device.name == name)
    return compile_entries(policies, device, previous).entries


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_named(mistake: Mistake) -> None:
    """It alone, wherever it is."""

    @settings(FEW, max_examples=10)
    @given(manifests=plans().map(manifests).map(mistake).filter(lambda changed: changed is not None))
    def check(manifests: list[dict[str, object]]) -> None:
        loaded = load_text(to_yaml(manifests), "generated.yaml")
        assert {d.code for d in loaded.diagnostics if _is_error(d)} == {mistake.code}, loaded.render()
        assert loaded.is_refused

    check()


def _is_error(diagnostic: Diagnostic) -> bool:
    return diagnostic.severity is Severity.ERROR
