"""`turnout lab` as a command: what it takes away beside the lab."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import lab
from cli.main import app
from runtime.applied import FOLDER, Applied, read_applied, write_applied
from runtime.lab.errors import LabError
from runtime.lab.state import LabState

STATE = LabState(
    lab="x", phase="ready", fingerprint="", offloads=True, members=(), listens=("unix:/run/turnout/a.sock",)
)


@pytest.mark.parametrize("is_up", [True, False])
def test_down_forgets_what_was_applied_to_its_devices(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_up: bool
) -> None:
    def recorded(_: str) -> LabState:
        if not is_up:
            raise LabError("lab 'x' is not up")
        return STATE

    def down(_: str) -> bool:
        return is_up

    monkeypatch.setattr(lab, "recorded", recorded)
    monkeypatch.setattr(lab, "down", down)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for device in ("a", "b"):
        write_applied(tmp_path, Applied(device=device, address=f"unix:/run/turnout/{device}.sock", sources={}))
    assert CliRunner().invoke(app, ["lab", "down", "--name", "x"]).exit_code == 0
    assert list(read_applied(tmp_path)) == (["b"] if is_up else ["a", "b"])
