"""`turnout show policies`: who has a policy, and what each set of ports allows whom."""

from __future__ import annotations

from pathlib import Path

from compiler.entries.desired import compile_entries
from compiler.policy.loading import load_text
from runtime.client.policyrows import rows

NETPOL = (Path(__file__).parents[3] / "examples" / "netpol.yaml").read_text()


def test_rows_of_the_example() -> None:
    policies = load_text(NETPOL, "netpol.yaml").policies
    entries = compile_entries(policies, policies.devices[1]).entries
    shown = [
        (row.workloads, row.direction, row.policy, row.peers, row.protocol, row.ports, row.connections)
        for row in rows(entries, lambda table: {})
        if "10.1.0" in row.workloads[0]
    ]
    assert sorted(shown, key=str) == sorted(
        [
            (("10.1.0.12",), "egress", "shop/web", ("10.1.0.20/32",), 6, "5432", 0),
            (("10.1.0.12",), "ingress", "shop/web", ("10.1.0.10/32", "10.1.0.30/32"), 6, "8080", 0),
            (
                ("10.1.0.20",),
                "ingress",
                "shop/database",
                ("10.1.0.0/24", "10.1.0.11/32", "10.1.0.12/32"),
                6,
                "5432-5439",
                0,
            ),
        ],
        key=str,
    )


def test_a_policy_that_allows_nothing_has_a_row() -> None:
    policies = load_text(NETPOL, "netpol.yaml").policies
    entries = compile_entries(policies, policies.devices[0]).entries
    (row,) = [r for r in rows(entries, lambda table: {}) if r.workloads == ("10.1.0.10",)]
    assert (row.direction, row.policy, row.peers, row.protocol) == ("ingress", "shop/deny-all", (), None)
