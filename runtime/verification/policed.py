"""What devices let pass that belongs to no connection which they know, held against the NetworkPolicies of a plan."""

from __future__ import annotations

from collections.abc import Collection

from compiler.ir.interpreter import VerdictKind, trace
from runtime.verification import wire
from runtime.verification.fabric import Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.isolationpromises import EGRESS_DENIED, INGRESS_DENIED
from runtime.verification.policies import plan as planned
from runtime.verification.policies.allowances import Asked, concerns, egress_allows, ingress_allows
from runtime.verification.policies.plan import PlannedWorkload, PolicyPlan
from runtime.verification.promise import WHEN_CROWDED
from runtime.verification.rendering import outcome_text
from runtime.verification.speaking import addresses_of, ends_of

DENIED = frozenset({EGRESS_DENIED, INGRESS_DENIED})


def check(plan: PolicyPlan, journey: Journey) -> None:
    """Devices hold what the plan asks for: what each has sent on, policies of both ends there allow.

    Raises `Violation`.
    """
    for hop in journey.hops:
        if hop.outcome.verdict is VerdictKind.FORWARD and not is_known(hop):
            inside = next((port for port in (hop.port, hop.outcome.egress_port) if port != planned.UPLINK), None)
            network = None if inside is None else planned.behind_port(inside)[0]
            if network is not None:
                _check_hop(plan, hop, network)


def _check_hop(plan: PolicyPlan, hop: Hop, network: int) -> None:
    """What has ports is learned for its policies' sake, so that its answers need no rule."""
    reason, asked = denial(plan, hop, network, hop.outcome.packet), _asked(hop.outcome.packet)
    if reason is not None:
        raise Violation(f"{asked} should have been dropped as {reason} by {hop.device}: {outcome_text(hop.outcome)}")
    if asked is None or not asked.protocol or hop.has_learned:
        return
    sender, receiver = _ends_here(plan, hop, network, asked)
    if sender != receiver and (concerns(plan, sender) or concerns(plan, receiver)):
        raise Violation(f"{asked} should have been learned by {hop.device}: {outcome_text(hop.outcome)}")


def is_known(hop: Hop) -> bool:
    """Whether a device took it for a packet of a connection that it knows, a later fragment of one, or an error about
    one."""
    found = (step.found_in for step in hop.outcome.trace if isinstance(step, trace.Hit))
    return any(name.startswith(("flow", "fragment")) for name in found)


def denial(plan: PolicyPlan, hop: Hop, network: int, frame: bytes) -> str | None:
    """Why policies of those behind the device of a hop deny a packet of a network, as it leaves that device."""
    asked = _asked(frame)
    if asked is None:
        return None
    sender, receiver = _ends_here(plan, hop, network, asked)
    if sender == receiver:
        return None
    if sender is not None and not egress_allows(plan, sender, asked):
        return EGRESS_DENIED
    return INGRESS_DENIED if receiver is not None and not ingress_allows(plan, receiver, asked) else None


def may_stop(plan: PolicyPlan, journey: Journey, network: int, kept_at: Collection[str], *, is_settled: bool) -> bool:
    """Whether the last device rightly drops a packet of a connection that it does not keep: policies have come since
    then, and what they allow is learned."""
    last = journey.last
    reason, asked = last.outcome.drop_reason, _asked(last.frame)
    if asked is None or last.device in kept_at or reason not in DENIED | WHEN_CROWDED:
        return False
    if not is_settled:
        return True
    if reason in DENIED:
        return reason == denial(plan, last, network, last.frame)
    return any(concerns(plan, end) for end in _ends_here(plan, last, network, asked))


def _ends_here(
    plan: PolicyPlan, hop: Hop, network: int, asked: Asked
) -> tuple[PlannedWorkload | None, PlannedWorkload | None]:
    """Sender and receiver, where they are behind the device. Redirects to proxies do not change who the receiver is."""
    receiver = planned.workload_of(plan, network, asked.dst)
    is_here = receiver is not None and receiver.place == hop.device
    return planned.workload_at(plan, hop.device, hop.port), receiver if is_here else None


def _asked(frame: bytes) -> Asked | None:
    """None for what is no IP packet."""
    ends, addresses = ends_of(frame), addresses_of(frame)
    if ends is not None:
        return Asked(src=ends.src, dst=ends.dst, protocol=wire.PROTOCOL_NAMES[ends.protocol], port=ends.dst_port)
    return None if addresses is None else Asked(src=addresses[0], dst=addresses[1])
