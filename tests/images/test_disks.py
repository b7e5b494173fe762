"""Disks of snapshots when something is wrong: a daemon that hangs, that is not there, a disk without room."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.storage.io import storagedaemon
from agents.storage.io.blockdaemon import BlockDaemon
from agents.storage.io.disks import Disks
from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.modes import BLOCK
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import REF_LABEL, Mount, SnapshotContentError, SnapshotExistsError
from tests.images.agent import FOLDERS, mounted_below
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.conversions import converted

pytestmark = [pytest.mark.root, pytest.mark.slow]
LAYER = Tar().add("file", data=b"content").finished()


class Bench:
    """A snapshotter in this process, with the whole of a converted image as snapshot `chain`."""

    def __init__(self, folder: Path) -> None:
        self.root, self.chain = folder / "root", digest(LAYER)
        layout = LayoutWriter(folder / "layout")
        layout.image([LAYER])
        converted(layout.write(), folder / "images", mode=BLOCK.sized(1))
        self.daemon = BlockDaemon(self.root)
        self.snapshots = Snapshotter(self.root, folder / "images", disks=Disks(self.root, self.daemon))
        with pytest.raises(SnapshotExistsError):
            self.snapshots.prepare("unpack", "", {REF_LABEL: self.chain})

    @property
    def process(self) -> int:
        return int((self.root / "daemon.pid").read_text())

    def names(self) -> list[str]:
        return [info.name for info in self.snapshots.infos(())]

    def remove_all(self) -> None:
        for name in (*(name for name in self.names() if name != self.chain), self.chain):
            self.snapshots.remove(name)


@pytest.fixture
def bench() -> Generator[Bench]:
    if shutil.which("qemu-storage-daemon") is None:
        pytest.skip("qemu-storage-daemon is not installed; ./setup installs it")
    with tempfile.TemporaryDirectory(prefix="disks-") as name:
        made = Bench(Path(name))
        yield made
        made.remove_all()
        made.snapshots.cleanup()
        assert [path for part in FOLDERS for path in (made.root / part).iterdir()] == []
        assert mounted_below(Path(name)) == []
        assert not made.daemon.is_there
        made.snapshots.close()


def test_a_daemon_that_hangs_is_said_and_nothing_stays(bench: Bench) -> None:
    bench.snapshots.prepare("first", bench.chain, {})
    os.kill(bench.process, signal.SIGSTOP)
    patience, bench.daemon.timeout_s = bench.daemon.timeout_s, 0.5
    try:
        with pytest.raises(SnapshotContentError) as refused:
            bench.snapshots.prepare("second", bench.chain, {})
        message = f"snapshot second: the storage daemon at {bench.root / 'daemon.sock'} does not answer within 0.5 s"
        assert str(refused.value) == message
        assert bench.names() == sorted([bench.chain, "first"])
        bench.snapshots.remove("first")
        assert bench.names() == [bench.chain]
    finally:
        bench.daemon.timeout_s = patience
        os.kill(bench.process, signal.SIGCONT)
    bench.snapshots.prepare("second", bench.chain, {})


def test_a_daemon_that_dies_between_two_calls_is_started_again(bench: Bench) -> None:
    for name in ("first", "second"):
        (mount,) = bench.snapshots.prepare(name, bench.chain, {})
        assert Path(mount.source).stat().st_size == 1 << 30
        os.kill(bench.process, signal.SIGKILL)
    (mount,) = bench.snapshots.mounts("first")
    assert Path(mount.source).stat().st_size == 1 << 30


def test_a_view_of_what_was_committed_is_read_only(bench: Bench, tmp_path: Path) -> None:
    (mount,) = bench.snapshots.prepare("layer", bench.chain, {})
    with _mounted(mount, tmp_path / "mnt") as root:
        (root / "more").write_text("committed")
    bench.snapshots.commit("committed", "layer", {})
    (mount,) = bench.snapshots.view("look", "committed", {})
    with _mounted(mount, tmp_path / "mnt") as root:
        assert sorted(path.name for path in root.iterdir()) == ["file", "more"]
        with pytest.raises(OSError, match="Read-only"):
            (root / "other").touch()
    bench.snapshots.remove("look")


@contextmanager
def _mounted(mount: Mount, target: Path) -> Generator[Path]:
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", mount.type, "-o", ",".join(mount.options), mount.source, str(target)], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", str(target)], check=True)


def test_no_daemon_on_this_machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storagedaemon, "PROGRAM", "no-such-daemon")
    with pytest.raises(SnapshotContentError) as refused:
        bench.snapshots.prepare("first", bench.chain, {})
    assert str(refused.value) == "snapshot first: no-such-daemon is not installed; mode block needs it"
    assert bench.names() == [bench.chain]


def test_no_room_for_a_clone(tmp_path: Path) -> None:
    """On a full file system a clone is refused, the pool is left as it is, and nothing half-made stays."""
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)], check=True)
    try:
        disks = Disks(root)
        below = root / "base.ext4"
        with below.open("wb") as stream:
            stream.truncate(1 << 30)
        (root / "full").write_bytes(bytes((1 << 20) - 200_000))
        with pytest.raises(ImageError) as refused:
            disks.make(1, below)
        partial = root / "disks" / "1.part"
        assert str(refused.value) == f"{partial}: No space left on device"
        assert list((root / "disks").iterdir()) == []
        (root / "full").unlink()
        disks.make(1, below)
        assert [path.name for path in (root / "disks").iterdir()] == ["1.qcow2"]
        disks.close()
    finally:
        subprocess.run(["umount", str(root)], check=True)
