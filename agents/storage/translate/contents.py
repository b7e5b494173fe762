"""What a file system image is made of while it is written: bytes that are known, and bytes of layers' files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.storage.translate.tree import Node


@dataclass(frozen=True, slots=True)
class FileBytes:
    """`length` bytes from `start` on of a file, the rest of its extents and up to `length` zeros."""

    node: Node
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A file's extents compressed. Of each, how many blocks it takes: as many as it has where it did not shrink and is
    read from its layer; the others lie one behind the other among the packed bytes, from `start` on, blocks whole."""

    start: int
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PackedBytes:
    """`length` bytes from `start` on of the packed bytes."""

    start: int
    length: int


PlainPiece = bytes | FileBytes
Piece = PlainPiece | PackedBytes


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

    @property
    def compressible(self) -> Sequence[Node]:
        """Files that may be packed before the image is written."""
        ...

    def compressed(self, packed: Mapping[Node, Packed]) -> FileSystemImage:
        """With some of them packed. What it was before is not to be written any more."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """The image from its first byte to its last."""
        ...
