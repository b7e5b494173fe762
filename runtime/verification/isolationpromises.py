"""What NetworkPolicies of a plan promise to a packet of no known connection, told without a look at any entry
(docs/networkpolicies.md)."""

from __future__ import annotations

from dataclasses import replace

from runtime.verification import wire
from runtime.verification.policies import plan as planned
from runtime.verification.policies.allowances import Asked, concerns, egress_allows, ingress_allows
from runtime.verification.policies.plan import Address, PlannedWorkload, PolicyPlan
from runtime.verification.promise import WHEN_CROWDED, Landing, Promise
from runtime.verification.speaking import Ends

EGRESS_DENIED, INGRESS_DENIED = "egress_denied", "ingress_denied"


def may_send(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends) -> bool:
    """`ends` as they are behind the choice of a backend."""
    return egress_allows(plan, sender, _asked(ends))


def may_get(plan: PolicyPlan, receiver: PlannedWorkload, ends: Ends) -> bool:
    return ingress_allows(plan, receiver, _asked(ends))


def all_policed(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends, direct: Promise) -> Promise:
    """Of what no redirect concerns."""
    return direct.narrowed(policed(plan, sender, landing, ends) for landing in direct.landings)


def policed(plan: PolicyPlan, sender: PlannedWorkload, landing: Landing, ends: Ends) -> Promise:
    """Egress is asked by the device of the sender, before the device of the receiver asks for anything."""
    receiver, got = receiver_of(plan, sender, landing), replace(ends, dst=landing.address, dst_port=landing.port)
    if not may_send(plan, sender, got):
        return Promise(reasons=frozenset({EGRESS_DENIED}))
    # What policies concern is learned, on each device that has one of those whom they concern.
    is_learned = concerns(plan, sender) or concerns(plan, receiver) or (receiver.is_proxy and bool(plan.isolations))
    crowded = WHEN_CROWDED if is_learned else frozenset[str]()
    if not may_get(plan, receiver, got):
        is_learned_before = concerns(plan, sender) and sender.place != receiver.place
        return Promise(reasons=frozenset({INGRESS_DENIED}) | (crowded if is_learned_before else frozenset[str]()))
    return Promise(landings=frozenset({landing}), reasons=crowded)


def promise_without_ports(plan: PolicyPlan, sender: PlannedWorkload, src: Address, dst: Address) -> Promise:
    """To a packet that no service, redirect or connection concerns."""
    asked, receiver = Asked(src=src, dst=dst), planned.workload_of(plan, sender.network, dst)
    if not egress_allows(plan, sender, asked):
        return Promise(reasons=frozenset({EGRESS_DENIED}))
    if receiver is None or not planned.is_reachable(plan, sender.place, receiver):
        return Promise()
    if not ingress_allows(plan, receiver, asked):
        return Promise(reasons=frozenset({INGRESS_DENIED}))
    return Promise(landings=frozenset({Landing(address=dst, port=0, host=receiver.host)}))


def receiver_of(plan: PolicyPlan, sender: PlannedWorkload, landing: Landing) -> PlannedWorkload:
    return next(w for w in plan.everyone if (w.network, w.host) == (sender.network, landing.host))


def _asked(ends: Ends) -> Asked:
    return Asked(src=ends.src, dst=ends.dst, protocol=wire.PROTOCOL_NAMES[ends.protocol], port=ends.dst_port)
