"""`turnout crds`: the kinds of policies as a Kubernetes API server takes them."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
import yaml

from cli.console import Output
from compiler.policy.crds import definitions


def crds(
    output: Annotated[Output, typer.Option("--output", "-o", help="yaml: one document each; json: a List.")] = (
        Output.YAML
    ),
) -> None:
    """Print CustomResourceDefinitions of all kinds of turnout.dev, for `kubectl apply --server-side -f -`."""
    found = definitions()
    match output:
        case Output.YAML:
            yaml.safe_dump_all(found, sys.stdout, sort_keys=False, allow_unicode=True, width=120, explicit_start=True)
        case Output.JSON:
            sys.stdout.write(json.dumps({"apiVersion": "v1", "kind": "List", "items": found}, indent=2) + "\n")
        case Output.TABLE:
            raise typer.BadParameter("definitions are no table; expected yaml or json", param_hint="--output")
