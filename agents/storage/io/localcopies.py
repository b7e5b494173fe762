"""Copies of volumes that are on another node, on the way to being whole.

    ROOT/copies/HEX.data      the volume's bytes, each where it is in the volume, as far as they are there
    ROOT/copies/HEX.qcow2     which of them are: QEMU's list
    ROOT/copies/boot          the boot of the machine that the copies are of

Both files have their room on the disk from the beginning: a copy that ran out of it would be an I/O error for whoever
reads the volume. They are written without waiting for the disk, so what a boot before has left is worth nothing. Only a
copy whose bytes have the digest becomes a volume.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agents.storage.io.files import fsync_directory
from agents.storage.io.storagedaemon import file_node
from agents.storage.io.volumefiles import hexadecimal, remote_path, volume_path
from agents.storage.translate.qcow2 import copied_bytes, empty_copy, most_copy_bytes
from agents.storage.wire.errors import ImageError

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_SPARE: Final = 20
"""One in so many bytes of the file system stays free for others."""
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCopy:
    list: Path
    data: Path

    def node(self, backing: dict[str, Any]) -> dict[str, Any]:
        """For a storage daemon: what is not in the copy comes from `backing`. Nothing waits for the disk: a copy is of
        one boot, and is written down as a whole when it is whole."""
        files = {"data-file": self.data, "file": self.list}
        lazily = {name: {**file_node(path), "cache": {"no-flush": True}} for name, path in files.items()}
        return {"driver": "qcow2", **lazily, "backing": backing}


class LocalCopies:
    """By digest. `store` gets the volume as well, where it has said so far that it is elsewhere."""

    def __init__(self, root: Path, store: Path) -> None:
        self._root, self._store, self._folder = root, store, root / "copies"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._begin()

    def _begin(self) -> None:
        """After a reboot: without what was on its way."""
        boot, now = self._folder / "boot", _BOOT.read_text()
        if boot.exists() and boot.read_text() == now:
            return
        for path in self._folder.iterdir():
            path.unlink()
        boot.write_text(now)

    def find(self, digest: str) -> LocalCopy | None:
        copy = self._copy(digest)
        return copy if copy.list.exists() and copy.data.exists() else None

    def make(self, digest: str, size_bytes: int) -> LocalCopy:
        """That which is there, or an empty one. Raises ImageError where it has no room, with nothing left."""
        found = self.find(digest)
        if found is not None:
            return found
        copy = self._copy(digest)
        try:
            self._check_room(size_bytes)
            _make_room(copy.data, b"", size_bytes)
            _make_room(copy.list, empty_copy(size_bytes), most_copy_bytes(size_bytes))
        except OSError as error:
            self.remove(digest)
            raise ImageError(f"{copy.data}: {error.strerror}") from error
        except BaseException:
            self.remove(digest)
            raise
        return copy

    def _check_room(self, size_bytes: int) -> None:
        there = os.statvfs(self._folder)
        free, spare = there.f_bavail * there.f_frsize, there.f_blocks * there.f_frsize // _SPARE
        if free < size_bytes + spare:
            raise ImageError(
                f"{self._folder}: a copy takes {size_bytes} bytes, and {spare} are to stay free; {free} are free"
            )

    def _copy(self, digest: str) -> LocalCopy:
        name = hexadecimal(digest)
        return LocalCopy(list=self._folder / f"{name}.qcow2", data=self._folder / f"{name}.data")

    def remove(self, digest: str) -> None:
        """Also where there is none. The list goes first: bytes without a list are none."""
        copy = self._copy(digest)
        for path in (copy.list, copy.data):
            path.unlink(missing_ok=True)

    def is_volume(self, digest: str) -> bool:
        """It was whole: nobody needs the copy but who reads it through its daemon."""
        return volume_path(self._root, digest).exists()

    def digests(self) -> frozenset[str]:
        return frozenset(f"sha256:{path.stem}" for path in self._folder.glob("*.data"))

    def finish(self, digest: str, size_bytes: int, is_wanted: Callable[[], bool]) -> None:
        """Make a volume of a copy that is said to be whole, after reading all of it. Raises ImageError, with the copy
        gone, where it is not what its name says. Does nothing once it is not wanted any more."""
        data = self._copy(digest).data
        with data.open("r+b") as stream:
            stream.truncate(size_bytes)  # whole clusters may have been written
            os.fsync(stream.fileno())
            found = hashlib.sha256()
            while piece := stream.read(_PIECE):
                found.update(piece)
                if not is_wanted():
                    return
        if f"sha256:{found.hexdigest()}" != digest:
            self.remove(digest)
            raise ImageError(f"what came of volume {digest} has other bytes than its name says")
        self._publish(digest, data)

    def _publish(self, digest: str, data: Path) -> None:
        """Where it was said to be elsewhere: an image that was removed meanwhile gets nothing."""
        for folder in (self._root, self._store):
            if remote_path(folder, digest).exists():
                final = volume_path(folder, digest)
                if not final.exists():
                    os.link(data, final)
                remote_path(folder, digest).unlink(missing_ok=True)
                fsync_directory(final.parent)


def progress(root: Path) -> dict[str, int]:
    """Bytes that are there, of each copy that is not whole, or still attached, by digest; for whoever looks on."""
    found: dict[str, int] = {}
    for path in (root / "copies").glob("*.qcow2"):
        with suppress(FileNotFoundError):
            found[f"sha256:{path.stem}"] = copied_bytes(path.read_bytes())
    return found


def _make_room(path: Path, content: bytes, size_bytes: int) -> None:
    with path.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, size_bytes)
        stream.write(content)
