"""Packets through a mesh at random, while its rules come and go: what is compared, and how."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import strategies as st

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries
from compiler.pipeline import policing
from compiler.policy.loading import load_text
from runtime.verification.comparison import Comparison
from runtime.verification.meshes import (
    FIRST_PROXY_PORT,
    MOST_PROXIES,
    NETWORKS,
    UPLINK,
    Mesh,
    Segment,
    port_of,
    segments,
)

PORTS = (
    *(port_of(network, host) for network in NETWORKS for host in (10, 11)),
    *(FIRST_PROXY_PORT + at for at in range(MOST_PROXIES * len(NETWORKS))),
    UPLINK,
)
"""All of dpu-a; what comes from where it cannot come from is compared as well."""
CHANGING = ("outbound", "inbound", "proxy", "redirect_limit", *policing.STEMS)
"""Tables whose entries come and go."""
Doing: TypeAlias = tuple[int, Segment, int]
"""What comes in, and by which port; then the rule of this number goes, or comes back."""
STEPS = st.lists(st.tuples(st.sampled_from(PORTS), segments(), st.integers(0, 15)), min_size=1, max_size=20)


def entries_of(mesh: Mesh) -> Entries:
    loaded = load_text(mesh.text(), "mesh.yaml")
    assert not loaded.is_refused, loaded.render()
    return compile_entries(loaded.policies, loaded.policies.devices[0]).entries


def play(comparison: Comparison, mesh: Mesh, steps: list[Doing]) -> None:
    """Verdict, port, bytes and drop reason of each packet; in the end, connections and counters."""
    entries = entries_of(mesh)
    rules = [e for e in entries.table_entries if e.table.startswith(CHANGING)]
    comparison.fill(entries)
    gone: set[int] = set()
    for port, segment, which in steps:
        comparison.process(port, segment.frame())
        comparison.wait(which * 3)
        if which < len(rules):
            rule = rules[which]
            if which in gone:
                comparison.insert(rule)
            else:
                comparison.delete(rule)
            gone ^= {which}
    comparison.compare_state()
