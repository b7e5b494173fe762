"""In CI a skip fails the run, except for what a kernel or a registry cannot give."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each runs pytest in a process of its own

CONFTEST = Path(__file__).parents[1] / "conftest.py"
CASES = """
import pytest

def test_runs(): pass
def test_no_tool(): pytest.skip("docker is not there")
def test_old_kernel(): pytest.skip("kernel lacks netkit")
def test_registry(): pytest.skip("not installable: bmv2 has no package")

@pytest.mark.skip(reason="later")
def test_later(): pass

@pytest.mark.xfail(strict=True)
def test_expected(): assert False
"""
MODULE = "import pytest\npytest.importorskip('no_such_module')\n"


def outcome(folder: Path, *, ci: str) -> tuple[int, str]:
    """Exit code and last line of a run of pytest over `folder`."""
    shutil.copy(CONFTEST, folder)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "."],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout


@pytest.mark.parametrize(
    ("ci", "code", "summary"), [("true", 1, "1 failed, 1 passed, 2 skipped, 1 xfailed, 1 error"), ("", 0, "4 skipped")]
)
def test_skip_in_a_test(tmp_path: Path, ci: str, code: int, summary: str) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    returncode, stdout = outcome(tmp_path, ci=ci)
    assert summary in stdout
    assert returncode == code


@pytest.mark.parametrize(("ci", "code"), [("true", 2), ("", 5)])
def test_skip_of_a_whole_module(tmp_path: Path, ci: str, code: int) -> None:
    (tmp_path / "test_module.py").write_text(MODULE)
    returncode, stdout = outcome(tmp_path, ci=ci)
    assert returncode == code, stdout
    assert ("which CI does not allow" in stdout) is (ci == "true")
