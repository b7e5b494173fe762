"""What the NetworkPolicies of a plan allow, by a model of Kubernetes' words (`policyreference`): no table, no entry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from runtime.verification.policies import plan as planned
from runtime.verification.policies.isolating import NAMESPACES, SERVED, SERVED_NAME, isolation_spec
from runtime.verification.policies.plan import Address, PlannedIsolation, PlannedWorkload, PolicyPlan
from runtime.verification.policyreference import Connection, Pod, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A connection where policies are asked: behind the choice of a backend. `protocol` is a name, or empty for what
    has no ports."""

    src: Address
    dst: Address
    protocol: str = ""
    port: int = 0


def egress_allows(plan: PolicyPlan, sender: PlannedWorkload, asked: Asked) -> bool:
    """Nobody is kept from itself."""
    receiver = planned.workload_of(plan, sender.network, asked.dst)
    return receiver == sender or _reference(plan.isolations).egress(_connection(asked, sender, receiver))


def ingress_allows(plan: PolicyPlan, receiver: PlannedWorkload, asked: Asked) -> bool:
    """Who a peer is, its address says."""
    sender = planned.workload_of(plan, receiver.network, asked.src)
    return receiver == sender or _reference(plan.isolations).ingress(_connection(asked, sender, receiver))


def concerns(plan: PolicyPlan, workload: PlannedWorkload | None) -> bool:
    """Whether a NetworkPolicy concerns it, in whichever direction."""
    return workload is not None and any(workload in plan.isolated(isolation) for isolation in plan.isolations)


def has_nameless(plan: PolicyPlan) -> bool:
    """Whether a policy names a port that nobody whom it is about has."""
    pods, reference = [_pod(workload) for workload in plan.everyone], _reference(plan.isolations)
    specs = [(isolation.team, isolation_spec(isolation)) for isolation in plan.isolations]
    rules = [
        (team, spec, kind, rule) for team, spec in specs for kind in spec["policyTypes"] for rule in spec[kind.lower()]
    ]
    return any(
        not any(
            (port.get("protocol", "TCP"), port["port"]) in pod.ports
            for pod in reference.servers(team, spec, kind, rule, pods)
        )
        for team, spec, kind, rule in rules
        for port in rule.get("ports", ())
        if isinstance(port.get("port"), str)
    )


@lru_cache(maxsize=64)
def _reference(isolations: tuple[PlannedIsolation, ...]) -> Reference:
    return Reference([(isolation.team, isolation_spec(isolation)) for isolation in isolations], NAMESPACES)


def _connection(asked: Asked, sender: PlannedWorkload | None, receiver: PlannedWorkload | None) -> Connection:
    return Connection(
        source=None if sender is None else _pod(sender),
        destination=None if receiver is None else _pod(receiver),
        source_address=str(asked.src),
        destination_address=str(asked.dst),
        protocol=asked.protocol,
        port=asked.port,
    )


@lru_cache(maxsize=256)
def _pod(workload: PlannedWorkload) -> Pod:
    return Pod(
        namespace=workload.team,
        network=planned.network_name(workload.network),
        labels={"app": workload.app} if workload.app else {},
        addresses=frozenset(str(planned.workload_address(workload, version)) for version in workload.versions),
        ports={("TCP", SERVED_NAME): SERVED[workload.app]} if workload.app in SERVED else {},
    )
