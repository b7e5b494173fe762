"""A service gateway as a check of mutants: the same calls each time, of clients with the same ports, and answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from compiler.entries.desired import compile_entries
from compiler.ir.interpreter import VerdictKind
from runtime.verification.comparison import Comparison
from runtime.verification.gateways import CLIENTS, Call, Gateways, policies_of
from runtime.verification.levels import Level
from runtime.verification.outsiders import DEVICES, NETWORKS, UPLINK, answered_to, port_of
from runtime.verification.speaking import ends_of

WORLD = Gateways(
    families=(frozenset({4, 6}), frozenset[int]()),
    backends=frozenset({(0, 0), (0, 1), (1, 0)}),
    algorithm="RoundRobin",
    isolated=frozenset({(0, 1)}),
)
"""Both networks behind the gateway itself, one of them behind another device as well."""
SRC_PORTS = (80, 1023, 1024, 4000)


def crossed(level: Level) -> None:
    """Each client calls from each port, and whoever is reached here answers; at one instant all draw alike."""
    comparison = Comparison([level])
    policies = policies_of(WORLD)
    comparison.fill(compile_entries(policies, next(d for d in policies.devices if d.name == DEVICES[0])).entries)
    for port, src_port, client, version in product((80, 53), SRC_PORTS, range(len(CLIENTS[4])), (4, 6)):
        call = Call(device=0, version=version, client=client, src_port=src_port, port=port)
        outcome = comparison.process(UPLINK, call.frame())
        if outcome is not None and outcome.verdict is VerdictKind.FORWARD and outcome.egress_port != UPLINK:
            got, network = ends_of(outcome.packet), (outcome.egress_port or 0) - port_of(0)
            if got is not None and network in range(len(NETWORKS)):
                comparison.process(port_of(network), answered_to(got, network, "SA"))
        comparison.process(UPLINK, replace(call, flags="A").frame())
        comparison.wait(client)
    comparison.compare_state()
