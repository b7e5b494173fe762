"""The command `turnout lab` with real devices (the model target), as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.lab import netns
from tests.unit.lab.policies import shop

pytestmark = [pytest.mark.root, pytest.mark.slow]
TURNOUT = str(Path(sys.executable).with_name("turnout"))
NAME = f"c{os.getpid()}"


def lab(verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [TURNOUT, "lab", verb, "--name", NAME, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The file of a lab that is up."""
    folder = tmp_path_factory.mktemp("lab")
    path = folder / "shop.yaml"
    path.write_text(
        shop(str(folder)).replace("spec: {node: ", "spec: {profile: model, node: ").replace(", profile: ebpf", "")
    )
    built = lab("up", str(path))
    try:
        assert built.returncode == 0, built.stderr
        assert built.stdout == ""
        assert built.stderr.endswith(f"lab '{NAME}' built: 2 nodes, 2 devices, 4 workloads\n")
        yield str(path)
    finally:
        assert lab("down").returncode == 0
        assert not list(netns.FOLDER.glob(f"tn-{NAME}.*"))
        assert [entry.name for entry in folder.iterdir()] == ["shop.yaml"]


def test_up_again(policy: str) -> None:
    again = lab("up", policy)
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == f"lab '{NAME}' unchanged: 2 nodes, 2 devices, 4 workloads\n"


def test_status(policy: str) -> None:
    shown = lab("status", "--output", "json")
    assert shown.returncode == 0
    rows = {row["name"]: row for row in json.loads(shown.stdout)}
    assert rows["default/client"] == {
        "kind": "workload",
        "name": "default/client",
        "namespace": f"tn-{NAME}.workload.default.client",
        "exists": True,
        "pid": None,
        "alive": None,
        "addresses": ["10.1.0.2/16", "fd01::2/64"],
    }
    assert rows["dpu-a"]["alive"] is True


def test_exec_passes_exit_code_and_streams(policy: str) -> None:
    shown = lab("exec", "web-1", "--", "sh", "-c", "cat; echo problem >&2; exit 42")
    assert (shown.returncode, shown.stdout, shown.stderr) == (42, "", "problem\n")
    answer = lab("exec", "web-1", "curl", "-s", "http://10.1.0.3:8080/")
    assert answer.stdout == "web-1 10.1.0.3\n"
    assert lab("exec", "node-a", "--", "no-such-program").returncode == 127


def test_exec_of_nobody(policy: str) -> None:
    refused = lab("exec", "nobody", "--", "true")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"turnout: error: lab '{NAME}' has no 'nobody'\n  hint: it has: default/blue, ")


def test_a_device_serves_p4runtime(policy: str) -> None:
    socket = Path(policy).parent / "dpu-a.sock"
    assert socket.is_socket()
    assert lab("exec", "device:dpu-a", "--", "ip", "-br", "link", "show", "p0").returncode == 0


def test_broken_policies_change_nothing(policy: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(Path(policy).read_text().replace("vni: 100", "vni: none"))
    refused = lab("up", str(broken))
    assert refused.returncode == 1
    assert "broken.yaml:" in refused.stderr
    assert lab("status").returncode == 0


def test_a_lab_that_is_not_up() -> None:
    run = subprocess.run([TURNOUT, "lab", "status", "--name", f"{NAME}-x"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == f"turnout: error: lab '{NAME}-x' is not up\n  hint: `turnout lab up POLICY...` builds it\n"


def test_a_name_that_no_lab_may_have() -> None:
    run = subprocess.run([TURNOUT, "lab", "status", "--name", "A_"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "cannot be the name of a lab" in run.stderr
