"""Backends that answer by themselves as a check of mutants: the same calls each time, answers, errors about these."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from compiler.entries.vocabulary import mac_number
from runtime.verification import anatomy, telling
from runtime.verification.comparison import Comparison
from runtime.verification.directs import (
    PORTS,
    Call,
    Directs,
    answered_by,
    external,
    policies_of,
    port_of,
    sent_by,
    workload_at,
)
from runtime.verification.fabric import End, Fabric
from runtime.verification.levels import Level
from runtime.verification.outsiders import CLIENTS, DEVICES, ROUTER_MAC, UNDERLAY_MACS, UPLINK

WORLD = Directs(backends=frozenset({0, 1, 2, 3}), algorithm="RoundRobin", closed=frozenset({1, 3}))
"""Two backends behind each device, of which one lets nobody in."""
LIFE = ("S", "A", "FA", "A", "S", "A", "R", "A")
PAUSES_MS = (0, 59_000, 70_000, 130_000)


def directed(level: Level) -> None:
    """The level is the device that lets clients in, and then the one behind it; the other one is the interpreter."""
    for number, name in enumerate(DEVICES):
        comparison = Comparison([level])
        other = Comparison((), pipeline=comparison.pipeline)
        _call(Fabric({name: comparison, DEVICES[1 - number]: other}, policies_of(WORLD)))
        comparison.compare_state()


def _call(fabric: Fabric) -> None:
    """Clients outside, one with the address of a workload; that workload as well."""
    for number, (port, src_port, client, version) in enumerate(product(PORTS, (4000, 4001), (0, 1), (4, 6))):
        call = Call(client=client, version=version, src_port=src_port, port=port)
        for flags in LIFE:
            _converse(fabric, replace(call, flags=flags))
        fabric.send(DEVICES[0], port_of(0), sent_by(0, replace(call, client=1).ends, "S"))
        for comparison in fabric.comparisons.values():
            comparison.wait(PAUSES_MS[number % len(PAUSES_MS)])
        _converse(fabric, replace(call, flags="A"))

    _spell(fabric)


def _spell(fabric: Fabric) -> None:
    """IPv4 options that are the ports of a known connection, in front of those of another one."""
    known = Call(src_port=0x0707)
    ports = known.src_port.to_bytes(2, "big") + known.port.to_bytes(2, "big")
    for flags in ("S", "A"):
        _converse(fabric, replace(known, flags=flags))
    for src_port in (known.src_port, 2001):
        frame = replace(known, src_port=src_port, flags="A").frame()
        fabric.comparisons[DEVICES[0]].process(UPLINK, anatomy.optioned(frame, ports + bytes(4)))


def _converse(fabric: Fabric, call: Call) -> None:
    journey = fabric.send(DEVICES[0], UPLINK, call.frame())
    if journey is None or journey.end is not End.DELIVERED:
        return
    number = workload_at(journey.last.device, journey.last.outcome.egress_port)
    if number is None:
        return
    back = fabric.send(journey.last.device, port_of(number), answered_by(number, call.ends))
    complaint = telling.complaint(journey.frame, external(call.version))
    fabric.send(journey.last.device, port_of(number), complaint)
    if back is not None and back.end is End.LEFT:
        error = telling.error_about(
            back.frame,
            CLIENTS[call.version][call.client],
            kind=telling.TOO_BIG[call.version],
            dst_mac=mac_number(UNDERLAY_MACS[DEVICES[0]]),
            src_mac=mac_number(ROUTER_MAC),
            rest=1300,
        )
        fabric.send(DEVICES[0], UPLINK, error)
