"""What MeshRedirects of a plan promise to an opening of TCP, told without a look at any entry (docs/mesh.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto

from runtime.verification.isolationpromises import (
    EGRESS_DENIED,
    INGRESS_DENIED,
    may_get,
    may_send,
    policed,
    receiver_of,
)
from runtime.verification.policies import plan as planned
from runtime.verification.policies.meshes import Asked, matches
from runtime.verification.policies.plan import PlannedDirection, PlannedRedirect, PlannedWorkload, PolicyPlan
from runtime.verification.promise import WHEN_CROWDED, Landing, Promise
from runtime.verification.speaking import Ends


class Fate(Enum):
    UNCONCERNED = auto()
    REDIRECTED = auto()
    ENDED = auto()
    """Without a proxy."""
    DENIED = auto()


_REASONS = {Fate.DENIED: "mesh_denied", Fate.ENDED: "no_proxy"}


def meshed(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends, direct: Promise) -> Promise:
    """`direct` is what is promised without any redirect. What a proxy sends is asked about by no device but another."""
    if sender.is_proxy:
        return _all_received(plan, sender, ends, direct)
    asked = Asked(peer=ends.dst, port=ends.dst_port)
    fate = _fate(_concerning(plan, sender, "outbound"), asked, *_proxies(plan, sender, ends, asked))
    if fate in _REASONS:
        return Promise(reasons=frozenset({_REASONS[fate]}))
    if fate is Fate.REDIRECTED:
        return _to_proxy(plan, sender, ends)
    return _all_received(plan, sender, ends, direct)


def _all_received(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends, direct: Promise) -> Promise:
    return direct.narrowed(received(plan, sender, landing, ends) for landing in direct.landings)


def _proxies(
    plan: PolicyPlan, workload: PlannedWorkload, ends: Ends, outbound: Asked | None = None
) -> tuple[bool, bool]:
    """Whether there are some for a workload, and whether one of them is who is asked about."""
    proxies = _proxies_of(plan, workload, ends)
    version = ends.dst.version
    is_own = outbound is not None and any(planned.workload_address(p, version) == outbound.peer for p in proxies)
    return bool(proxies), is_own


def _proxies_of(plan: PolicyPlan, workload: PlannedWorkload, ends: Ends) -> list[PlannedWorkload]:
    found = plan.proxies_at(workload.place, workload.network)
    return [proxy for proxy in found if ends.dst.version in proxy.versions]


def _to_proxy(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends) -> Promise:
    """Whom it is opened to may still deny it, if that is on the same device."""
    receivers = [w for w in plan.workloads_of(sender.network) if w.place == sender.place and _has(w, ends)]
    if any(_inbound(plan, w, ends, ends.dst_port) is Fate.DENIED for w in receivers):
        return Promise(reasons=frozenset({_REASONS[Fate.DENIED]}))
    limits = _limits(plan, sender, *receivers)
    if not may_send(plan, sender, ends):
        return Promise(reasons=frozenset({EGRESS_DENIED}) | limits)
    if not all(may_get(plan, receiver, ends) for receiver in receivers):
        return Promise(reasons=frozenset({INGRESS_DENIED}) | limits)
    proxies = _proxies_of(plan, sender, ends)
    landings = frozenset(Landing(address=ends.dst, port=ends.dst_port, host=proxy.host) for proxy in proxies)
    return Promise(landings=landings, reasons=WHEN_CROWDED | limits)


def _limits(plan: PolicyPlan, *workloads: PlannedWorkload) -> frozenset[str]:
    """What may be said of an opening that goes to the proxy because of one of them."""
    limited = [w for redirect in plan.redirects if redirect.limit is not None for w in plan.concerned(redirect)]
    return frozenset({"mesh_limit"}) if any(w in limited for w in workloads) else frozenset()


def _has(workload: PlannedWorkload, ends: Ends) -> bool:
    version = ends.dst.version
    return version in workload.versions and planned.workload_address(workload, version) == ends.dst


def received(
    plan: PolicyPlan, sender: PlannedWorkload, landing: Landing, ends: Ends, *, is_asked: bool = True
) -> Promise:
    """What is promised of an opening behind the choice of a backend; `is_asked`: redirects are, which is before
    policies are where both are asked by one device."""
    receiver, asked = receiver_of(plan, sender, landing), policed(plan, sender, landing, ends)
    is_here = sender.place == receiver.place
    is_stopped = EGRESS_DENIED in asked.reasons and not is_here
    if not is_asked or is_stopped or receiver.is_proxy or (sender.is_proxy and is_here):
        return asked
    fate = _inbound(plan, receiver, ends, landing.port)
    if fate in _REASONS:
        return Promise(reasons=frozenset({_REASONS[fate]}) | (WHEN_CROWDED & asked.reasons))
    if fate is Fate.UNCONCERNED:
        return asked
    limits, proxies = _limits(plan, receiver), _proxies_of(plan, receiver, ends)
    if not asked.landings:
        return Promise(reasons=asked.reasons | limits)
    return Promise(
        landings=frozenset(replace(landing, host=proxy.host) for proxy in proxies), reasons=WHEN_CROWDED | limits
    )


def _inbound(plan: PolicyPlan, receiver: PlannedWorkload, ends: Ends, port: int) -> Fate:
    asked = Asked(peer=ends.src, port=port)
    return _fate(_concerning(plan, receiver, "inbound"), asked, *_proxies(plan, receiver, ends))


def _concerning(
    plan: PolicyPlan, workload: PlannedWorkload, direction: str
) -> Iterator[tuple[PlannedRedirect, PlannedDirection]]:
    for redirect in plan.redirects:
        way = redirect.outbound if direction == "outbound" else redirect.inbound
        if way is not None and workload in plan.concerned(redirect):
            yield redirect, way


def _fate(
    ways: Iterator[tuple[PlannedRedirect, PlannedDirection]], asked: Asked, has_proxy: bool, is_own: bool
) -> Fate:
    found = list(ways)
    if any(matches(way.deny, asked) for _, way in found):
        return Fate.DENIED
    including = [redirect for redirect, way in found if way.include is None or matches(way.include, asked)]
    if not including or is_own or any(matches(way.exclude, asked) for _, way in found):
        return Fate.UNCONCERNED
    if has_proxy:
        return Fate.REDIRECTED
    return Fate.ENDED if any(redirect.is_closed for redirect in including) else Fate.UNCONCERNED
