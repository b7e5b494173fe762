"""A service gateway as a check of mutants: the same calls each time, of clients with the same ports, and answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from compiler.pipeline import gateway
from runtime.verification.comparison import Comparison
from runtime.verification.fabric import End, Fabric
from runtime.verification.gateways import CLIENTS, Call, Gateways, policies_of
from runtime.verification.levels import Level
from runtime.verification.outsiders import DEVICES, UPLINK, answered_to, port_of
from runtime.verification.speaking import ends_of

WORLD = Gateways(
    families=(frozenset({4, 6}), frozenset[int]()),
    backends=frozenset({(0, 0), (0, 1), (1, 0)}),
    algorithm="RoundRobin",
    isolated=frozenset({(0, 1)}),
)
"""Both networks behind the gateway itself, one of them behind another device as well."""
REMEMBERING = replace(WORLD, affinity_s=1)
SRC_PORTS = (80, 1023, 1024, 4000)


def crossed(level: Level) -> None:
    """The level is the gateway, and then the device behind it; the other one is the interpreter alone."""
    for number, name in enumerate(DEVICES):
        comparison = Comparison([level])
        other = Comparison((), pipeline=comparison.pipeline)
        fabric = Fabric({name: comparison, DEVICES[1 - number]: other}, policies_of(REMEMBERING))
        _call(fabric)
        fabric.adopt(policies_of(WORLD))
        for of in DEVICES:
            fabric.write(of)
        _call(fabric)
        _cut_off(fabric)
        comparison.compare_state()


def _call(fabric: Fabric) -> None:
    """Each client calls from each port, and whoever is reached answers; at one instant all draw alike."""
    for port, src_port, client, version in product((80, 53), SRC_PORTS, range(len(CLIENTS[4])), (4, 6)):
        call = Call(device=0, version=version, client=client, src_port=src_port, port=port)
        journey = fabric.send(DEVICES[0], UPLINK, call.frame())
        got = ends_of(journey.frame) if journey is not None and journey.end is End.DELIVERED else None
        if journey is not None and got is not None:
            network = (journey.last.outcome.egress_port or 0) - port_of(0)
            fabric.send(journey.last.device, port_of(network), answered_to(got, network, "SA"))
        fabric.send(DEVICES[0], UPLINK, replace(call, flags="A").frame())
        for comparison in fabric.comparisons.values():
            comparison.wait(client)


def _cut_off(fabric: Fabric) -> None:
    """No way leads into networks any more."""
    for entry in fabric.held[DEVICES[0]].table_entries:
        if entry.table.startswith(gateway.TABLE):
            fabric.comparisons[DEVICES[0]].delete(entry)
    for port, version in product((80, 53), (4, 6)):
        fabric.send(DEVICES[0], UPLINK, Call(device=0, version=version, client=0, src_port=5000, port=port).frame())
