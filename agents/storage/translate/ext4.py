"""A tree as an ext4 file system that can be written to: where everything lies, then the bytes up to the last used one.

4 KiB blocks, inodes of 256 bytes (owners of 32 bits, times in nanoseconds), extents, a journal. Everything is put
at the front, group by group; behind it the disk is zero up to its size, so what is written is little more than the
image's files, and a clone of it costs nothing. Same tree, same size, same bytes. Metadata has no checksums but those of
the groups' descriptors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.storage.translate import tree
from agents.storage.translate.contents import FileBytes, Packed, PlainPiece
from agents.storage.translate.ext4_directories import directory_bytes
from agents.storage.translate.ext4_extents import Extent, extent_tree
from agents.storage.translate.ext4_geometry import (
    BLOCK,
    FIRST_INODE,
    GROUP_BLOCKS,
    GROUPS_A_GIB,
    INODE_BYTES,
    JOURNAL_INODE,
    Geometry,
    GroupUse,
    bitmaps,
    descriptors,
    superblock,
)
from agents.storage.translate.ext4_inodes import EXTENTS, inode_bytes
from agents.storage.translate.ext4_xattrs import Attributes, attributes
from agents.storage.translate.inodes import Inode, numbered
from agents.storage.translate.tree import Node
from agents.storage.wire.errors import ImageError

ROOM_GIB: Final = 10
"""What a container can write where no size was asked for."""
JOURNAL_BLOCKS: Final = 8192
_ROOT: Final = 2
_FEW_INODES, _MANY_INODES = 8192, 32_768
_MAX_FILE_BLOCKS: Final = (1 << 32) - 1
_MAX_LINKS: Final = 65_000
_FAST_SYMLINK: Final = 60
_ZEROS: Final = 1 << 20


@dataclass(slots=True, eq=False)
class _Inode(Inode):
    attributes: Attributes = field(default_factory=Attributes)
    size: int = 0
    content: bytes | None = None
    """Of a directory or a symbolic link; None where the bytes are a file's."""
    places: bytes = b""
    flags: int = 0
    blocks: int = 0
    attribute_block: int = 0

    @property
    def number(self) -> int:
        return FIRST_INODE - 1 + self.position if self.position else _ROOT

    def packed(self) -> bytes:
        return inode_bytes(
            self.node,
            links=self.links,
            size=self.size,
            flags=self.flags,
            places=self.places,
            blocks=self.blocks,
            attribute_block=self.attribute_block,
            attributes=self.attributes.inline,
        )


@dataclass(frozen=True, slots=True)
class _Placed:
    """Something in `count` blocks from `block` on, filled up with zeros."""

    block: int
    count: int
    piece: PlainPiece


@dataclass(frozen=True, slots=True)
class Image:
    geometry: Geometry
    uuid: bytes
    inodes: tuple[_Inode, ...]
    placed: tuple[_Placed, ...]
    """In the order of their places."""
    uses: tuple[GroupUse, ...]
    journal: bytes
    end: int
    """The first block behind all that is written."""

    @property
    def size(self) -> int:
        return self.end * BLOCK

    @property
    def virtual_size(self) -> int:
        return self.geometry.blocks * BLOCK

    @property
    def compressible(self) -> Sequence[Node]:
        return ()

    def compressed(self, packed: Mapping[Node, Packed]) -> Image:
        assert not packed
        return self

    def pieces(self) -> Iterator[PlainPiece]:
        yield superblock(self.geometry, self.uuid, self.uses)
        yield descriptors(self.geometry, self.uuid, self.uses)
        table = self._table()
        placed = iter(self.placed)
        following = next(placed, None)
        for group, use in enumerate(self.uses):
            yield bitmaps(self.geometry, group, use)
            yield from (next(table) for _ in range(self.geometry.inodes_a_group * INODE_BYTES // BLOCK))
            position, end = self.geometry.data(group), min(self.end, (group + 1) * GROUP_BLOCKS)
            while following is not None and following.block < end:
                assert following.block == position
                yield following.piece
                length = following.piece.length if isinstance(following.piece, FileBytes) else len(following.piece)
                yield from _zeros(following.count * BLOCK - length)
                position += following.count
                following = next(placed, None)
            yield from _zeros((end - position) * BLOCK)

    def _table(self) -> Iterator[bytes]:
        """The inode table, block by block, without end."""
        reserved = [bytes(INODE_BYTES)] * (FIRST_INODE - 1)
        reserved[_ROOT - 1] = self.inodes[0].packed()
        reserved[JOURNAL_INODE - 1] = self.journal
        pending = b"".join(reserved)
        for inode in self.inodes[1:]:
            pending += inode.packed()
            if len(pending) >= BLOCK:
                yield pending[:BLOCK]
                pending = pending[BLOCK:]
        yield pending.ljust(BLOCK, b"\0")
        while True:
            yield bytes(BLOCK)


def plan(root: Node, uuid: bytes, size_gib: int | None = None) -> Image:
    """Decide where everything of the tree lies, on a disk of `size_gib` or with ROOM_GIB to write. `uuid` has 16 bytes.
    Raises ImageError where the tree has no room."""
    inodes = numbered(root, lambda node, position, parent: _Inode(node, position, parent))
    for inode in inodes:
        _shape(inode)
    geometry = _geometry(inodes, size_gib)
    disk = _Disk(geometry)
    for inode in inodes:
        _place(inode, disk)
    journal = disk.whole(JOURNAL_BLOCKS)
    disk.placed.append(_Placed(journal, 1, _journal_superblock(uuid)))
    uses = _uses(geometry, inodes, disk.used)
    return Image(
        geometry=geometry,
        uuid=uuid,
        inodes=tuple(inodes),
        placed=tuple(disk.placed),
        uses=uses,
        journal=_journal_inode(journal),
        end=max(journal + 1, geometry.data(len(uses) - 1)),
    )


def _shape(inode: _Inode) -> None:
    node = inode.node
    inode.attributes = attributes(node.xattrs)
    if node.is_directory:
        parent = inode.parent or inode
        here = ((b".", inode.number, node.kind), (b"..", parent.number, node.kind))
        inode.content = directory_bytes((*here, *((name, one.number, one.node.kind) for name, one in inode.names)))
        inode.size = len(inode.content)
    elif node.kind == tree.SYMLINK:
        inode.content, inode.size = node.target, len(node.target)
    elif node.kind == tree.REGULAR:
        inode.size = node.size
        if inode.size > _MAX_FILE_BLOCKS * BLOCK:
            raise ImageError(f"a file of {inode.size} bytes; ext4 ends at {_MAX_FILE_BLOCKS * BLOCK} (mode block)")
    if inode.links > _MAX_LINKS and not node.is_directory:
        raise ImageError(f"a file with {inode.links} names; ext4 takes {_MAX_LINKS} (mode block)")


def _geometry(inodes: Sequence[_Inode], size_gib: int | None) -> Geometry:
    """Half of the inodes stay free where there are few files for the size."""
    taken = JOURNAL_BLOCKS + sum(1 + -(-_stored_bytes(inode) // BLOCK) for inode in inodes)
    least = -(-taken * 33 // (32 * GROUP_BLOCKS * GROUPS_A_GIB))
    gib = size_gib or least + ROOM_GIB
    groups = gib * GROUPS_A_GIB
    is_roomy = 2 * len(inodes) <= groups * _FEW_INODES
    geometry = Geometry(groups=groups, inodes_a_group=_FEW_INODES if is_roomy else _MANY_INODES)
    most = geometry.groups * geometry.inodes_a_group - FIRST_INODE + 1
    if len(inodes) > most:
        raise ImageError(f"the image has {len(inodes)} files; a disk of {gib} GiB takes {most} (virtualSizeByGB)")
    return geometry


def _stored_bytes(inode: _Inode) -> int:
    if inode.node.kind == tree.REGULAR:
        return sum(extent.length for extent in inode.node.extents)
    return inode.size


class _Disk:
    """Gives blocks from the front to the back, around what lies at the beginning of each group."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.used: list[int] = []
        """Blocks of data, group by group."""
        self.placed: list[_Placed] = []
        self._next = 0
        self._enter()

    def _enter(self) -> None:
        group = len(self.used)
        if group == self.geometry.groups:
            gib = group // GROUPS_A_GIB
            raise ImageError(f"the image's files have no room on a disk of {gib} GiB (virtualSizeByGB)")
        self.used.append(0)
        self._next = self.geometry.data(group)

    @property
    def _left(self) -> int:
        return len(self.used) * GROUP_BLOCKS - self._next

    def _take(self, count: int) -> int:
        block = self._next
        self._next += count
        self.used[-1] += count
        return block

    def take(self, most: int) -> tuple[int, int]:
        """Up to `most` blocks in a row: the first one's number, and how many they are."""
        if not self._left:
            self._enter()
        count = min(most, self._left)
        return self._take(count), count

    def whole(self, count: int) -> int:
        """Blocks that are in a row, all of them in one group."""
        if self._left < count:
            self._enter()
        return self._take(count)

    def put(self, content: bytes) -> int:
        """One block with this content."""
        block, _ = self.take(1)
        self.placed.append(_Placed(block, 1, content))
        return block


def _place(inode: _Inode, disk: _Disk) -> None:
    if inode.attributes.block:
        inode.attribute_block = disk.put(inode.attributes.block)
        inode.blocks += 1
    kind = inode.node.kind
    if kind in (tree.CHAR, tree.BLOCK_DEVICE):
        inode.places = struct.pack("<II", 0, inode.node.rdev)
    elif kind == tree.SYMLINK and inode.size < _FAST_SYMLINK:
        inode.places = inode.node.target
    elif kind in (tree.REGULAR, tree.DIRECTORY, tree.SYMLINK):
        _place_data(inode, disk)


def _place_data(inode: _Inode, disk: _Disk) -> None:
    extents: list[Extent] = []
    for first, count in _runs(inode):
        done = 0
        while done < count:
            block, taken = disk.take(count - done)
            extents.append(Extent(first + done, block, taken))
            disk.placed.append(_Placed(block, taken, _piece(inode, (first + done) * BLOCK, taken * BLOCK)))
            done += taken
        inode.blocks += count
    nodes: list[int] = []

    def place() -> int:
        nodes.append(disk.take(1)[0])
        return nodes[-1]

    found = extent_tree(extents, place)
    disk.placed.extend(_Placed(block, 1, content) for block, content in found.blocks)
    inode.blocks += len(nodes)
    inode.places, inode.flags = found.root, EXTENTS


def _runs(inode: _Inode) -> list[tuple[int, int]]:
    """First block and number of blocks of each part that is no hole."""
    if inode.content is not None:
        return [(0, -(-inode.size // BLOCK))]
    runs: list[tuple[int, int]] = []
    for extent in inode.node.extents:
        first, end = extent.start // BLOCK, -(-(extent.start + extent.length) // BLOCK)
        if runs and first <= sum(runs[-1]):
            first = runs.pop()[0]
        if end > first:
            runs.append((first, end - first))
    return runs


def _piece(inode: _Inode, start: int, length: int) -> PlainPiece:
    length = min(length, inode.size - start)
    return FileBytes(inode.node, start, length) if inode.content is None else inode.content[start : start + length]


def _uses(geometry: Geometry, inodes: Sequence[_Inode], blocks: Sequence[int]) -> tuple[GroupUse, ...]:
    """What each group holds, up to the last one that holds anything."""
    size = geometry.inodes_a_group
    count = FIRST_INODE - 2 + len(inodes)
    directories = [0] * max(len(blocks), -(-count // size))
    for inode in inodes:
        directories[(inode.number - 1) // size] += inode.node.is_directory
    return tuple(
        GroupUse(
            blocks=blocks[group] if group < len(blocks) else 0,
            inodes=min(size, max(0, count - group * size)),
            directories=directories[group],
        )
        for group in range(len(directories))
    )


def _journal_inode(block: int) -> bytes:
    found = extent_tree([Extent(0, block, JOURNAL_BLOCKS)], lambda: 0)
    return inode_bytes(
        Node(tree.REGULAR | 0o600),
        links=1,
        size=JOURNAL_BLOCKS * BLOCK,
        flags=EXTENTS,
        places=found.root,
        blocks=JOURNAL_BLOCKS,
        attribute_block=0,
        attributes=b"",
    )


def _journal_superblock(uuid: bytes) -> bytes:
    """An empty journal (include/linux/jbd2.h of Linux)."""
    head = struct.pack(">IIIIIIIII", 0xC03B_3998, 4, 0, BLOCK, JOURNAL_BLOCKS, 1, 1, 0, 0)
    return (head + bytes(12) + uuid + struct.pack(">I", 1)).ljust(BLOCK, b"\0")


def _zeros(length: int) -> Iterator[bytes]:
    while length > 0:
        yield bytes(min(length, _ZEROS))
        length -= _ZEROS
