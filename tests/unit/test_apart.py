"""What needs root runs in several processes: a file's tests in one of them, the longest files first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import apart

pytestmark = pytest.mark.slow  # runs pytest in processes of its own

ROOT = Path(__file__).parents[2]
FILES = 6
CASES = """
import os
import time
from pathlib import Path

import pytest

@pytest.fixture(scope="module")
def started():
    with Path("started").open("a") as file:
        file.write("FILE\\n")

@pytest.mark.parametrize("number", range(4))
def test_one(started, number):
    time.sleep(0.05)
"""


def options() -> list[str]:
    """With which `make test` distributes them."""
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "-p tests.apart" in line)
    given = line.partition("-p tests.apart")[2].partition(" -m ")[0]
    return ["-p", "tests.apart", *given.split()]


def test_what_a_file_starts_is_started_once(tmp_path: Path) -> None:
    for number in range(FILES):
        (tmp_path / f"test_{number}.py").write_text(CASES.replace("FILE", str(number)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    run = subprocess.run(
        [*command, *options(), "."],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_ADDOPTS": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert sorted((tmp_path / "started").read_text().split()) == [str(number) for number in range(FILES)]


def test_the_longest_files_are_there() -> None:
    assert [name for name in apart.LONGEST_FIRST if not (ROOT / name).is_file()] == []
    assert len(set(apart.LONGEST_FIRST)) == len(apart.LONGEST_FIRST)
