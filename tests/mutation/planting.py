"""A plugin of pytest that runs tests over an interpreter with a fault, which a variable names.

In a process of its own, since a session of pytest leaves traces that the next would take for the mutant's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.mutation.code_faults import MODULES, applied, code_mutants
from tests.mutation.mutant import CodeMutant

_VARIABLE = "TURNOUT_MUTANT"
UNIT_TESTS = ("tests/unit/ir", "tests/unit/pipeline", "tests/property/ir")
LONGEST_S = 300
_planted = ExitStack()


def pytest_sessionstart(session: pytest.Session) -> None:
    name = os.environ[_VARIABLE]
    _planted.enter_context(applied(next(m for module in MODULES for m in code_mutants(module) if m.name == name)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    _planted.close()


def failing_unit_test(mutant: CodeMutant) -> str | None:
    """The first unit test that the mutant fails."""
    options = ["-x", "-q", "-rfE", "-p", "tests.mutation.planting", "-p", "no:cacheprovider", "-o", "timeout=0"]
    command = [sys.executable, "-m", "pytest", *options, *UNIT_TESTS]
    environment = {**os.environ, _VARIABLE: mutant.name}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        return "a unit test that does not end"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
    assert failed is not None, done.stdout + done.stderr
    return failed.group(1)
