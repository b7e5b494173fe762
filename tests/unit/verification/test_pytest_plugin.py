"""The pytest plugin: it costs nothing where it is not used, and a failed expectation tells the way of the packet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHOP = ROOT / "examples" / "shop.yaml"
LOADS = """
import sys
import runtime.verification.pytest_plugin
heavy = {"scapy", "hypothesis", "jinja2", "grpc", "pydantic", "compiler", "runtime.bpf", "cli"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def pytest_run(path: Path, *options: str) -> str:
    """The output of a run on the interpreter: a test for the plugin does not need the kernel."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options, str(path)]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=200)
    return done.stdout + done.stderr


def written(folder: Path, body: str) -> Path:
    path = folder / "test_own.py"
    head = f"import os, pytest\nos.geteuid = lambda: 1000\npytestmark = pytest.mark.turnout({str(SHOP)!r})\n"
    path.write_text(head + body)
    return path


def test_importing_it_imports_nothing_else() -> None:
    subprocess.run([sys.executable, "-c", LOADS], check=True, cwd=ROOT)


@pytest.mark.slow
def test_a_run_that_does_not_use_it_is_as_before(tmp_path: Path) -> None:
    path = tmp_path / "test_plain.py"
    path.write_text("def test_nothing():\n    pass\n")
    assert "1 passed" in pytest_run(path, "--strict-markers", "-W", "error")


@pytest.mark.slow
def test_an_expectation_that_holds(tmp_path: Path) -> None:
    body = """
def test_own(turnout_device):
    opening = turnout_device.send(from_="shop/client", to="10.96.0.10:80")
    opening.expect(delivered_to=("shop/web-1", "shop/web-2", "shop/web-3"))
    opening.reply().expect(delivered_to="shop/client", from_="10.96.0.10:80")
    turnout_device.send(from_="shop/client", to="10.96.0.10:81").expect(left_alone=True)
    turnout_device.send(from_="shop/client", to="shop/web-2:7", protocol="UDP").expect(to="10.1.0.12:7")
"""
    assert "1 passed" in pytest_run(written(tmp_path, body))


@pytest.mark.slow
def test_an_expectation_that_does_not_hold_tells_the_way(tmp_path: Path) -> None:
    body = """
def test_own(turnout_device):
    turnout_device.wait(seconds=1)
    turnout_device.send(from_="shop/client", to="10.96.0.10:80").expect(delivered_to="shop/web-9")
"""
    lines = [line.removeprefix("E").strip() for line in pytest_run(written(tmp_path, body)).splitlines()]
    start = next(n for n, line in enumerate(lines) if line == "AssertionError: expected: delivered to shop/web-9")
    told = lines[start:]
    assert told[1] == (
        "but: dpu-a: to shop/web-1 (port 17 of dpu-a) as TCP SYN 10.1.0.10:20001 (shop/client) > "
        "10.1.0.11:8080 (shop/web-1)"
    )
    hit = (
        "table service_ipv4 (network=1, address=10.96.0.10, protocol=6, port=80): hit, "
        "to_service_ipv4(service_id=2, hairpin=10.1.0.1, affinity_ms=0)  ["
    )
    assert any(line.startswith(hit) for line in told)
    story = told.index("what was done:")
    assert told[story + 1 : story + 3] == [
        "1. 1000 ms pass",
        "2. shop/client (port 16 of dpu-a) sends TCP SYN 10.1.0.10:20001 (shop/client) > "
        "10.96.0.10:80 (service shop/web:http)",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "told"),
    [
        ('from_="shop/nobody", to="10.96.0.10:80"', "ValueError: no workload 'shop/nobody' behind a port; there are: "),
        ('from_="shop/client", to="somewhere"', "ValueError: 'somewhere' is no address:port, "),
        ('from_="shop/client", to="shop/nothing:80"', "ValueError: no service or workload 'shop/nothing' has an "),
    ],
)
def test_wrong_words_are_explained(tmp_path: Path, call: str, told: str) -> None:
    assert told in pytest_run(written(tmp_path, f"def test_own(turnout_device):\n    turnout_device.send({call})\n"))


@pytest.mark.slow
def test_policies_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "test_own.py"
    path.write_text("def test_own(turnout_device):\n    pass\n")
    assert "which policies? Mark the test: @pytest.mark.turnout(FILE), or set turnout_policies" in pytest_run(path)
