"""Volumes on other nodes, mounted here: each is read over NBD by a storage daemon of its own, which shows it as a file.

    ROOT/remote/ID/daemon.sock    see storagedaemon
    ROOT/remote/ID/HEX            a file; what is mounted upon it, by FUSE, is the volume; ID is the digest's beginning

A server that goes away is waited for, RECONNECT_S for each read, and then looked for at every further one: what was
read before is in the page cache and stays. One that keeps the connection and says nothing is waited for without end,
as a disk is. QEMU can give up neither connection nor requests; so a volume that is needed no more goes with its daemon,
which is killed: nothing is lost with it, and it holds up nobody else.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from agents.storage.io.mounts import abort, end_with_mount, lazily_unmount, loop_device
from agents.storage.io.nbdclient import NbdClient
from agents.storage.io.qmp import TIMEOUT_S
from agents.storage.io.storagedaemon import StorageDaemon, add, exports, volume_id
from agents.storage.io.volumefiles import hexadecimal
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import RemoteVolume

RECONNECT_S: Final = 30
AHEAD_KIB: Final = 16
"""What a read brings in addition. The kernel's 128 KiB, around each page that a program or library is entered at, are
most of what a start would move."""


class RemoteVolumes:
    """By digest. From several threads, but one at a time for a volume. `timeout_s` limits every wait for a daemon, and
    for a server when a volume is mounted."""

    def __init__(self, root: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._folder, self._timeout_s = root / "remote", timeout_s
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def mount(self, digest: str, remote: RemoteVolume, target: Path) -> None:
        """Mount it, read-only; where it is not to be had nothing stays. What was mounted there goes, lazily: whoever
        still looks into it has lost it."""
        lazily_unmount(target)
        _check(digest, remote)
        try:
            self._mount(self._attach(hexadecimal(digest), remote), remote, target)
        except BaseException:
            self.detach(digest)
            raise

    def _attach(self, name: str, remote: RemoteVolume) -> Path:
        target = self._file(name)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        with self._daemon(name).running() as qmp:
            if volume_id(name) not in exports(qmp):
                lazily_unmount(target)
                target.touch(mode=0o600)
                add(qmp, volume_id(name), _remote_node(name, remote), {"type": "fuse", "mountpoint": str(target)})
        return target

    def _mount(self, file: Path, remote: RemoteVolume, target: Path) -> None:
        device = loop_device(file, AHEAD_KIB)
        try:
            self._mount_device(device, file, remote, target)
        finally:
            end_with_mount(device)

    def _mount_device(self, device: Path, file: Path, remote: RemoteVolume, target: Path) -> None:
        """A server that falls silent now would hold the mount, and whoever waits for it."""
        command = ("mount", "-t", "erofs", "-o", "ro", str(device), str(target))
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                _, errors = process.communicate(timeout=self._timeout_s)
            except subprocess.TimeoutExpired as error:
                abort(file)
                process.communicate()
                raise ImageError(f"{remote.server} does not answer within {self._timeout_s:g} s") from error
        if process.returncode:
            raise ImageError(f"mount: {errors.strip() or f'exit code {process.returncode}'}")

    def has(self, digest: str) -> bool:
        """It is attached, by a daemon that lives."""
        name = hexadecimal(digest)
        with self._daemon(name).if_running() as qmp:
            return qmp is not None and volume_id(name) in exports(qmp)
        return False

    def detach(self, digest: str) -> None:
        """Safe where it is not attached, or the daemon or the server gone."""
        target = self._file(hexadecimal(digest))
        abort(target)
        self._daemon(target.name).kill()
        lazily_unmount(target)
        shutil.rmtree(target.parent, ignore_errors=True)

    def attached(self) -> frozenset[str]:
        """Digests of what is attached, or was when its daemon died. Asks nobody."""
        return frozenset(f"sha256:{path.name}" for path in self._folder.glob(f"*/{'?' * 64}"))

    def _file(self, name: str) -> Path:
        return self._folder / volume_id(name) / name

    def _daemon(self, name: str) -> StorageDaemon:
        return StorageDaemon(self._file(name).parent, "a volume on another node", self._timeout_s)


def _check(digest: str, remote: RemoteVolume) -> None:
    """The daemon would wait for a server that does not answer, and hold up others meanwhile."""
    with NbdClient(remote.server, hexadecimal(digest)) as client:
        if client.size != remote.size_bytes:
            raise ImageError(
                f"{remote.server}: volume {digest} has {client.size} bytes, {remote.size_bytes} when it was adopted"
            )


def _remote_node(name: str, remote: RemoteVolume) -> dict[str, Any]:
    server = {"type": "inet", "host": remote.server.host, "port": str(remote.server.port), "keep-alive": True}
    return {
        "driver": "nbd",
        "server": server,
        "export": name,
        "read-only": True,
        "reconnect-delay": RECONNECT_S,
    }
