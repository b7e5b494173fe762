"""`turnout image convert --policy` and `--report`, as Jobs call it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app

POLICY = {
    "apiVersion": "turnout.dev/v1alpha1",
    "kind": "ImageConversion",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"sourceImage": "oci:/nowhere", "platforms": ["linux/amd64"]},
}


def convert(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["image", "convert", *arguments])


@pytest.fixture(autouse=True)
def _outside_of_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("arguments", [(), ("oci:/nowhere", "--policy", json.dumps(POLICY))])
def test_either_sources_or_a_policy(arguments: tuple[str, ...]) -> None:
    done = convert(*arguments)
    assert done.exit_code == 2
    assert "expected either SOURCES or --policy" in done.stderr


def test_a_policy_is_checked(tmp_path: Path) -> None:
    done = convert("--policy", json.dumps({**POLICY, "spec": {"sourceImages": []}}), "--store", str(tmp_path))
    assert done.exit_code == 1
    assert "--policy:1:" in done.stderr
    assert "sourceImages" in done.stderr


def test_a_policy_is_converted(tmp_path: Path) -> None:
    done = convert("--policy", json.dumps(POLICY), "--store", str(tmp_path))
    assert done.exit_code == 1
    assert "/nowhere" in done.stderr


def test_a_report_is_of_one_conversion() -> None:
    done = convert("oci:/one", "oci:/two", "--report", "turnout-system/job")
    assert done.exit_code == 2
    assert "--report is about one conversion" in done.stderr


def test_a_report_names_a_job(tmp_path: Path) -> None:
    done = convert("--policy", json.dumps(POLICY), "--report", "job", "--store", str(tmp_path))
    assert done.exit_code == 2
    assert "'job' is no Job" in done.stderr


def test_nobody_is_told_outside_of_a_cluster(tmp_path: Path) -> None:
    done = convert("--policy", json.dumps(POLICY), "--report", "turnout-system/job", "--store", str(tmp_path))
    assert done.exit_code == 1
    assert "Job turnout-system/job is not told: not in a Pod" in done.stderr


def test_a_policy_does_not_compress_a_disk(tmp_path: Path) -> None:
    spec = {"sourceImage": "oci:/nowhere", "imageMode": "block", "compression": "lz4"}
    done = convert("--policy", json.dumps({**POLICY, "spec": spec}), "--store", str(tmp_path))
    assert done.exit_code == 1
    assert "error[E0108]: compression lz4 is of modes erofs and overlayfs, and mode block writes a disk" in done.stderr
