"""The P4 tools that are not installed with Turnout: where they are, and what is skipped without them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

P4C, P4TEST, BMV2 = "TURNOUT_P4C", "TURNOUT_P4TEST", "TURNOUT_BMV2"
_TOOLS = {P4C: "p4c-bm2-ss", P4TEST: "p4test", BMV2: "simple_switch_grpc"}


def tool(variable: str) -> str:
    """The path that the environment variable gives; skips the test when it gives none."""
    path = os.environ.get(variable, "")
    if not path:
        pytest.skip(f"not installable: {_TOOLS[variable]}; {variable} may name it")
    return path


def compiled(command: Sequence[str | Path]) -> str:
    """Run a compiler; returns its warnings, and fails with its words."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr
