"""What a file system image is made of while it is written: bytes that are known, and bytes of layers' files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agents.storage.translate.tree import Node


@dataclass(frozen=True, slots=True)
class FileBytes:
    """`length` bytes from `start` on of a file, the rest of its extents and up to `length` zeros."""

    node: Node
    start: int
    length: int


Piece = bytes | FileBytes


class FileSystemImage(Protocol):
    """An image whose layout is decided. Whoever writes it needs no more memory than the tree takes."""

    @property
    def size(self) -> int:
        """Of what `pieces` yields, in bytes."""
        ...

    @property
    def virtual_size(self) -> int:
        """Of the device that it is mounted from: behind the pieces, all is zero."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """The image from its first byte to its last."""
        ...
