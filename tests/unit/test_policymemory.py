"""What is remembered between runs comes back as it was written, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.policy.loading import load
from compiler.policy.memory import Memory
from runtime import policymemory
from runtime.policymemory import MOST_FILES, code_digest, memory_folder, read_memory, write_memory

PARTS = """\
---
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{clusterIP: 10.96.0.{number}, ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: e{number}, labels: {{kubernetes.io/service-name: s{number}}}}}
addressType: IPv4
endpoints: [{{addresses: [10.1.0.{number}]}}]
ports: [{{port: 8080}}]
"""
NETWORK = """\
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {vni: 100, cidrs: [10.1.0.0/16]}
"""
SERVICES = 70


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    path = tmp_path / "services.yaml"
    path.write_text(NETWORK + "".join(PARTS.format(number=number) for number in range(1, SERVICES + 1)))
    return [path]


@pytest.fixture
def folder(tmp_path: Path, paths: list[Path]) -> Path:
    """With what a run has learned."""
    folder, memory = tmp_path / "cache" / "turnout", Memory()
    assert not load(paths, memory).is_refused
    write_memory(folder, paths, memory)
    return folder


def learned(folder: Path, paths: list[Path]) -> int:
    """What a run that has read the memory there still had to work out."""
    memory = read_memory(folder, paths)
    assert load(paths, memory) == load(paths)
    return memory.learned


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_the_next_run_knows_it_all(folder: Path, paths: list[Path]) -> None:
    assert learned(folder, paths) == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert only_file(folder).stat().st_mode & 0o777 == 0o600


def test_it_is_the_same_prepared_by_and_by(folder: Path, paths: list[Path], tmp_path: Path) -> None:
    memory = Memory()
    load(paths, memory)
    for _ in range(SERVICES):
        memory.encode(3)
    write_memory(tmp_path / "other", paths, memory)
    assert only_file(tmp_path / "other").read_bytes() == only_file(folder).read_bytes()


def test_other_paths_are_another_memory(folder: Path, paths: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    copy.write_text(paths[0].read_text())
    assert learned(folder, [copy]) == 3 * SERVICES


def test_little_is_not_worth_a_file(folder: Path, paths: list[Path]) -> None:
    path, memory = only_file(folder), read_memory(folder, paths)
    before = path.stat().st_ino
    paths[0].write_text(paths[0].read_text().replace("10.1.0.7]", "10.1.0.99]"))
    load(paths, memory)
    assert memory.learned == 2
    write_memory(folder, paths, memory)
    assert path.stat().st_ino == before
    assert learned(folder, paths) == 2


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def for_all_to_write(path: Path) -> None:
    path.chmod(0o666)


def in_a_folder_for_all(path: Path) -> None:
    path.parent.chmod(0o770)


def behind_a_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("elsewhere")))


def behind_a_linked_folder(path: Path) -> None:
    path.parent.symlink_to(path.parent.rename(path.parent.with_name("elsewhere")))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        damaged,
        cut,
        emptied,
        for_all_to_write,
        in_a_folder_for_all,
        behind_a_link,
        behind_a_linked_folder,
        a_folder,
        Path.unlink,
    ],
)
def test_what_is_not_to_be_believed_is_not(folder: Path, paths: list[Path], spoil: Callable[[Path], None]) -> None:
    spoil(only_file(folder))
    assert learned(folder, paths) == 3 * SERVICES


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a file of somebody else")
@pytest.mark.parametrize("part", ["file", "folder"])
def test_what_is_somebody_elses_is_not_believed(folder: Path, paths: list[Path], part: str) -> None:
    os.chown(folder if part == "folder" else only_file(folder), 12_345, 12_345)
    assert learned(folder, paths) == 3 * SERVICES


def test_other_code_knows_nothing(folder: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policymemory, "code_digest", lambda: code_digest() + "x")
    assert learned(folder, paths) == 3 * SERVICES


def test_a_place_that_cannot_be_written_to(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = Memory()
    load(paths, memory)
    write_memory(tmp_path / "file" / "below", paths, memory)
    assert read_memory(tmp_path / "file" / "below", paths).learned == 0


def test_old_files_go(folder: Path, paths: list[Path], tmp_path: Path) -> None:
    for number in range(MOST_FILES + 3):
        memory = Memory()
        load(paths, memory)
        write_memory(folder, [tmp_path / str(number)], memory)
    assert len(list(folder.iterdir())) == MOST_FILES
    assert learned(folder, paths) == 3 * SERVICES


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/x")
    assert memory_folder() == Path("/var/cache/x/turnout/policies")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/x")
    assert memory_folder() == Path("/home/x/.cache/turnout/policies")
