"""Debian 12's kernel (6.1), in a guest: programs load, do what the interpreter does, can be put on; volumes are read.

One boot runs tests of other folders with pytest, so what they ask is asked of both kernels; here each is a test that
reports its cases. Objects are compiled before, on this machine.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import pytest

from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.verification.kernel_level import compiled
from runtime.verification.levels import small
from tests.budgets.golden import GOLDENS
from tests.goldens import is_refreshing
from tests.guest.guest import missing, run

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(2000)]
BOOT_AND_TESTS_S = 1900
PYTEST_OPTIONS = ("-p", "no:cacheprovider", "--timeout=0")
IN_GUEST = (
    "tests/budgets/test_budgets.py",
    "tests/differential/test_pipeline.py::test_every_vector",
    "tests/differential/test_deletions.py",
    "tests/unit/bpf/test_bpf_attach.py::test_a_ping_is_dropped_and_passed[None-ingress]",
    "tests/unit/bpf/test_bpf_attach.py::test_swapping_loses_no_ping[clsact]",
    "tests/images/test_compression.py::test_every_size_and_kind_is_read_as_it_was",
)
WITH_LOOP = ("sh", "-c", 'modprobe loop && exec "$@"', "sh")
"""Nothing in the guest loads modules that a missing device would ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A test that ran in the guest; `trouble` is empty when it passed."""

    module: str
    name: str
    trouble: str


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    if missing():
        pytest.skip(missing())
    for source in (pipeline(), small(pipeline(), 64)):
        for hook in Hook:
            compiled(source, hook)
    share = tmp_path_factory.mktemp("guest")
    results = share / "results.xml"
    ran = run(
        (*WITH_LOOP, sys.executable, "-m", "pytest", *PYTEST_OPTIONS, f"--junitxml={results}", *IN_GUEST),
        writable=(share, GOLDENS) if is_refreshing() else (share,),
        timeout_s=BOOT_AND_TESTS_S,
        environment={"TURNOUT_REFRESH": "1"} if is_refreshing() else {},
    )
    if not results.is_file():
        pytest.fail(f"the guest said nothing:\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}")
    return read_results(results.read_text())


def read_results(text: str) -> list[Case]:
    """Of a JUnit file."""
    return [
        Case(
            module=case.get("classname", ""),
            name=case.get("name", ""),
            trouble="\n".join(f"{part.tag}: {part.get('message')}\n{part.text}" for part in case),
        )
        for case in ElementTree.fromstring(text).iter("testcase")
    ]


@pytest.mark.parametrize("selected", IN_GUEST)
def test_passes_on_debians_kernel(cases: list[Case], selected: str) -> None:
    path, _, name = selected.partition("::")
    module = path.removesuffix(".py").replace("/", ".")
    found = [case for case in cases if case.module == module and case.name.startswith(name)]
    assert found, [(case.module, case.name) for case in cases]
    assert [case for case in found if case.trouble] == []
