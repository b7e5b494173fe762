"""The record of what was applied: kept by device, replaced as a whole, and refused when it is something else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runtime.applied import (
    FOLDER,
    Applied,
    AppliedError,
    applied_folder,
    forget_applied,
    read_applied,
    write_applied,
)

RECORD = Applied(device="dpu-a", address="unix:/run/turnout/dpu-a.sock", sources={"shop.yaml": "kind: Network\n"})


def test_comes_back_and_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on demand"
    later = Applied(device="dpu-a", address="dpu-a:9559", sources={"other.yaml": "kind: Node\n"})
    other = Applied(device="dpu-b", address="dpu-b:9559", sources={})
    for record in (other, RECORD, later):
        write_applied(folder, record)
    assert read_applied(folder) == {"dpu-a": later, "dpu-b": other}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["dpu-a.json", "dpu-b.json"]


def test_devices_that_are_no_more_are_forgotten(tmp_path: Path) -> None:
    other = Applied(device="dpu-b", address="dpu-b:9559", sources={})
    for record in (RECORD, other):
        write_applied(tmp_path, record)
    (tmp_path / "x.json").write_text("no record")
    forget_applied(tmp_path, (RECORD.address, "unix:/elsewhere"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dpu-b.json", "x.json"]
    forget_applied(tmp_path / "nowhere", (RECORD.address,))


def test_no_folder_is_no_record(tmp_path: Path) -> None:
    assert read_applied(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "device": "a", "other": 2}', "\x00"])
def test_what_is_no_record_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(AppliedError) as refused:
        read_applied(tmp_path)
    assert str(refused.value) == f"{tmp_path}/x.json is no record of `turnout apply`; remove it, and apply again"


def test_a_record_of_another_version_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(AppliedError) as refused:
        read_applied(tmp_path)
    assert str(refused.value) == f"{tmp_path}/x.json was written by another version of Turnout; apply again"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AppliedError) as refused:
        write_applied(tmp_path / "file" / "folder", RECORD)
    path = tmp_path / "file" / "folder" / "dpu-a.json"
    assert str(refused.value) == f"cannot record what was applied in {path}: not a directory"


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert applied_folder() == Path("/var/lib/turnout/applied")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert applied_folder() == Path("/state/turnout/applied")
    monkeypatch.setenv(FOLDER, "/elsewhere")
    assert applied_folder() == Path("/elsewhere")
