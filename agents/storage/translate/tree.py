"""A file system as a tree of nodes in memory: what a layer holds, and what layers give together."""

from __future__ import annotations

from dataclasses import dataclass, field
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG
from typing import Final

from agents.storage.wire.tar import Extent

DIRECTORY: Final = S_IFDIR
REGULAR: Final = S_IFREG
SYMLINK: Final = S_IFLNK
CHAR: Final = S_IFCHR
BLOCK_DEVICE: Final = S_IFBLK
FIFO: Final = S_IFIFO
FILE_TYPES: Final = {REGULAR: 1, DIRECTORY: 2, CHAR: 3, BLOCK_DEVICE: 4, FIFO: 5, SYMLINK: 7}
"""What entries of directories call them, in EROFS as in ext4 (Linux, fs_types.h)."""


@dataclass(slots=True, eq=False)
class Node:
    """An inode. Hard links are one node under several names.

    `mode` holds type and permissions. `source` is the number of the layer whose tar holds `extents`. `is_implied` is a
    directory that no entry describes; containerd gives it the time of unpacking.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    rdev: int = 0
    target: bytes = b""
    source: int = 0
    extents: tuple[Extent, ...] = ()
    xattrs: dict[bytes, bytes] = field(default_factory=lambda: {})
    children: dict[bytes, Node] | None = None
    is_opaque: bool = False
    is_implied: bool = False

    @property
    def kind(self) -> int:
        return S_IFMT(self.mode)

    @property
    def is_directory(self) -> bool:
        return self.children is not None

    @property
    def is_whiteout(self) -> bool:
        """As overlayfs has it: character device 0/0."""
        return self.rdev == 0 and self.kind == CHAR


def new_directory(mode: int = 0o755, *, is_implied: bool = False) -> Node:
    return Node(DIRECTORY | mode, children={}, is_implied=is_implied)


def encoded_device(major: int, minor: int) -> int:
    """The 32 bits that mknod(2) takes and EROFS stores: 12 bits of major, 20 of minor."""
    return ((major & 0xFFF) << 8) | (minor & 0xFF) | ((minor & 0xFFF00) << 12)
