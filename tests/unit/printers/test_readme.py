"""What README shows as printed is what is printed."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "tests" / "golden" / "shop"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_service_table_as_p4() -> None:
    (shown,) = blocks("p4")
    assert textwrap.indent(shown, "    ") in (SHOP / "pipeline.v1model.p4").read_text()


def test_the_service_table_as_c() -> None:
    (shown,) = blocks("c")
    assert shown in (SHOP / "pipeline.bpf.c").read_text()
