"""The P4 tools that are not installed with Turnout: where they are, and what is skipped without them."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from compiler.pipeline.portable import portable_pipeline
from runtime.verification.bmv2_switch import BMV2, P4C, MissingTool, Switch, find_tool, switch


def tool(variable: str) -> str:
    """The path of a tool that an environment variable or PATH names; skips the test when neither does."""
    try:
        return find_tool(variable)
    except MissingTool as missing:
        pytest.skip(str(missing))


@contextmanager
def portable_switch(folder: Path, ports: Sequence[int]) -> Generator[Switch]:
    """A switch with the printed program and no entries; skips the test without the tools."""
    for variable in (P4C, BMV2):
        tool(variable)
    with switch(portable_pipeline(), folder, ports) as running:
        yield running


def compiled(command: Sequence[str | Path]) -> str:
    """Run a compiler; returns its warnings, and fails with its words."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr
