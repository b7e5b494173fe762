"""A pytest plugin: tests of one's own policies, on the interpreter and the programs in the kernel, and in the lab.

Installed with Turnout (entry point `pytest11`). Runs that do not use a fixture of it import nothing more than this
module, and nothing of it happens to their collection. docs/verify.md shows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runtime.verification.levels import Level
    from runtime.verification.proof.bench import Bench
    from runtime.verification.proof.lab import Lab

MARKER = "turnout(*policies, device=None): policy files of a test; only that device runs programs in the kernel"
SLOTS = 1024
"""Of each flow table: enough for a test, and quickly compared."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("turnout_policies", "policy files of tests without the marker `turnout`", type="paths", default=[])


def _policies(request: pytest.FixtureRequest) -> list[Path]:
    """Those of the nearest marker, relative to the test's file; else those of the configuration."""
    marker = request.node.get_closest_marker("turnout")
    if marker is not None and marker.args:
        return [request.path.parent / str(path) for path in marker.args]
    found: list[Path] = request.config.getini("turnout_policies")
    if not found:
        raise pytest.UsageError("which policies? Mark the test: @pytest.mark.turnout(FILE), or set turnout_policies")
    return found


@pytest.fixture(scope="session")
def turnout_programs() -> Generator[Callable[[str], Sequence[Level]]]:
    """The programs of a device by its name, loaded once for all tests; used by `turnout_device`."""
    from runtime.verification.proof.programs import Programs

    programs = Programs(SLOTS)
    yield programs.of
    programs.close()


@pytest.fixture
def turnout_device(
    request: pytest.FixtureRequest, turnout_programs: Callable[[str], Sequence[Level]]
) -> Generator[Bench]:
    """The devices of the policies, new, on the interpreter and, as root, in the kernel: `send`, then `expect`."""
    from runtime.verification.proof.programs import new_bench

    marker = request.node.get_closest_marker("turnout")
    only = marker.kwargs.get("device") if marker is not None else None
    bench = new_bench(_policies(request), turnout_programs, only=only, slots=SLOTS)
    yield bench
    bench.compare_state()


@pytest.fixture(scope="module")
def turnout_lab(request: pytest.FixtureRequest) -> Generator[Lab]:
    """The lab of the module's policies, up and applied; needs root."""
    from runtime.verification.proof.lab import Lab

    if os.geteuid() != 0:
        pytest.skip("needs root (namespaces, BPF)")
    with Lab.up(_policies(request), f"pytest{os.getpid()}") as lab:
        yield lab
