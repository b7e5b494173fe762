"""Debian's containerd, run privately: it unpacks an image the ordinary way, with its overlay snapshotter."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.images.archives import digest

_START_S = 30
_CONFIG = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
address = "{folder}/c.sock"
[ttrpc]
address = "{folder}/t.sock"
"""
_WITH_SNAPSHOTTER = """version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
address = "{folder}/c.sock"
[ttrpc]
address = "{folder}/t.sock"
[proxy_plugins.turnout]
type = "snapshot"
address = "{snapshotter}"
[plugins."io.containerd.grpc.v1.cri"]
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "turnout"
disable_snapshot_annotations = false
"""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`started_ns` is when unpacking began: directories without an entry have a later time."""

    root: Path
    started_ns: int


class UnpackingError(Exception):
    """What containerd said."""


class Containerd:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ctr(self, *arguments: str) -> str:
        command = ["ctr", "--address", str(self._folder / "c.sock"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnpackingError(done.stderr)
        return done.stdout

    @property
    def socket(self) -> Path:
        return self._folder / "c.sock"

    def unpack(self, archive: Path) -> None:
        self.ctr("image", "import", str(archive))

    @contextmanager
    def mounted(self, layers: Sequence[bytes], archive: Path, target: Path) -> Generator[Unpacked]:
        """The root file system that a container of the image would have."""
        started = time.time_ns()
        self.unpack(archive)
        key = f"look-{target.name}-{started}"
        self.ctr("snapshot", "prepare", key, chain_id([digest(layer) for layer in layers]))
        target.mkdir(exist_ok=True)
        mount = self.ctr("snapshot", "mounts", str(target), key)
        subprocess.run(mount, shell=True, check=True)
        try:
            yield Unpacked(target, started)
        finally:
            subprocess.run(["umount", str(target)], check=True)
            self.ctr("snapshot", "remove", key)


def chain_id(diff_ids: Sequence[str]) -> str:
    """image-spec config.md, layer chain ID."""
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = f"sha256:{sha256(f'{chain} {diff_id}'.encode()).hexdigest()}"
    return chain


@contextmanager
def containerd(folder: Path, snapshotter: Path | None = None) -> Generator[Containerd]:
    """With `snapshotter`, the socket of one, it is the proxy plugin `turnout`, and the one for pods."""
    config = folder / "config.toml"
    text = _CONFIG if snapshotter is None else _WITH_SNAPSHOTTER
    config.write_text(text.format(folder=folder, snapshotter=snapshotter))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["containerd", "--config", str(config)], stdout=log, stderr=log)
    try:
        peer = Containerd(folder)
        _wait_for(peer, process, folder)
        yield peer
    finally:
        process.terminate()
        process.wait(_START_S)


def _wait_for(peer: Containerd, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            peer.ctr("version")
        except UnpackingError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "log").read_text()) from error
            time.sleep(0.05)
        else:
            return
