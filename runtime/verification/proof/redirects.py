"""What MeshRedirects promise to an opening of TCP, told without a look at any entry (docs/mesh.md).

Of whom a connection is opened to, only the reasons why it may be dropped are told: a proxy is sent the same address
as the workload.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from compiler.policy.meshredirects import proxies_of
from compiler.policy.policyset import Address, Device, PolicySet, RedirectRule, Workload
from runtime.verification.speaking import Ends


class Fate(Enum):
    UNCONCERNED = "goes on"
    REDIRECTED = "goes to the proxy"
    ENDED = "ends without a proxy"
    DENIED = "is denied"


def outbound(policies: PolicySet, device: Device, sender: Workload, ends: Ends) -> Fate:
    """By the policies that concern whoever opens it."""
    mine = [r for r in policies.redirects if r.outbound is not None and sender.key in {w.key for w in r.workloads}]
    rules = [(redirect, redirect.outbound) for redirect in mine if redirect.outbound is not None]
    if any(_says(way.deny, ends) for _, way in rules):
        return Fate.DENIED
    proxies = [w for w in proxies_of(device, sender.network) if w.address(ends.dst.version) is not None]
    excluded = any(_says(way.exclude, ends) for _, way in rules) or any(ends.dst in w.addresses for w in proxies)
    including = [redirect for redirect, way in rules if _says(way.include, ends)]
    if excluded or not including:
        return Fate.UNCONCERNED
    if proxies:
        return Fate.REDIRECTED
    return Fate.ENDED if any(redirect.is_closed for redirect in including) else Fate.UNCONCERNED


def inbound_reasons(policies: PolicySet, network: str) -> frozenset[str]:
    """Why a connection may be dropped by a policy of whom it is opened to."""
    mine = [r for r in policies.redirects if r.inbound is not None and r.network.name == network]
    limited = {"mesh_limit"} if any(redirect.limit is not None for redirect in mine) else set[str]()
    return frozenset({"mesh_denied", "no_proxy"} | limited) if mine else frozenset()


def outbound_reasons(policies: PolicySet, sender: Workload) -> frozenset[str]:
    """Why a connection that goes to the proxy of whoever opens it may be dropped all the same."""
    limited = (redirect for redirect in policies.redirects if redirect.limit is not None)
    is_mine = any(sender.key == workload.key for redirect in limited for workload in redirect.workloads)
    return frozenset({"mesh_limit"}) if is_mine else frozenset()


def _says(rules: Iterable[RedirectRule], ends: Ends) -> bool:
    return any(_matches(rule, ends.dst, ends.dst_port) for rule in rules)


def _matches(rule: RedirectRule, peer: Address, port: int) -> bool:
    prefixes = rule.prefixes(peer.version)
    has_peer = any(prefix is None or peer in prefix for prefix in prefixes)
    return has_peer and any(low <= port <= high for low, high in rule.ports)
