"""The record of a lab on disk, and what is found by name in it."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.lab.building import plan
from runtime.lab.errors import LabError
from runtime.lab.state import Process, all_states, folder_of, locked, read_state, write_state
from runtime.lab.status import find_member, recorded, status
from runtime.lab.topology import topology_of
from tests.unit.lab.policies import policies, shop

STATE = plan(topology_of(policies(shop("/s")), "t"), offloads=True)
SERVER = Process(role="server", member="default/web-1", pid=4_194_304, started=1, log="/s/web-1.log")


def test_a_record_is_read_back_as_it_was(tmp_path: Path) -> None:
    written = replace(STATE.with_process(SERVER), phase="ready", offloads=False)
    write_state(tmp_path, written)
    assert read_state(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_no_record(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    with pytest.raises(LabError, match="lab 't' is not up"):
        recorded("t", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is no record of a lab"), ("{}", "another version"), ('{"version": 99}', "another version")],
)
def test_a_record_of_somebody_else(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(LabError, match=message):
        read_state(tmp_path)


def test_a_half_written_successor_does_not_count(tmp_path: Path) -> None:
    write_state(tmp_path, STATE)
    (tmp_path / "state.json.new").write_text(json.dumps({"version": 1})[:5])
    assert read_state(tmp_path) == STATE


def test_all_labs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder_of(name, tmp_path).mkdir()
    write_state(folder_of("two", tmp_path), replace(STATE, lab="two"))
    assert [state.lab for state in all_states(tmp_path)] == ["two"]


def test_a_lock_outlives_the_removal_of_its_folder(tmp_path: Path) -> None:
    """Who waits while the folder is removed must end up with the lock of the folder that exists."""
    folder, waiting = tmp_path / "lab-t", threading.Event()

    def wait_for_lock() -> None:
        waiting.set()
        with locked(folder):
            (folder / "mine").touch()

    with locked(folder):
        other = threading.Thread(target=wait_for_lock)
        other.start()
        assert waiting.wait(5)
        assert not (folder / "mine").exists()
        folder.rmdir()
    other.join(5)
    assert (folder / "mine").exists()


def test_a_folder_removed_while_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, make = tmp_path / "lab-t", os.mkdir
    folder.mkdir()

    def removed_by_another(path: Path, mode: int) -> None:
        try:
            make(path, mode)
        except FileExistsError:
            folder.rmdir()
            raise

    monkeypatch.setattr(os, "mkdir", removed_by_another)
    with locked(folder):
        assert folder.is_dir()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("client", "default/client"),
        ("default/client", "default/client"),
        ("workload:client", "default/client"),
        ("dpu-a", "dpu-a"),
        ("node:node-b", "node-b"),
        ("underlay", "underlay"),
    ],
)
def test_members_by_name(name: str, found: str) -> None:
    assert find_member(STATE, name).name == found


@pytest.mark.parametrize("name", ["nobody", "other/client", "node:client", "device:", ""])
def test_names_of_nobody(name: str) -> None:
    with pytest.raises(LabError, match="lab 't' has no"):
        find_member(STATE, name)


def test_a_name_of_two_things() -> None:
    second = replace(STATE.members[-1], name="other/client", namespace="tn-t.workload.other.client")
    state = replace(STATE, members=(*STATE.members, second))
    with pytest.raises(LabError, match="more than one thing") as refused:
        find_member(state, "client")
    assert refused.value.hint == "say one of: workload:default/client, workload:other/client"
    assert find_member(state, "other/client") == second


def test_status_of_what_is_not_there(tmp_path: Path) -> None:
    folder_of("t", tmp_path).mkdir()
    write_state(folder_of("t", tmp_path), STATE.with_process(SERVER))
    found = status("t", tmp_path)
    assert not found.is_whole
    by_name = {member.name: member for member in found.members}
    assert (by_name["default/web-1"].pid, by_name["default/web-1"].alive) == (4_194_304, False)
    assert (by_name["dpu-a"].pid, by_name["dpu-a"].alive, by_name["dpu-a"].exists) == (None, None, False)
