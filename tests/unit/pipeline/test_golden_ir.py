"""The pipeline in its text form: a change of what packets meet must show, and what is printed reads back."""

from __future__ import annotations

from compiler.ir.text import from_text, to_text
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.offload import offload_pipeline
from tests.goldens import GOLDEN, held


def test_the_pipeline() -> None:
    assert to_text(pipeline()) == held(GOLDEN / "pipeline.ir", to_text(pipeline()))
    assert from_text((GOLDEN / "pipeline.ir").read_text()) == pipeline()


def test_the_pipeline_for_hardware_that_learns() -> None:
    assert to_text(offload_pipeline()) == held(GOLDEN / "offload.ir", to_text(offload_pipeline()))
    assert from_text((GOLDEN / "offload.ir").read_text()) == offload_pipeline()
