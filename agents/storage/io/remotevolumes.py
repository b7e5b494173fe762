"""Volumes on other nodes, mounted here: each is read over NBD by a storage daemon of its own, which shows it as a file.

    ROOT/remote/ID/daemon.sock    see storagedaemon
    ROOT/remote/ID/HEX            a file; what is mounted upon it, by FUSE, is the volume; ID is the digest's beginning
    ROOT/remote/ID/copy.sock      where the daemon is told what to fetch (see filling)
    ROOT/copies                   what has been fetched (see localcopies)

What the daemon reads it keeps in a local copy, where there is room for one, and a thread fills that. A whole copy
becomes a volume like any other: those who read the volume by then go on through the daemon, which needs the server no
more, the next ones mount the file.

A server that goes away is waited for, RECONNECT_S for each read, and then looked for at every further one: what was
read before is in the page cache and stays. One that keeps the connection and says nothing is waited for without end,
as a disk is. QEMU can give up neither connection nor requests; so a volume that is needed no more goes with its daemon,
which is killed: nothing is lost with it, and it holds up nobody else.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agents.storage.io.events import Events
from agents.storage.io.filling import EXPORT, Filling, Task
from agents.storage.io.localcopies import LocalCopies, LocalCopy
from agents.storage.io.loops import loop_device, mount_device
from agents.storage.io.mounts import abort, lazily_unmount, reads_of
from agents.storage.io.nbdtls import CREDENTIALS, NbdTls
from agents.storage.io.pacing import Reads
from agents.storage.io.preloading import Arrivals
from agents.storage.io.qmp import TIMEOUT_S, Qmp
from agents.storage.io.reachability import Reachability
from agents.storage.io.storagedaemon import StorageDaemon, add, exports, volume_id
from agents.storage.io.volumefiles import hexadecimal, read_trace
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import RemoteVolume
from agents.storage.wire.traces import Extents, first_bytes

_LOG: Final = logging.getLogger(__name__)
RECONNECT_S: Final = 30
_JUST_NOW_S: Final = 1.0
AHEAD_KIB: Final = 16
"""What a read brings in addition. The kernel's 128 KiB, around each page that a program or library is entered at, are
most of what a start would move."""
READ_AHEAD_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is fetched without anybody having asked for it: `most_bytes` of what a trace names, and, `whole`, all."""

    most_bytes: int = READ_AHEAD_BYTES
    whole: bool = True


class RemoteVolumes:
    """By digest. From several threads, but one at a time for a volume. `timeout_s` limits every wait for a daemon, and
    for a server when a volume is mounted."""

    def __init__(
        self,
        root: Path,
        store: Path,
        ahead: Ahead | None = None,
        timeout_s: float = TIMEOUT_S,
        events: Events | None = None,
        tls: NbdTls | None = None,
        *,
        reachability: Reachability,
    ) -> None:
        self._events, self._tls, self._root, self._reachability = events or Events(), tls, root, reachability
        self._folder, self._store, self._ahead, self._timeout_s = root / "remote", store, ahead or Ahead(), timeout_s
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._copies = LocalCopies(root, store)
        self._fillings: dict[str, Filling] = {}
        self._targets: dict[str, Path] = {}

    def mount(self, digest: str, remote: RemoteVolume, target: Path) -> None:
        """Mount it, read-only; where it is not to be had nothing stays. What was mounted there goes, lazily: whoever
        still looks into it has lost it."""
        lazily_unmount(target)
        # The daemon would wait for a server that does not answer, and hold up others meanwhile.
        self._reachability.check(((digest, remote),), _JUST_NOW_S)
        try:
            file = self._attach(digest, remote)
            self.fill(digest, remote, target)
            self._mount(file, remote, target)
        except BaseException:
            self.detach(digest)
            raise

    def _attach(self, digest: str, remote: RemoteVolume) -> Path:
        name = hexadecimal(digest)
        target = self._file(name)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        with self._daemon(name, tls=remote.server.tls).running() as qmp:
            if volume_id(name) not in exports(qmp):
                lazily_unmount(target)
                target.touch(mode=0o600)
                self._socket(name).unlink(missing_ok=True)  # there is one where there is a copy
                node, copy = _remote_node(name, remote), self._copy(digest, remote.size_bytes)
                if copy is not None:
                    node = self._copying(qmp, name, copy, node)
                add(qmp, volume_id(name), node, {"type": "fuse", "mountpoint": str(target)})
        return target

    def _copy(self, digest: str, size_bytes: int) -> LocalCopy | None:
        """None where there is no room for one, or no use."""
        if not (self._ahead.most_bytes or self._ahead.whole):
            return None
        try:
            return self._copies.make(digest, size_bytes)
        except ImageError as error:
            _LOG.warning("volume %s is read without keeping what is read: %s", digest, error)
            return None

    def _copying(self, qmp: Qmp, name: str, copy: LocalCopy, remote: dict[str, Any]) -> dict[str, Any]:
        """A node that keeps in the copy what it reads; the copy itself is shown to us, to be filled."""
        address = {"type": "unix", "data": {"path": str(self._socket(name))}}
        qmp.execute("nbd-server-start", {"addr": address})
        add(qmp, EXPORT, copy.node(remote), {"type": "nbd", "name": EXPORT})
        return {"driver": "copy-on-read", "file": EXPORT}

    def fill(self, digest: str, remote: RemoteVolume, target: Path) -> None:
        """Go on with what is not there yet, unless that is being done. `target` is where it is mounted, or will be."""
        self._targets[digest] = target
        there = self._fillings.get(digest)
        socket = self._socket(hexadecimal(digest))
        if (there is not None and there.is_running) or not socket.exists():
            return
        task = Task(
            digest=digest,
            size_bytes=remote.size_bytes,
            socket=socket,
            ahead=self._traced(digest, remote.size_bytes),
            whole=self._ahead.whole,
            reads=self.reads,
            events=self._events,
            finish=lambda is_wanted: self._copies.finish(digest, remote.size_bytes, is_wanted),
        )
        self._fillings[digest] = Filling(task)

    def arrivals(self, digest: str) -> Arrivals | None:
        """Of what is read ahead of it; None where nothing is."""
        filling = self._fillings.get(digest)
        return None if filling is None else filling.arrivals

    def reads(self) -> Reads:
        """Of all volumes that are mounted from elsewhere: an image may have several, and the link is one. A volume that
        is read ahead counts as a read that waits: its container's start does."""
        found = [reads_of(target) for target in list(self._targets.values())]
        ahead = sum(filling.is_reading_ahead for filling in list(self._fillings.values()))
        return Reads(done=sum(one.done for one in found), waiting=sum(one.waiting for one in found) + ahead)

    def _traced(self, digest: str, size_bytes: int) -> Extents:
        if not self._ahead.most_bytes:
            return ()
        try:
            trace = read_trace(self._store, digest, size_bytes)
        except ImageError as error:
            _LOG.warning("nothing is read ahead: %s", error)
            return ()
        return () if trace is None else first_bytes(trace.extents, self._ahead.most_bytes)

    def _mount(self, file: Path, remote: RemoteVolume, target: Path) -> None:
        """A server that falls silent now would hold the mount, and whoever waits for it."""
        with loop_device(file, AHEAD_KIB) as device, ThreadPoolExecutor(1, thread_name_prefix="mount") as threads:
            mounting = threads.submit(mount_device, device, target)
            done, _ = wait((mounting,), self._timeout_s)
            if not done:
                abort(file)
                wait((mounting,))
                raise ImageError(f"{remote.server} does not answer within {self._timeout_s:g} s")
            mounting.result()

    def has(self, digest: str) -> bool:
        """It is attached, by a daemon that lives."""
        name = hexadecimal(digest)
        with self._daemon(name).if_running() as qmp:
            return qmp is not None and volume_id(name) in exports(qmp)
        return False

    def detach(self, digest: str) -> None:
        """Safe where it is not attached, or the daemon or the server gone."""
        target = self._file(hexadecimal(digest))
        self._targets.pop(digest, None)
        if (filling := self._fillings.pop(digest, None)) is not None:
            filling.stop()
        abort(target)
        self._daemon(target.name).kill()
        lazily_unmount(target)
        shutil.rmtree(target.parent, ignore_errors=True)

    def attached(self) -> frozenset[str]:
        """Digests of what is attached, or was when its daemon died. Asks nobody."""
        return frozenset(f"sha256:{path.name}" for path in self._folder.glob(f"*/{'?' * 64}"))

    def drop_copies_but(self, kept: Set[str]) -> None:
        """And what has become a volume. Those that are attached stay as well: a daemon has them."""
        for digest in self._copies.digests() - self.attached():
            if digest not in kept or self._copies.is_volume(digest):
                self._copies.remove(digest)

    def close(self) -> None:
        """Daemons go on, and keep what containers read."""
        for filling in self._fillings.values():
            filling.stop()

    def _socket(self, name: str) -> Path:
        return self._file(name).parent / "copy.sock"

    def _file(self, name: str) -> Path:
        return self._folder / volume_id(name) / name

    def _daemon(self, name: str, *, tls: bool = False) -> StorageDaemon:
        options = self._tls.options(self._root / "tls", "client") if tls and self._tls is not None else ()
        folder, purpose = self._file(name).parent, "a volume on another node"
        return StorageDaemon(folder, purpose, self._timeout_s, options, self._events)


def _remote_node(name: str, remote: RemoteVolume) -> dict[str, Any]:
    server = {"type": "inet", "host": remote.server.host, "port": str(remote.server.port), "keep-alive": True}
    return {
        "driver": "nbd",
        "server": server,
        "export": name,
        "read-only": True,
        "reconnect-delay": RECONNECT_S,
        **({"tls-creds": CREDENTIALS} if remote.server.tls else {}),
        **({"tls-hostname": remote.server.tls_hostname} if remote.server.tls_hostname else {}),
    }
