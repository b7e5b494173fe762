"""`turnout check`: what goes where, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.check import check

EXAMPLES = Path(__file__).parents[3] / "examples"
RUNNER = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(check)
    return app


def test_fine_policies(app: typer.Typer) -> None:
    result = RUNNER.invoke(app, [str(EXAMPLES / "shop.yaml")])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "fine: 2 networks, 2 nodes, 2 devices, 6 workloads, 2 services\n"


def test_refused_policies(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("apiVersion: turnout.dev/v1alpha1\nkind: Netwrok\n")
    result = RUNNER.invoke(app, [str(path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{path}:2:7: error[E0101]" in result.stderr
    assert result.stderr.endswith("refused: 1 error\n")


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_results_as_data(app: typer.Typer, tmp_path: Path, form: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("kind: Network\n")
    result = RUNNER.invoke(app, [str(path), "--output", form])
    data = json.loads(result.stdout) if form == "json" else yaml.safe_load(result.stdout)
    assert (result.exit_code, data["refused"]) == (1, True)
    assert data["objects"]["networks"] == 0
    (diagnostic,) = data["diagnostics"]
    assert diagnostic["code"] == "E0103"
    assert diagnostic["span"] == {"path": str(path), "line": 1, "column": 1, "endLine": 1, "endColumn": 5}
