"""eStargz images, and the snapshotter that reads them lazily from a registry (containerd/stargz-snapshotter).

Debian's package `stargz-snapshotter` has the program that makes such images, and no snapshotter; that is built from the
library's Go module (tests/peers/stargz, `TURNOUT_PEERS=stargz tests/peers/build`), which takes a minute.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.images.agent import mounted_below
from tests.images.containerd import Containerd, containerd
from tests.images.versions import DEBIAN
from tests.peers.programs import place_of

KEY = "stargz"
MAKER = "ctr-remote"
_END_S = 60.0
_CONFIGURATION = """version = 2

[proxy_plugins.stargz]
type = "snapshot"
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "stargz"
disable_snapshot_annotations = false
"""


def missing() -> str | None:
    """What there must be and is not."""
    if shutil.which(MAKER) is None:
        return f"{MAKER} is not installed: apt-get install stargz-snapshotter"
    return None if _program().exists() else "the snapshotter is not built: TURNOUT_PEERS=stargz tests/peers/build"


def _program() -> Path:
    return place_of(KEY) / KEY


class Stargz:
    """The snapshotter of a node, in the network namespace that it is started in. `host` is a registry that speaks plain
    HTTP."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder, self._host = folder, host
        self._root, self._socket = folder / "root", folder / "s.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> str:
        """Of containerd."""
        return _CONFIGURATION.format(socket=self._socket)

    def restart(self) -> None:
        """Nothing that it fetched before is looked at again: it keeps a layer for two minutes after its last use."""
        self.end()
        self._socket.unlink(missing_ok=True)
        command = [_program(), "-address", self._socket, "-root", self._root, self._host]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._socket.exists, "the stargz snapshotter does not start")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_END_S)

    def forgotten(self) -> None:
        """Wait until no layer is mounted."""
        until(lambda: not mounted_below(self._root), "layers stay mounted")


def converted(folder: Path, image: str, program: Sequence[str], seconds: str) -> str:
    """An image of a registry over plain HTTP, as eStargz beside it, in which comes first what the program's start reads
    in so many seconds. Where the registry can be reached."""
    folder.mkdir()
    target = f"{image}-esgz"
    with containerd(folder, DEBIAN) as peer:
        _make(peer, "pull", "--plain-http", image)
        start = ("--net-host", "--entrypoint", json.dumps(list(program)), "--args", "[]", "--period", seconds)
        _make(peer, "optimize", "--oci", *start, image, target)
        _make(peer, "push", "--plain-http", target)
    return target


def _make(peer: Containerd, *words: str) -> None:
    command = (MAKER, "--address", str(peer.socket), "image", *words)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


def until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _END_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"bench.images: {otherwise}")
        time.sleep(0.05)
