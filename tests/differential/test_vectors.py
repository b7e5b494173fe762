"""Every vector that was kept, on tc and XDP: what `make soak` once found, and what was written by hand."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.comparison import run
from runtime.verification.levels import small
from runtime.verification.restarting import RestartingLevel
from runtime.verification.vector_text import read_vector
from tests.differential.soak import VECTORS

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.yaml")), ids=lambda path: path.stem)
def test_kept_vector(path: Path) -> None:
    vector = read_vector(path, Names(pipeline()))
    source = small(pipeline(), vector.slots) if vector.slots else pipeline()
    with ExitStack() as opened:
        opened.enter_context(pinned_to_cpu())
        run(vector, [opened.enter_context(RestartingLevel(source, hook)) for hook in Hook])
