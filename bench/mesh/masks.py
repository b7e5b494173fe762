"""What the masks of redirect rules cost a packet of the whole pipeline, by test runs; nanoseconds.

The rules are the client's and match nothing that it sends, so each mask is looked up. `first`: a segment that opens a
connection and is not concerned; since nothing of it is learned, every repetition is a first one. `known`: a segment of
a connection to a service that the flow table has.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from bench.packets.wrapper import LOOPBACK, Wrapper
from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import in_order

COUNTS = (0, 1, 8, 16)
FIRST, KNOWN = "first", "known"
ROUNDS, REPEAT = 61, 20_000
PORTS = (16, 17)
XDP_REDIRECT = 4
_LONGEST = 25
"""Of the prefixes, one length for each mask."""
_POLICIES = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: bench}
spec: {id: 1, vni: 100, cidrs: [10.1.0.0/16]}
---
apiVersion: turnout.dev/v1alpha1
kind: Node
metadata: {name: bench-a}
---
apiVersion: turnout.dev/v1alpha1
kind: Device
metadata: {name: bench-mesh}
spec:
  node: bench-a
  ports:
  - {id: 16, name: client, type: workload, workload: bench/client}
  - {id: 17, name: near, type: workload, workload: bench/near}
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: client, namespace: bench, labels: {mesh: "yes"}}
spec: {type: Pod, network: bench, node: bench-a, addresses: [10.1.0.10]}
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: near, namespace: bench, labels: {app: near}}
spec: {type: Pod, network: bench, node: bench-a, addresses: [10.1.0.11]}
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: near, namespace: bench}
spec:
  network: bench
  addresses: [10.96.0.11]
  ports: [{name: tcp, protocol: TCP, port: 80, targetPort: 8080}]
  selector: {app: near}
"""
_MESH = """
---
apiVersion: turnout.dev/v1alpha1
kind: MeshRedirect
metadata: {name: clients, namespace: bench}
spec:
  network: bench
  selector: {mesh: "yes"}
  failure: open
  outbound: {include: [{cidrs: [CIDRS]}]}
"""
Costs = Mapping[tuple[int, str], list[int]]
"""Nanoseconds of each round, by the number of masks and the kind of packet."""


def measured(rounds: int = ROUNDS) -> Costs:
    """All take turns; what the harness costs is taken off."""
    costs: dict[tuple[int, str], list[int]] = {(count, kind): [] for count in COUNTS for kind in (FIRST, KNOWN)}
    frames = {FIRST: _frame("10.1.0.11", 8080, "S"), KNOWN: _frame("10.96.0.11", 80, "A")}
    with pinned_to_cpu(), ExitStack() as undo:
        held: dict[tuple[int, str], Wrapper] = {}
        for count in COUNTS:
            level = undo.enter_context(_level(count))
            for kind, frame in frames.items():
                held[count, kind] = undo.enter_context(_wrapped(level, frame))
        for _ in range(rounds):
            for key, into in costs.items():
                into.append(held[key].target(REPEAT, XDP_REDIRECT) - held[key].nothing(REPEAT))
    return costs


def _level(count: int) -> TestRunLevel:
    """With so many masks; without any as the program that fits, which has no code for these tables."""
    unused = {f"uses_{table}_{family}": 0 for table in ("outbound", "inbound") for family in ("ipv4", "ipv6")}
    level = TestRunLevel(pipeline(), Hook.XDP, traces=False, flags={} if count else unused)
    for port in PORTS:
        level.add_port(port)
    level.interfaces.put(LOOPBACK, PORTS[0])
    level.insert(*in_order(_entries(count)))
    with _wrapped(level, _frame("10.96.0.11", 80, "S")) as opening:
        opening.target(1, XDP_REDIRECT)
    return level


def _wrapped(level: TestRunLevel, frame: bytes) -> Wrapper:
    return Wrapper(Hook.XDP, level.program, np.frombuffer(frame, np.uint8).reshape(1, -1))


def _entries(count: int) -> Entries:
    cidrs = ", ".join(f"100.64.0.0/{_LONGEST - at}" for at in range(count))
    text = _POLICIES + (_MESH.replace("CIDRS", cidrs) if count else "")
    policies = load_text(text, "masks.yaml").policies
    return compile_entries(policies, policies.devices[0]).entries


def _frame(address: str, port: int, flags: str) -> bytes:
    """64 bytes."""
    segment = IP(src="10.1.0.10", dst=address) / TCP(sport=40000, dport=port, flags=flags) / bytes(10)
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / segment)
