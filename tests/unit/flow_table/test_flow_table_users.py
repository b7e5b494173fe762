"""Every C program in the tree that includes the flow table still compiles: what it calls is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.printers.ebpf.printing import INCLUDE
from runtime.bpf.toolchain import compile_c

ROOT = Path(__file__).resolve().parents[3]
USERS = sorted(
    source
    for folder in ("bench", "tests/unit")
    for source in (ROOT / folder).rglob("*.bpf.c")
    if '#include "turnout/flow_table.h"' in source.read_text()
)


@pytest.mark.parametrize("source", USERS, ids=lambda source: source.name)
def test_it_compiles(source: Path) -> None:
    sizes = {"SLOTS": "262144", "KEYS": "4096"}
    assert compile_c(source.read_text(), name=source.name, include_dirs=[INCLUDE], defines=sizes)


def test_the_programs_are_found() -> None:
    assert {"tiny.bpf.c", "wide.bpf.c", "flow_table.bpf.c"} <= {source.name for source in USERS}
