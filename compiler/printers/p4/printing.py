"""P4_16 programs of a pipeline: views through the templates in p4/."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compiler.ir.nodes import Pipeline
from compiler.printers.p4 import pna, v1model
from compiler.printers.p4.program import Provenance
from compiler.printers.p4.view import ProgramView

TEMPLATES = Path(__file__).resolve().parents[3] / "p4"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _render(template: str, view: ProgramView) -> str:
    return _environment().get_template(template).render(program=view)


def print_v1model(pipeline: Pipeline, provenance: Provenance | None = None) -> str:
    """The whole program for v1model. `provenance` has the policy lines behind each table's entries, by table name.

    Raises `UnprintableError` for what v1model cannot say.
    """
    return _render("v1model.p4.j2", v1model.program(pipeline, provenance).view())


def print_pna(pipeline: Pipeline, provenance: Provenance | None = None) -> str:
    """The whole program for PNA; learning must stand where `compiler.pipeline.offload.offload_pipeline` puts it.

    Raises `UnprintableError` for what PNA cannot say.
    """
    return _render("pna.p4.j2", pna.program(pipeline, provenance).view())
