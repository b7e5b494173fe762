"""The printed programs and the P4Info for each example, compared with tests/golden/<example>/.

TURNOUT_REFRESH=1 writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from google.protobuf import text_format

from compiler.entries.desired import compile_entries
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable_pipeline
from compiler.policy.loading import load
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.program import Provenance
from compiler.printers.p4.provenance import provenance
from compiler.printers.p4info import p4info
from compiler.printers.v1model_p4info import v1model_p4info

ROOT = Path(__file__).resolve().parents[4]
EXAMPLES = ("ipv6", "kubernetes", "shop", "single-node", "storage", "weighted")


def example_provenance(example: str) -> Provenance:
    """The policy lines behind the entries of the example's first device."""
    path = Path("examples") / f"{example}.yaml"
    policies = load([path]).policies
    return provenance(compile_entries(policies, policies.devices[0]).entries.table_entries)


def printed(example: str) -> dict[str, str]:
    """File name -> content."""
    lines = example_provenance(example)
    return {
        "pipeline.v1model.p4": print_v1model(portable_pipeline(), lines),
        "pipeline.pna.p4": print_pna(offload_pipeline(), lines),
        "pipeline.p4info.txtpb": text_format.MessageToString(p4info(pipeline())),
        "pipeline.v1model.p4info.txtpb": text_format.MessageToString(v1model_p4info(portable_pipeline())),
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_prints_what_the_goldens_hold(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    folder = ROOT / "tests" / "golden" / example
    for name, text in printed(example).items():
        if os.environ.get("TURNOUT_REFRESH") == "1":
            assert "CI" not in os.environ, "golden files are refreshed by people, not by CI"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        assert text == (folder / name).read_text(), f"{name}: TURNOUT_REFRESH=1 writes the goldens anew"


def test_comment_of_a_table_names_policy_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = print_v1model(portable_pipeline(), example_provenance("shop"))
    above = text[: text.index('@id(0x02000013) @name(".service_ipv4")')].splitlines()[-2:]
    assert all(line.strip().startswith("// examples/shop.yaml:") or line.strip() == "" for line in above)
