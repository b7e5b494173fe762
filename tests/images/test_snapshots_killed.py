"""kill -9 before any file operation of the snapshotter: what was acknowledged is there, and nothing else stays."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.modes import BLOCK, EROFS, Mode
from tests.images.agent import FOLDERS, mounted_below
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.containerd import chain_id
from tests.images.conversions import converted
from tests.images.killed import DIED, DONE, after, steps, work

pytestmark = [pytest.mark.root, pytest.mark.slow]
_END_S = 120
_STRIDE = int(os.environ.get("TURNOUT_KILL_STRIDE", "3"))
"""Of so many operations one is a place to die at; 1 tries them all, in about a minute."""


@pytest.fixture
def folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="killed-") as name:
        yield Path(name)


def _image(folder: Path, mode: Mode) -> tuple[str, str]:
    layers = [bytes(Tar().add(name, data=name.encode()).data) for name in ("one", "two")]
    layout = LayoutWriter(folder / "layout")
    layout.image(layers)
    converted(layout.write(), folder / "images", mode=mode)
    return digest(layers[0]), chain_id([digest(layer) for layer in layers])


def _remove_all(snapshots: Snapshotter) -> None:
    while infos := snapshots.infos(()):
        parents = {info.parent for info in infos}
        for info in infos:
            if info.name not in parents:
                snapshots.remove(info.name)


def _check(folder: Path, acknowledged: list[str], chains: tuple[str, str]) -> None:
    """The step that it died in has happened or it has not; no other outcome."""
    snapshots = Snapshotter(folder / "root", folder / "images")
    try:
        names = {info.name for info in snapshots.infos(())}
        every = [name for name, _ in steps(snapshots, *chains)]
        possible = (after(every[: len(acknowledged)]), after(every[: len(acknowledged) + 1]))
        assert names in possible, acknowledged
        for info in snapshots.infos(("kind!=committed",)):
            for mount in snapshots.mounts(info.name):
                assert all(Path(path).exists() for path in _paths(mount.source, mount.options)), mount
        _remove_all(snapshots)
        left = [path for name in FOLDERS for path in (folder / "root" / name).iterdir()]
        assert (left, mounted_below(folder)) == ([], []), acknowledged
        assert not (folder / "root" / "daemon.sock").exists(), acknowledged
    finally:
        snapshots.close()


def _paths(source: str, options: tuple[str, ...]) -> list[str]:
    named = [option.partition("=")[2] for option in options if "dir=" in option]
    return [path for value in named for path in value.split(":")] or [source]


@pytest.mark.parametrize("mode", [EROFS, BLOCK.sized(1)], ids=lambda mode: mode.name)
def test_killed_before_file_operations(mode: Mode, folder: Path) -> None:
    if mode.is_disk and shutil.which("qemu-storage-daemon") is None:
        pytest.skip("qemu-storage-daemon is not installed; ./setup installs it")
    chains = _image(folder, mode)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.images.killed"])
    died, code = 1, DIED
    while code == DIED:
        root, log = folder / "root", folder / "log"
        shutil.rmtree(root, ignore_errors=True)
        log.unlink(missing_ok=True)
        process = context.Process(target=work, args=(root, folder / "images", log, chains, died))
        process.start()
        process.join(_END_S)
        code = process.exitcode
        _check(folder, log.read_text().splitlines() if log.exists() else [], chains)
        died += _STRIDE
    assert code == DONE
    assert died > 50, "so few operations cannot be all"
