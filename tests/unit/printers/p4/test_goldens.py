"""The printed programs and the P4Info, compared with tests/golden/shop/; of the other examples what is theirs alone.

TURNOUT_REFRESH=1 writes them anew.
"""

from __future__ import annotations

import re

import pytest
from google.protobuf import text_format

from compiler.pipeline.assembly import pipeline
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.program import Provenance
from compiler.printers.p4info import p4info
from compiler.printers.v1model_p4info import v1model_p4info
from tests.goldens import GOLDEN, held
from tests.unit.printers.examples import EXAMPLES, PRINTED, ROOT, example_provenance

POLICY_LINE = re.compile(r"examples/storage\.yaml:|// and \d+ more$")


def printed(lines: Provenance) -> dict[str, str]:
    """File name -> content."""
    return {
        "pipeline.v1model.p4": print_v1model(portable_pipeline(), lines),
        "pipeline.pna.p4": print_pna(offload_pipeline(), lines),
        "pipeline.p4info.txtpb": text_format.MessageToString(p4info(pipeline())),
        "pipeline.v1model.p4info.txtpb": text_format.MessageToString(v1model_p4info(portable_pipeline())),
    }


@pytest.fixture(autouse=True)
def _in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_prints_what_the_goldens_hold() -> None:
    for name, text in printed(example_provenance(PRINTED)).items():
        path = GOLDEN / PRINTED / name
        assert text == held(path, text), f"{name}: TURNOUT_REFRESH=1 writes the goldens anew"


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_table_has_the_policy_lines_of_its_entries(example: str) -> None:
    lines = example_provenance(example)
    text = "".join(f"{table}\n" + "".join(f"    {line}\n" for line in of) for table, of in sorted(lines.items()))
    assert text == held(GOLDEN / "provenance" / f"{example}.txt", text)


def test_programs_of_two_policies_differ_in_comments_alone() -> None:
    plain, of_policies = printed({}), printed(example_provenance("storage"))
    for name, text in of_policies.items():
        shown = [line for line in text.splitlines() if not POLICY_LINE.search(line)]
        assert shown == plain[name].splitlines()


def test_comment_of_a_table_names_policy_lines() -> None:
    text = print_v1model(portable_pipeline(), example_provenance(PRINTED))
    above = text[: text.index('@id(0x02000013) @name(".service_ipv4")')].splitlines()[-2:]
    assert all(line.strip().startswith("// examples/shop.yaml:") or line.strip() == "" for line in above)
