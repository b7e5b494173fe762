"""Is a pipeline one that every consumer can run or print? Collects what is wrong, node by node, with codes.

Four passes: names and ids, tables and stores, the parser, then expressions and statements; where all names resolve, a
last one follows the paths of packets. docs/ir.md explains every code.
"""

from __future__ import annotations

from compiler.diagnostic import Diagnostic, Report, has_errors
from compiler.ir.nodes import Pipeline
from compiler.ir.verifier.bodies import check_bodies
from compiler.ir.verifier.declarations import check_declarations
from compiler.ir.verifier.parsing import check_parser
from compiler.ir.verifier.paths import check_paths
from compiler.ir.verifier.tables import check_tables


class PipelineError(Exception):
    """A pipeline that the verifier refuses; `diagnostics` says why, sorted."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(str(diagnostic) for diagnostic in diagnostics))
        self.diagnostics = diagnostics


def verify(pipeline: Pipeline) -> tuple[Diagnostic, ...]:
    """What is wrong, sorted; empty for a good pipeline. A pass that needs another's result waits for a clean one."""
    report = Report()
    for check in (check_declarations, check_tables, check_parser, check_bodies, check_paths):
        check(pipeline, report)
        if has_errors(report.sorted()) and check is not check_tables:
            break
    return report.sorted()


def check(pipeline: Pipeline) -> Pipeline:
    """The pipeline itself. Raises `PipelineError`."""
    found = verify(pipeline)
    if has_errors(found):
        raise PipelineError(found)
    return pipeline


__all__ = ["PipelineError", "check", "verify"]
