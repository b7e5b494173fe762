"""The pipeline in its text form: a change of what packets meet must show, and what is printed reads back."""

from __future__ import annotations

import os
from pathlib import Path

from compiler.ir.text import from_text, to_text
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.offload import offload_pipeline

GOLDEN = Path(__file__).parents[2] / "golden"


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("TURNOUT_REFRESH") == "1":
        assert "CI" not in os.environ, "golden files are refreshed by people, not by CI"
        path.write_text(text)
    assert text == path.read_text()


def test_the_pipeline() -> None:
    compare("pipeline.ir", to_text(pipeline()))
    assert from_text((GOLDEN / "pipeline.ir").read_text()) == pipeline()


def test_the_pipeline_for_hardware_that_learns() -> None:
    compare("offload.ir", to_text(offload_pipeline()))
    assert from_text((GOLDEN / "offload.ir").read_text()) == offload_pipeline()
