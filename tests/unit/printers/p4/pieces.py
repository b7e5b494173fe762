"""Pipelines with one control's body replaced, and statements printed alone."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Statement
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4 import pna, v1model


def with_body(control: str, *body: Statement, source: Pipeline | None = None) -> Pipeline:
    whole = source or portable_pipeline()
    assert any(c.name == control for c in whole.controls)
    return replace(whole, controls=tuple(replace(c, body=body) if c.name == control else c for c in whole.controls))


def printed(*body: Statement, profile: str = "v1model", control: str = "send_ipv4") -> str:
    """The lines of a body that takes the place of a control's."""
    changed = with_body(control, *body)
    program = v1model.program(changed) if profile == "v1model" else pna.program(changed)
    printer = program.statement_printer(program.expression_printer(program.ids.top.copy()))
    return "\n".join(printer.block(body))
