"""Brings into memory what a start is known to read of a mounted volume's files, before it asks.

What is on the node is not yet at hand: each read that misses memory goes through a loop device, and of a volume on
another node through FUSE and the daemon that has its copy, in pieces of 16 KiB, while the program waits. Here the
kernel is told of all of them (posix_fadvise(2), POSIX_FADV_WILLNEED), in the order in which the start will want them,
behind what has come of a volume on another node.

The list of files is a hint from elsewhere (see wire.traces): nothing but regular files below the mount is opened.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Final

from agents.storage.io.events import Events, Kind
from agents.storage.wire.traces import FileReads

_OPENAT2: Final = 437
"""The same for all machines (Linux 5.6, openat2(2))."""
_HOW: Final = struct.Struct("=QQQ")
"""struct open_how: flags, mode, resolve."""
_NO_XDEV, _NO_SYMLINKS, _BENEATH = 0x01, 0x04, 0x08
_AT_ONCE: Final = 1 << 17
"""Bytes. Of more, the kernel reads no more than a request of the device may have, without a word."""
_OPEN_FILES: Final = 64
"""Kept open, since a start comes back to its libraries."""
_SHARE: Final = 4
"""One in so many bytes of the memory that is free is taken."""
_MEMINFO: Final = Path("/proc/meminfo")


class Arrivals:
    """How many of a trace's extents are on this node, the first ones first. From several threads."""

    def __init__(self) -> None:
        self._changed, self._count, self._is_over = Condition(), 0, False

    def reached(self, count: int) -> None:
        with self._changed:
            self._count = max(self._count, count)
            self._changed.notify_all()

    def end(self) -> None:
        """No more will come."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def wait(self, extent: int, is_wanted: Callable[[], bool]) -> bool:
        """Until that one is there, which is the answer; or will not come, or is not wanted any more, which `wake` makes
        it look at."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > extent or self._is_over or not is_wanted())
            return self._count > extent and is_wanted()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Preloading:
    """Of one volume, mounted at `root`. Its thread is a daemon's: an agent that ends does not wait for it."""

    def __init__(
        self,
        digest: str,
        root: Path,
        files: Callable[[], FileReads],
        most_bytes: int,
        arrivals: Arrivals | None,
        events: Events,
    ) -> None:
        """`files` are asked for once. At most so many bytes, and not more than a share of the memory that is free.
        Without `arrivals` all is on the node."""
        self._digest, self._root, self._files, self._events = digest, root, files, events
        self._most_bytes = min(most_bytes, _available_bytes() // _SHARE)
        self._arrivals = arrivals
        self._is_wanted = True
        self._thread = Thread(target=self._run, name=f"preload-{digest[7:19]}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """It opens nothing from now on. What it waits for in the kernel it still waits for."""
        self._is_wanted = False
        if self._arrivals is not None:
            self._arrivals.wake()

    def wait(self, timeout_s: float) -> None:
        """Until it has no file open any more, so that the volume can be unmounted."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        begun, told = time.monotonic(), 0
        with _OpenFiles(self._root) as opened:
            for one in self._files():
                if told + one.length > self._most_bytes or not self._is_there(one.extent):
                    break
                descriptor = opened.get(one.path)
                if descriptor is not None:
                    _tell(descriptor, one.offset, one.length)
                    told += one.length
        if told:
            seconds = time.monotonic() - begun
            self._events.tell(Kind.PRELOADED, volume=self._digest, bytes=told, seconds=seconds)

    def _is_there(self, extent: int) -> bool:
        if self._arrivals is None:
            return self._is_wanted
        return self._arrivals.wait(extent, lambda: self._is_wanted)


def _tell(descriptor: int, offset: int, length: int) -> None:
    for start in range(offset, offset + length, _AT_ONCE):
        os.posix_fadvise(descriptor, start, min(_AT_ONCE, offset + length - start), os.POSIX_FADV_WILLNEED)


class _OpenFiles:
    """Regular files below a folder, the latest ones open."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: OrderedDict[bytes, int | None] = OrderedDict()
        self._call = ctypes.CDLL(None).syscall

    def __enter__(self) -> _OpenFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (self._root, *self._open.values()):
            _close(descriptor)

    def get(self, path: bytes) -> int | None:
        """None where there is no such file."""
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        if len(self._open) >= _OPEN_FILES:
            _close(self._open.popitem(last=False)[1])
        self._open[path] = found = self._opened(path)
        return found

    def _opened(self, path: bytes) -> int | None:
        """Opening something else than a file, such as a device, may do things: so it is looked at first."""
        how = _HOW.pack(os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW, 0, _NO_XDEV | _NO_SYMLINKS | _BENEATH)
        seen: int = self._call(_OPENAT2, self._root, path, how, len(how))
        if seen < 0:
            return None
        try:
            if not stat.S_ISREG(os.fstat(seen).st_mode):
                return None
            return os.open(f"/proc/self/fd/{seen}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        finally:
            os.close(seen)


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _available_bytes() -> int:
    rows = (line.split() for line in _MEMINFO.read_text().splitlines())
    return next(int(row[1]) * 1024 for row in rows if row[0] == "MemAvailable:")
