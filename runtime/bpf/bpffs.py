"""The BPF file system, where pinned maps, programs and links outlive the process that made them."""

from __future__ import annotations

import ctypes as ct
import errno
import os
from pathlib import Path

from runtime.bpf.errors import KernelRefusal

MAGIC = 0xCAFE4A11
MNT_DETACH = 2
_STATFS_SIZE = 256


def _libc() -> ct.CDLL:
    return ct.CDLL(None, use_errno=True)


def pin_name(name: str) -> str:
    """Hand back a name that a bpffs takes. Raises ValueError for one with a dot or a slash, empty, or too long."""
    if not name or "." in name or "/" in name or len(name.encode()) > 255:
        raise ValueError(f"{name!r} cannot be the name of a pin: no dot, no slash, 1 to 255 bytes")
    return name


def is_bpffs(path: Path) -> bool:
    """Whether `path` lies in a BPF file system. False also when it does not exist."""
    buffer = ct.create_string_buffer(_STATFS_SIZE)
    if _libc().statfs(os.fsencode(path), buffer) != 0:
        return False
    return int.from_bytes(buffer.raw[:8], "little") & 0xFFFFFFFF == MAGIC


def mount_bpffs(path: Path) -> bool:
    """Make sure that a BPF file system is at `path`; True if it had to be mounted. Makes the folder.

    Two processes that do this at once may mount twice, one over the other; callers hold a lock of theirs.
    Raises `KernelRefusal` (EPERM without the right).
    """
    path.mkdir(parents=True, exist_ok=True)
    if is_bpffs(path):
        return False
    result = _libc().mount(b"bpf", os.fsencode(path), b"bpf", ct.c_ulong(0), b"mode=0700")
    if result != 0:
        raise KernelRefusal(ct.get_errno(), f"mount a BPF file system at {path}")
    return True


def unmount_bpffs(path: Path) -> bool:
    """Take the BPF file system at `path` away, pins and all; False if there was none mounted just there."""
    if not is_bpffs(path) or not path.is_mount():
        return False
    if _libc().umount2(os.fsencode(path), MNT_DETACH) != 0:
        raise KernelRefusal(ct.get_errno(), f"unmount {path}")
    return True


def remove_pin(path: Path) -> bool:
    """Remove one pin; False if it was not there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def remove_tree(path: Path) -> int:
    """Remove all pins and folders under `path`, and `path` itself unless it is the mount. Returns how many pins.

    The kernel lets go of what a pin held a moment later, so a program may still see a few packets.
    """
    if not path.exists():
        return 0
    if not is_bpffs(path):
        raise KernelRefusal(errno.EINVAL, f"{path} is in no BPF file system; nothing is removed")
    removed = 0
    for entry in sorted(path.iterdir()):
        if "." in entry.name:  # the kernel's own maps.debug and progs.debug at the root
            continue
        if entry.is_dir() and not entry.is_symlink():
            removed += remove_tree(entry)
        else:
            removed += remove_pin(entry)
    if not path.is_mount():
        path.rmdir()
    return removed
