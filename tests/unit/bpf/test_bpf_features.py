"""The probes find what is there, and say why when it is not."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace

import pytest

from runtime.bpf.assembly import leave, load_instructions, set_register
from runtime.bpf.constants import ProgramType
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.features import PROBES, Absent, Probe, kernel_version, probe, probe_all

NEEDED = ("libbpf", "bpf right", "bpffs", "tc programs", "xdp programs", "syscall programs", "lpm trie")


@pytest.mark.root
def test_all_that_the_device_needs_is_here() -> None:
    found = {feature.name: feature for feature in probe_all()}
    assert [name for name in NEEDED if not found[name].present] == []
    assert all(feature.detail for feature in found.values())


@pytest.mark.root
def test_without_rights_every_probe_still_answers() -> None:
    code = (
        "import os\n"
        "from runtime.bpf.features import probe_all\n"
        "os.seteuid(65534)\n"
        "for f in probe_all(): print(f.name, f.present, f.detail, sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = dict(line.split("|", 1) for line in done.stdout.splitlines())
    assert lines["bpf right"] == "False|create map probe: Operation not permitted (EPERM)"
    assert lines["tc programs"].startswith("False|load probe_tc: Operation not permitted")
    assert list(lines) == [p.name for p in PROBES]


@pytest.mark.root
def test_a_refused_program_of_instructions_tells_why() -> None:
    with pytest.raises(KernelRefusal, match=r"load bad \(R0 !read_ok\): ") as caught:
        load_instructions(ProgramType.XDP, leave(), "bad")
    assert caught.value.errno == errno.EACCES
    with load_instructions(ProgramType.XDP, set_register(0, 1) + leave(), "good") as program:
        assert (program.name, program.type) == ("good", ProgramType.XDP)


@pytest.mark.root
def test_one_probe_by_name() -> None:
    assert probe("kernel") == next(p for p in PROBES if p.name == "kernel").run()
    with pytest.raises(KeyError):
        probe("nothing")


@pytest.mark.parametrize("problem", [Absent("no such thing"), KernelRefusal(1, "try it"), FileNotFoundError(2, "gone")])
def test_refusals_become_details(problem: Exception) -> None:
    def attempt() -> str:
        raise problem

    tried = Probe(name="x", disables="y", attempt=attempt)
    assert not tried.run().present
    assert tried.run().detail == str(problem)
    assert replace(tried, attempt=lambda: "seen").run().detail == "seen"


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-18-amd64", (6, 1)), ("5.15.0", (5, 15)), ("6.18.44-fc", (6, 18)), ("next", (0, 0))],
)
def test_kernel_versions(release: str, version: tuple[int, int]) -> None:
    assert kernel_version(release) == version
