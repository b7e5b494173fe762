"""The examples whose policy lines stand in printed programs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from compiler.entries.desired import compile_entries
from compiler.policy.loading import load
from compiler.printers.p4.program import Provenance
from compiler.printers.p4.provenance import provenance

ROOT: Final = Path(__file__).resolve().parents[3]
EXAMPLES: Final = ("ipv6", "kubernetes", "shop", "single-node", "storage", "weighted")
PRINTED: Final = "shop"
"""The one whose programs are in tests/golden as a whole: others differ in these lines alone."""


def example_provenance(example: str) -> Provenance:
    """The policy lines behind the entries of the example's first device; to be called in `ROOT`."""
    policies = load([Path("examples") / f"{example}.yaml"]).policies
    return provenance(compile_entries(policies, policies.devices[0]).entries.table_entries)
