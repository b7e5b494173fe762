"""`turnout doctor`: what this machine can do, what a missing thing disables, and what to install."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.console import FAILED, Output, print_rows, say
from runtime.doctor.examination import examine
from runtime.doctor.findings import Finding, is_fit

COLUMNS = ("subject", "name", "state", "detail")
ALL_COLUMNS = (*COLUMNS, "needed", "disables", "remedy")


def doctor(
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TABLE,
) -> None:
    """Try everything that Turnout needs of this machine. Exit code 1 when something needed is missing."""
    findings = examine()
    columns = COLUMNS if output is Output.TABLE else ALL_COLUMNS
    print_rows(columns, [_row(finding) for finding in findings], output)
    for finding in findings:
        if not finding.present:
            say(f"{finding.name}: without it: {finding.disables}; remedy: {finding.remedy}")
    if not is_fit(findings):
        missing = ", ".join(finding.name for finding in findings if finding.state == "missing")
        say(f"turnout: error: needed and missing: {missing}")
        raise typer.Exit(FAILED)


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "subject": finding.subject.value,
        "name": finding.name,
        "state": finding.state,
        "detail": finding.detail,
        "needed": finding.needed,
        "disables": finding.disables,
        "remedy": finding.remedy,
    }
