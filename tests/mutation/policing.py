"""NetworkPolicies as a check of mutants: the same openings each time, while rules of each table go and come back."""

from __future__ import annotations

from itertools import product

from compiler.ir.entries import TableEntry
from compiler.pipeline import policing
from runtime.verification.comparison import Comparison
from runtime.verification.isolations import isolated
from runtime.verification.levels import Level
from runtime.verification.meshes import NETWORKS, VIP_HOST, Segment, port_of
from tests.differential.redirecting import entries_of

MESH = isolated((
    (
        "red",
        {
            "podSelector": {"matchLabels": {"host": "11"}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"host": "10"}}}], "ports": [{"port": 80}]},
                {"from": [{"ipBlock": {"cidr": "fd00:1::/64", "except": ["fd00:1::c/128"]}}], "ports": [{"port": 81}]},
            ],
        },
    ),
    (
        "red",
        {
            "podSelector": {"matchLabels": {"host": "10"}},
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [{"ipBlock": {"cidr": "10.1.0.0/16", "except": ["10.1.0.12/32"]}}], "ports": [{"port": 80}]},
                {"to": [{"podSelector": {"matchLabels": {"host": "12"}}}], "ports": [{"port": 8080}]},
                {"to": [{"podSelector": {"matchLabels": {"host": "11"}}}]},
            ],
        },
    ),
    ("blue", {"podSelector": {"matchLabels": {"host": "10"}}, "policyTypes": ["Ingress", "Egress"]}),
))  # fmt: skip
FIRST_PORT = 1025


def policed(level: Level) -> None:
    """Every table is asked at each side of its map: behind each change the other one is in use."""
    comparison = Comparison([level])
    entries = entries_of(MESH)
    comparison.fill(entries)
    _open(comparison, FIRST_PORT)
    for number, rule in enumerate(_one_of_each(entries.table_entries), 1):
        comparison.delete(rule)
        _open(comparison, FIRST_PORT + 2 * number)
        comparison.insert(rule)
        _open(comparison, FIRST_PORT + 2 * number + 1)
    comparison.compare_state()


def _one_of_each(entries: tuple[TableEntry, ...]) -> list[TableEntry]:
    found = {entry.table: entry for entry in entries if entry.table.startswith(policing.STEMS)}
    return list(found.values())


def _open(comparison: Comparison, src_port: int) -> None:
    for network, version, src, dst, dst_port in product(
        NETWORKS, (4, 6), (10, 11), (10, 11, 12, VIP_HOST), (80, 81, 8080)
    ):
        segment = Segment(version=version, src=src, dst=dst, src_port=src_port, dst_port=dst_port, flags="S")
        comparison.process(port_of(network, src), segment.frame())
        if dst_port == 80:
            comparison.process(port_of(network, src), segment.ping())
