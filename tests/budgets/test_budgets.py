"""What the programs cost on this kernel, against tests/golden/budgets; TURNOUT_REFRESH=1 writes it anew.

tests/guest runs this on Debian 12's kernel as well. docs/budgets.md explains the table.
"""

from __future__ import annotations

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.printing import print_c
from runtime.bpf.chains import Hook
from runtime.bpf.toolchain import find_compiler
from runtime.build import compile_source
from tests.budgets.golden import hold
from tests.budgets.measuring import measure

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_costs_are_what_the_golden_holds() -> None:
    source = print_c(pipeline())
    objects = {hook: compile_source(source, hook) for hook in Hook}
    hold(measure(objects, find_compiler().version))
