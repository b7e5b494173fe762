"""Loop devices and mounts of them, by the kernel's own calls: the start of a container waits for them, and losetup,
blockdev and mount would first be read from a disk.

The calls: loop(4), include/uapi/linux/loop.h (LOOP_CONFIGURE, Linux 5.8), mount(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agents.storage.wire.errors import ImageError

_CONTROL: Final = Path("/dev/loop-control")
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_SET_READ_AHEAD: Final = 0x1262
"""BLKRASET, in sectors."""
_SECTORS_A_KIB: Final = 2
_CONFIG: Final = struct.Struct("=II 5Q 4I 64s 64s 32s 2Q 64x")
"""struct loop_config: descriptor of the file, size of blocks, struct loop_info64, room."""
_READ_ONLY, _END_WHEN_CLOSED, _DIRECT = 1, 4, 16
"""LO_FLAGS_READ_ONLY, _AUTOCLEAR, _DIRECT_IO."""
_NAME_BYTES: Final = 63
_TRIES: Final = 64
_MS_RDONLY: Final = 1


@contextmanager
def loop_device(file: Path, ahead_kib: int) -> Generator[Path]:
    """A loop device of the file, read-only and past the page cache of the file, which reads so much ahead. It ends with
    the block, or with what is mounted of it then; it is not left over by a process that is killed."""
    device = _configured(file)
    try:
        _read_ahead(device, ahead_kib, file)
        yield Path(f"/proc/self/fd/{device}").readlink()
    finally:
        os.close(device)


def _configured(file: Path) -> int:
    """An open descriptor of a device that has the file. Another process may take the one that is free before us."""
    try:
        backing = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for _ in range(_TRIES):
                device = _free()
                try:
                    fcntl.ioctl(device, _CONFIGURE, _config(backing, file))
                except OSError as error:
                    os.close(device)
                    if error.errno != errno.EBUSY:
                        raise
                else:
                    return device
        finally:
            os.close(backing)
    except OSError as error:
        raise ImageError(f"{file}: no loop device: {error.strerror}") from error
    raise ImageError(f"{file}: no loop device: others take each that is free")


def _free() -> int:
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        number = fcntl.ioctl(control, _GET_FREE)
    finally:
        os.close(control)
    return os.open(f"/dev/loop{number}", os.O_RDONLY | os.O_CLOEXEC)


def _config(backing: int, file: Path) -> bytes:
    """The name is what `losetup --list` shows where it cannot look further."""
    flags, name = _READ_ONLY | _END_WHEN_CLOSED | _DIRECT, bytes(file)[:_NAME_BYTES]
    return _CONFIG.pack(backing, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags, name, b"", b"", 0, 0)


def _read_ahead(device: int, kib: int, file: Path) -> None:
    try:
        fcntl.ioctl(device, _SET_READ_AHEAD, kib * _SECTORS_A_KIB)
    except OSError as error:
        raise ImageError(f"{file}: what is read ahead cannot be set: {error.strerror}") from error


def mount_device(device: Path, target: Path) -> None:
    """An EROFS file system, read-only. Waits for as long as the device does not answer; other threads go on."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(bytes(device), bytes(target), b"erofs", ctypes.c_ulong(_MS_RDONLY), None):
        raise ImageError(f"mount of {device} at {target}: {os.strerror(ctypes.get_errno())}")
