"""A containerd, run privately: it unpacks images the ordinary way, or with the snapshotter it is told of."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.images.archives import digest
from tests.images.versions import Version, search_path

_START_S = 60
_CONFIG = """version = {version}
root = "{folder}/root"
state = "{folder}/state"
imports = ["{folder}/documented.toml"]
disabled_plugins = [{disabled}]
[grpc]
address = "{folder}/c.sock"
[ttrpc]
address = "{folder}/t.sock"
"""
_DISABLED = '"io.containerd.internal.v1.opt"'
_NO_CRI = f'{_DISABLED}, "io.containerd.grpc.v1.cri"'


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`started_ns` is when unpacking began: directories without an entry have a later time."""

    root: Path
    started_ns: int


class UnpackingError(Exception):
    """What containerd said."""


class Containerd:
    """Of a version, its folders in `folder`, which is short enough for a socket's name. It may be killed and started
    again. `more` is what its configuration has besides; without any there is no CRI. Programs that it runs are taken
    from the folder `programs` first."""

    def __init__(self, folder: Path, version: Version, more: str = "", programs: Path | None = None) -> None:
        path = search_path(version) if programs is None else f"{programs}:{search_path(version)}"
        self._folder, self._environment = folder, {**os.environ, "PATH": path}
        self._process: subprocess.Popen[bytes] | None = None
        self._unpacked: dict[str, int] = {}
        """When each image was first unpacked, by chain ID."""
        (folder / "documented.toml").write_text(more or f"version = {version.config}\n")
        disabled = _DISABLED if more else _NO_CRI
        config = _CONFIG.format(version=version.config, folder=folder, disabled=disabled)
        (folder / "config.toml").write_text(config)

    def ctr(self, *arguments: str) -> str:
        command = ["ctr", "--address", str(self.socket), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)
        if done.returncode:
            raise UnpackingError(done.stderr)
        return done.stdout

    @property
    def socket(self) -> Path:
        return self._folder / "c.sock"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def start(self) -> None:
        """Until it answers."""
        command = ["containerd", "--config", str(self._folder / "config.toml")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self.log)
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.ctr("version")
        except UnpackingError:
            return False
        return True

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9. Its shims, and so its containers, go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_START_S)

    def end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_START_S)

    def unpack(self, archive: Path) -> None:
        self.ctr("image", "import", str(archive))

    @contextmanager
    def mounted(self, layers: Sequence[bytes], archive: Path, target: Path) -> Generator[Unpacked]:
        """The root file system that a container of the image would have."""
        chain = chain_id([digest(layer) for layer in layers])
        started = self._unpacked.setdefault(chain, time.time_ns())  # what it has already it does not unpack again
        self.unpack(archive)
        key = f"look-{target.name}-{time.time_ns()}"
        self.ctr("snapshot", "prepare", key, chain)
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
def containerd(folder: Path, version: Version, more: str = "") -> Generator[Containerd]:
    peer = Containerd(folder, version, more)
    peer.start()
    try:
        yield peer
    finally:
        peer.end()
