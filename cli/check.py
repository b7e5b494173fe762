"""`turnout check`: read policies, name every mistake, change nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from cli.console import Output
from compiler.diagnostic import diagnostic_to_json, sorted_diagnostics, summary
from compiler.entries.desired import compile_entries
from compiler.policy.loading import Loaded, load


def check(
    policies: Annotated[
        list[Path],
        typer.Argument(help="Policy files, or directories with *.yaml, *.yml and *.json.", show_default=False),
    ],
    output: Annotated[Output, typer.Option("--output", "-o", help="Form of the result on stdout.")] = (Output.TABLE),
) -> None:
    """Check policies. Exit code 0: fine, warnings included; 1: refused."""
    loaded = _with_entries(load(policies))
    match output:
        case Output.TABLE:
            _print_table(loaded)
        case Output.JSON:
            sys.stdout.write(json.dumps(check_to_plain(loaded), indent=2, ensure_ascii=False) + "\n")
        case Output.YAML:
            yaml.safe_dump(check_to_plain(loaded), sys.stdout, sort_keys=False, allow_unicode=True)
    if loaded.is_refused:
        raise typer.Exit(1)


def _with_entries(loaded: Loaded) -> Loaded:
    """The same, with what only compiling for each device shows."""
    if loaded.is_refused:
        return loaded
    found = (d for device in loaded.policies.devices for d in compile_entries(loaded.policies, device).diagnostics)
    return replace(loaded, diagnostics=sorted_diagnostics((*loaded.diagnostics, *found)))


def object_counts(loaded: Loaded) -> dict[str, int]:
    policies = loaded.policies
    return {
        "networks": len(policies.networks),
        "nodes": len(policies.nodes),
        "devices": len(policies.devices),
        "workloads": len(policies.workloads),
        "services": len(policies.services),
        "conversions": len(policies.conversions),
    }


def check_to_plain(loaded: Loaded) -> dict[str, Any]:
    """The result for programs: `refused`, what was found, and the diagnostics in order of position."""
    return {
        "refused": loaded.is_refused,
        "objects": object_counts(loaded),
        "diagnostics": [diagnostic_to_json(diagnostic) for diagnostic in loaded.diagnostics],
    }


def _print_table(loaded: Loaded) -> None:
    if loaded.diagnostics:
        sys.stderr.write(loaded.render() + "\n\n")
    found = summary(loaded.diagnostics)
    if loaded.is_refused:
        sys.stderr.write(f"refused: {found}\n")
        return
    counts = ", ".join(f"{count} {name}" for name, count in object_counts(loaded).items() if count)
    sys.stdout.write(f"fine: {counts or 'nothing to program'}" + (f"; {found}" if found else "") + "\n")
