"""Pipelines and policies with a fault in what concerns NetworkPolicies: stories of made-up clusters find each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from compiler.ir.entries import Entries, TableEntry
from compiler.ir.expressions import Expr, FieldRef
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import If
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.notation import all_of, field, meta, negate, valid, when
from compiler.policy.policyset import Isolation, NamedPort, Peer, PolicyRule, PolicySet, PortRange, Workload
from runtime.client.fixup import NOTHING, FixUp, RemovedBackends, fix_up
from runtime.verification.isolation_stories import ISOLATED
from runtime.verification.levels import small
from runtime.verification.stories import Story
from tests.unit.verification.faulty import (
    SLOTS,
    Body,
    Faulty,
    in_control,
    is_found,
    played,
    with_faulty_policies,
    within,
)

pytestmark = pytest.mark.slow
POLICE = "police_ipv4"


def policing(change: Callable[[If], Body | None]) -> Callable[[Pipeline], Pipeline]:
    """A change of conditions in what polices IPv4; there must be one."""

    def changed(body: Body) -> Body:
        made = within(body, change)
        assert made != body
        return made

    return in_control(POLICE, changed)


def _is_about(condition: If, word: str) -> bool:
    return f"name='{word}'" in repr(condition.condition)


def asked_only_if(direction: str, extra: Expr) -> Callable[[Pipeline], Pipeline]:
    """A direction is asked under a further condition."""

    def change(found: If) -> Body | None:
        is_it = _is_about(found, f"{direction}_policy")
        return (when(all_of(found.condition, extra), *found.then),) if is_it else None

    return policing(change)


def unasked(word: str) -> Callable[[Pipeline], Pipeline]:
    """Nothing is done under a condition about this metadata."""
    return policing(lambda found: () if _is_about(found, word) and not found.otherwise else None)


def always(word: str) -> Callable[[Pipeline], Pipeline]:
    return policing(lambda found: found.then if _is_about(found, word) else None)


def with_key(table: str, key: str, expr: Expr) -> Callable[[Pipeline], Pipeline]:
    def changed(whole: Pipeline) -> Pipeline:
        tables = tuple(
            replace(t, keys=tuple(replace(k, expr=expr) if k.name == key else k for k in t.keys))
            if t.name == table
            else t
            for t in whole.tables
        )
        assert tables != whole.tables
        return replace(whole, tables=tables)

    return changed


SOURCE: FieldRef = field("ipv4.src")
IN_PIPELINE = {
    "ingress is not asked behind a service": asked_only_if("ingress", negate(meta("decided"))),
    "egress is not asked behind a service": asked_only_if("egress", negate(meta("decided"))),
    "ingress is not asked of what comes by a tunnel": asked_only_if("ingress", negate(valid("vxlan"))),
    "ingress is asked of TCP alone": asked_only_if("ingress", valid("tcp")),
    "egress is not asked": unasked("egress_policy"),
    "ingress is not asked": unasked("ingress_policy"),
    "egress is held against the address that was called": with_key("egress_peer_ipv4", "peer", field("ipv4.dst")),
    "egress is held against who sends": with_key("egress_peer_ipv4", "peer", SOURCE),
    "ingress is held against who gets it": with_key("ingress_peer_ipv4", "peer", meta("route_ipv4")),
    "ports are those that were called": unasked("decided"),
    "nobody may call itself": always("receiver_nexthop"),
    "connections are not learned, so that answers are asked": unasked("policed"),
    "answers of a proxy are not expected from its port": unasked("reply_leg"),
}


def everywhere(change: Callable[[PolicySet, Isolation], Isolation]) -> Faulty:
    return lambda policies: replace(
        policies, isolations=tuple(change(policies, isolation) for isolation in policies.isolations)
    )


def in_rules(change: Callable[[PolicySet, PolicyRule], PolicyRule]) -> Faulty:
    def changed(policies: PolicySet, isolation: Isolation) -> Isolation:
        ways = {way: isolation.rules(way) for way in ("ingress", "egress")}
        made = {
            way: None if rules is None else tuple(change(policies, rule) for rule in rules)
            for way, rules in ways.items()
        }
        return replace(isolation, ingress=made["ingress"], egress=made["egress"])

    return everywhere(changed)


def in_peers(change: Callable[[PolicySet, Peer], Peer]) -> Faulty:
    return in_rules(lambda policies, rule: replace(rule, peers=tuple(change(policies, peer) for peer in rule.peers)))


def in_ranges(first: int = 0, last: int = 0) -> Faulty:
    """What is added to the ends of ranges that have two."""

    def moved(port: PortRange | NamedPort) -> PortRange | NamedPort:
        if isinstance(port, NamedPort) or port.first == port.last or port.last == 65535:
            return port
        return replace(port, first=port.first + first, last=port.last + last)

    return in_rules(lambda _, rule: replace(rule, ports=tuple(moved(port) for port in rule.ports)))


def twins(policies: PolicySet, workloads: tuple[Workload, ...]) -> tuple[Workload, ...]:
    """Those that have the same addresses in the other network."""
    return tuple(
        other
        for workload in workloads
        for other in policies.workloads
        if other.network != workload.network and set(other.addresses) & set(workload.addresses)
    )


IN_POLICIES: dict[str, Faulty] = {
    "exceptions of a block are ignored": in_peers(lambda _, peer: replace(peer, excepts=())),
    "a block is its first exception": in_peers(
        lambda _, peer: replace(peer, block=peer.excepts[0], excepts=()) if peer.excepts else peer
    ),
    "a range of ports ends one early": in_ranges(last=-1),
    "a range of ports ends one late": in_ranges(last=1),
    "a range of ports begins one late": in_ranges(first=1),
    "a range of ports begins one early": in_ranges(first=-1),
    "a policy concerns those of the same address in the other network": everywhere(
        lambda all_of_them, one: replace(one, workloads=twins(all_of_them, one.workloads))
    ),
    "peers are those of the same address in the other network": in_peers(
        lambda policies, peer: replace(peer, workloads=twins(policies, peer.workloads))
    ),
    "a rule without peers allows nobody": in_rules(lambda _, rule: replace(rule, is_everyone=False)),
    "a rule for some is for everyone": in_rules(lambda _, rule: replace(rule, is_everyone=True)),
    "a rule for some ports is for all": in_rules(lambda _, rule: replace(rule, is_any_port=True)),
    "no rules are no policy": everywhere(
        lambda _, one: replace(one, ingress=one.ingress or None, egress=one.egress or None)
    ),
}


@pytest.mark.parametrize("fault", IN_PIPELINE)
def test_a_fault_in_the_pipeline_is_found(fault: str) -> None:
    assert is_found(ISOLATED, IN_PIPELINE[fault](small(pipeline(), SLOTS)))


@pytest.mark.parametrize("fault", IN_POLICIES)
def test_a_fault_in_what_is_compiled_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_faulty_policies(monkeypatch, IN_POLICIES[fault])
    assert is_found(ISOLATED, small(pipeline(), SLOTS))


IN_FIX_UP: dict[str, Callable[[Iterable[TableEntry], Entries], FixUp]] = {
    "nothing ends": lambda connections, desired: NOTHING,
    "connections end that should drain": lambda connections, desired: fix_up(
        connections, desired, RemovedBackends.RESET
    ),
}


@pytest.mark.parametrize("fault", IN_FIX_UP)
def test_a_fault_in_what_ends_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(connections: Iterable[TableEntry], desired: Entries, removed: RemovedBackends) -> FixUp:
        assert removed is RemovedBackends.DRAIN
        return IN_FIX_UP[fault](connections, desired)

    monkeypatch.setattr("runtime.verification.fabric.fix_up", faulty)
    assert is_found(ISOLATED, small(pipeline(), SLOTS))


@pytest.mark.parametrize("story", ISOLATED, ids=lambda story: story.name)
def test_without_a_fault_nothing_is_found(story: Story) -> None:
    played(story, small(pipeline(), SLOTS))
