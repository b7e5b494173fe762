"""What NetworkPolicies promise to an opening, told without a look at any entry (docs/networkpolicies.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.policy.policyset import (
    Address,
    NamedPort,
    Peer,
    PolicyRule,
    PolicySet,
    PortRange,
    Protocol,
    Workload,
)

REASONS = frozenset({"egress_denied", "ingress_denied"})
_PROTOCOLS = {protocol.number: protocol for protocol in Protocol}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Of a connection in a network, as whom it is opened to sees it. `protocol` is the IP protocol number; one that has
    no ports is allowed by rules for any alone. `sender` None is nobody who may have policies."""

    network: str
    sender: Workload | None
    source: Address
    destination: Address
    protocol: int
    port: int


def denial(policies: PolicySet, opening: Opening) -> str | None:
    """Why it is dropped by policies of who opens it, or of whom it is opened to; None where they allow it."""
    receiver = _holder(policies, opening.network, opening.destination)
    sender = opening.sender
    if sender is not None and receiver is not None and sender.key == receiver.key:
        return None
    if sender is not None and _denies(policies, "egress", sender, opening.destination, receiver, opening):
        return "egress_denied"
    if receiver is not None and _denies(policies, "ingress", receiver, opening.source, receiver, opening):
        return "ingress_denied"
    return None


def concern(policies: PolicySet, opening: Opening) -> bool:
    """Whether one of both ends has policies: then the connection is remembered."""
    receiver = _holder(policies, opening.network, opening.destination)
    return any(
        next(_concerning(policies, way, end), None) is not None
        for end in (opening.sender, receiver)
        if end is not None
        for way in ("egress", "ingress")
    )


def _holder(policies: PolicySet, network: str, address: Address) -> Workload | None:
    found = (w for w in policies.workloads if w.network.name == network and address in w.addresses)
    return next(found, None)


def _concerning(policies: PolicySet, direction: str, workload: Workload) -> Iterator[tuple[PolicyRule, ...]]:
    for isolation in policies.isolations:
        rules = isolation.rules(direction)
        if rules is not None and any(one.key == workload.key for one in isolation.workloads):
            yield rules


def _denies(
    policies: PolicySet, direction: str, concerned: Workload, peer: Address, server: Workload | None, opening: Opening
) -> bool:
    """`server` is whose ports the rules mean by their names."""
    found = list(_concerning(policies, direction, concerned))
    return bool(found) and not any(_allows(rule, peer, server, opening) for rules in found for rule in rules)


def _allows(rule: PolicyRule, peer: Address, server: Workload | None, opening: Opening) -> bool:
    is_peer = rule.is_everyone or any(_is_one(one, peer, opening.network) for one in rule.peers)
    return is_peer and (rule.is_any_port or any(_is_port(one, server, opening) for one in rule.ports))


def _is_one(peer: Peer, address: Address, network: str) -> bool:
    if peer.block is not None:
        return address in peer.block and not any(address in prefix for prefix in peer.excepts)
    return any(w.network.name == network and address in w.addresses for w in peer.workloads)


def _is_port(port: PortRange | NamedPort, server: Workload | None, opening: Opening) -> bool:
    if _PROTOCOLS.get(opening.protocol) is not port.protocol:
        return False
    if isinstance(port, PortRange):
        return port.first <= opening.port <= port.last
    return server is not None and server.port_named(port.name, port.protocol) == opening.port
