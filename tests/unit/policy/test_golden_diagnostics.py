"""Every mistake that a policy file can hold, and exactly what is said about it.

Each folder of tests/golden/diagnostics is named after a code (or a mistake) and holds policy.yaml and expected.txt.
TURNOUT_REFRESH=1 writes the expected files anew; CI refuses it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.diagnostic import Code
from compiler.policy import codes
from compiler.policy.loading import load_text
from tests.goldens import held

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "golden" / "diagnostics"
ALL_CODES = sorted(value for value in vars(codes).values() if isinstance(value, Code))
ELSEWHERE = {
    codes.UNREADABLE,
    codes.NOT_UTF8,
    codes.CONTROL_CHARACTER,
    codes.TOO_LARGE,
    codes.TOO_DEEP,
    codes.TOO_MANY_NETWORKS,
    codes.NO_POLICIES,
}
"""Codes that no readable small text file can cause; test_sourcefiles.py and test_document.py do."""


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_diagnostics_are_as_expected(case: str) -> None:
    text = (CASES / case / "policy.yaml").read_text()
    loaded = load_text(text, path="policy.yaml")
    found = loaded.render() + "\n"
    assert found == held(CASES / case / "expected.txt", found)


@pytest.mark.parametrize("code", ALL_CODES, ids=lambda code: code.id)
def test_each_code_is_documented_and_tested(code: Code) -> None:
    assert re.fullmatch(r"[EWN]\d{4}", code.id)
    documented = (ROOT / "docs" / "diagnostics.md").read_text()
    assert f"| {code.id} | {code.name} |" in documented
    if code not in ELSEWHERE:
        expected = (CASES / code.name / "expected.txt").read_text()
        assert f"{code.severity}[{code.id}]" in expected


def test_codes_and_names_are_unique() -> None:
    assert len({code.id for code in ALL_CODES}) == len({code.name for code in ALL_CODES}) == len(ALL_CODES)
