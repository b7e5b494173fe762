"""`turnout agent`: what each of its commands imports stays in memory on every node."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.main import app

SELDOM = ("compiler.policy.loading", "cryptography", "kubernetes", "prometheus_client", "urllib3", "yaml")
"""What fetches layers again, reads policies, speaks to a cluster, serves metrics."""


def _imported(module: str) -> set[str]:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(("module", "expected"), [("cli.agent", ("grpc", *SELDOM)), ("cli.storageagent", SELDOM)])
def test_what_is_seldom_needed_is_not_imported(module: str, expected: tuple[str, ...]) -> None:
    assert not set(expected) & _imported(module)


def test_commands_are_listed_and_have_help() -> None:
    listed = CliRunner().invoke(app, ["agent", "--help"])
    assert listed.exit_code == 0
    for command in ("image-adopter", "image-controller", "storage"):
        assert f"  {command}" in listed.output
        shown = CliRunner().invoke(app, ["agent", command, "--help"])
        assert shown.exit_code == 0
        assert f"agent {command} [OPTIONS]\n" in shown.output
