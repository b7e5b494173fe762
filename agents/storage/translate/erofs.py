"""A tree as an EROFS image: where everything lies, then the bytes in the order of the image.

4 KiB blocks, extended inodes (owners of 32 bits, times in nanoseconds). Small files lie beside their inode. Larger ones
are stored as they are, their ends beside their inode, or compressed where that is asked for (erofs_compression); sparse
files are chunk-based, their holes stay holes. Linux 5.15 and newer mount it. The format:
Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux.

`plan` decides, pure; `Image.pieces` yields bytes of metadata, and for the bytes of files where they come from, so that
whoever writes them needs no more memory than the tree takes. Same tree, same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.storage.translate import erofs_compression as compression
from agents.storage.translate import tree
from agents.storage.translate.contents import FileBytes, Packed, PackedBytes, Piece
from agents.storage.translate.erofs_directories import DirectoryBlocks, directory_blocks
from agents.storage.translate.erofs_xattrs import xattr_body
from agents.storage.translate.inodes import Inode, numbered
from agents.storage.translate.tree import Node
from agents.storage.wire.errors import ImageError

BLOCK_BITS: Final = 12
BLOCK: Final = 1 << BLOCK_BITS
_SLOT: Final = 32
_INODE_BYTES: Final = 64
_META_BLOCK: Final = 1
_SUPER_OFFSET: Final = 1024
_MAGIC: Final = 0xE0F5E1E2
_CHUNKED_FEATURE: Final = 0x4
_SUPER: Final = struct.Struct("<IIIBBHQQIIII16s16sIH42x")
_INODE: Final = struct.Struct("<HHHHQIIIIQII16x")
_MAX_BLOCKS: Final = (1 << 32) - 2
_MAX_CHUNKS: Final = 1 << 20
_MAX_INLINE: Final = BLOCK - _SLOT
_NO_BLOCK: Final = 0xFFFF_FFFF

_PLAIN, _COMPRESSED, _INLINE, _CHUNKED = 0, 1, 2, 4


@dataclass(slots=True, eq=False)
class _Inode(Inode):
    xattrs: bytes = b""
    layout: int = _PLAIN
    size: int = 0
    offset: int = 0
    """In the metadata area, in bytes."""
    block: int = 0
    """The first data block, in an area of its own until the length of the metadata is known."""
    blocks: int = 0
    chunk_bits: int = 0
    chunks: tuple[int, ...] = ()
    """The first block of each chunk, _NO_BLOCK for a hole."""
    directory: DirectoryBlocks | None = None
    packed: Packed | None = None

    @property
    def head(self) -> int:
        return _INODE_BYTES + len(self.xattrs)

    @property
    def tail(self) -> int:
        """Bytes that lie behind the inode: the end of the data, the map of chunks, or the index of what is packed."""
        if self.layout == _CHUNKED:
            return 4 * len(self.chunks)
        if self.layout == _COMPRESSED:
            return -self.head % 8 + compression.index_bytes(self.size)
        return self.size % BLOCK if self.layout == _INLINE else 0


@dataclass(frozen=True, slots=True)
class Image:
    """Where everything lies. `size` is that of the whole image in bytes."""

    inodes: tuple[_Inode, ...]
    meta_blocks: int
    blocks: int
    uuid: bytes
    compresses: bool

    @property
    def size(self) -> int:
        return self.blocks * BLOCK

    @property
    def virtual_size(self) -> int:
        return self.size

    @property
    def inode_count(self) -> int:
        return len(self.inodes)

    @property
    def compressible(self) -> Sequence[Node]:
        return [inode.node for inode in self.inodes if _may_be_packed(inode)] if self.compresses else ()

    def compressed(self, packed: Mapping[Node, Packed]) -> Image:
        """The inodes are those of this image, laid out anew."""
        if not packed:
            return self
        for inode in self.inodes:
            if inode.node in packed:
                inode.layout, inode.packed = _COMPRESSED, packed[inode.node]
        return _laid_out(self.inodes, self.uuid, self.compresses)

    def pieces(self) -> Iterator[Piece]:
        """The image from its first byte to its last."""
        yield self._super_block()
        yield from self._metadata()
        for inode in self.inodes:
            yield from self._data(inode)

    @property
    def _data_block(self) -> int:
        return _META_BLOCK + self.meta_blocks

    def _super_block(self) -> bytes:
        layouts = {inode.layout for inode in self.inodes}
        features = _CHUNKED_FEATURE if _CHUNKED in layouts else 0
        algorithms, configuration = 0, b""
        if _COMPRESSED in layouts:
            features |= compression.FEATURES
            algorithms, configuration = compression.ALGORITHMS, compression.CONFIGURATION
        root_nid = self.inodes[0].offset // _SLOT
        packed = _SUPER.pack(
            _MAGIC, 0, 0, BLOCK_BITS, 0, root_nid, len(self.inodes), 0, 0, self.blocks, _META_BLOCK, 0,
            self.uuid, b"", features, algorithms,
        )  # fmt: skip
        return (bytes(_SUPER_OFFSET) + packed + configuration).ljust(BLOCK, b"\0")

    def _metadata(self) -> Iterator[Piece]:
        position = 0
        for inode in self.inodes:
            yield bytes(inode.offset - position)
            yield self._inode_bytes(inode) + inode.xattrs
            yield from self._tail(inode)
            position = inode.offset + inode.head + inode.tail
        yield bytes(self.meta_blocks * BLOCK - position)

    def _inode_bytes(self, inode: _Inode) -> bytes:
        node = inode.node
        icount = (len(inode.xattrs) - 12) // 4 + 1 if inode.xattrs else 0
        seconds, nanoseconds = divmod(node.mtime_ns, 1_000_000_000)
        return _INODE.pack(
            1 | inode.layout << 1, icount, node.mode, 0, inode.size, self._union(inode), inode.position + 1,
            node.uid, node.gid, seconds, nanoseconds, inode.links,
        )  # fmt: skip

    def _union(self, inode: _Inode) -> int:
        """The field that means something else in each layout and kind."""
        if inode.node.kind in (tree.CHAR, tree.BLOCK_DEVICE):
            return inode.node.rdev
        if inode.layout == _CHUNKED:
            return inode.chunk_bits - BLOCK_BITS
        if inode.layout == _COMPRESSED:
            return inode.blocks
        return self._data_block + inode.block if inode.blocks else 0

    def _tail(self, inode: _Inode) -> Iterator[Piece]:
        if inode.layout == _CHUNKED:
            places = (b if b == _NO_BLOCK else self._data_block + b for b in inode.chunks)
            yield struct.pack(f"<{len(inode.chunks)}I", *places)
        elif inode.packed is not None:
            yield bytes(-inode.head % 8)
            yield compression.index(inode.size, inode.packed, self._data_block + inode.block)
        elif inode.tail:
            yield from self._content(inode, inode.size - inode.tail, inode.tail)

    def _data(self, inode: _Inode) -> Iterator[Piece]:
        if inode.layout == _CHUNKED:
            chunk = 1 << inode.chunk_bits
            for index, block in enumerate(inode.chunks):
                if block != _NO_BLOCK:
                    length = min(chunk, inode.size - index * chunk)
                    yield FileBytes(inode.node, index * chunk, length)
                    yield bytes(-length % BLOCK)
        elif inode.packed is not None:
            yield from _packed_data(inode.node, inode.packed)
        elif inode.blocks:
            length = inode.size - inode.tail
            yield from self._content(inode, 0, length)
            yield bytes(-length % BLOCK)

    def _content(self, inode: _Inode, start: int, length: int) -> Iterator[Piece]:
        if inode.directory is not None:
            numbers = {name: other.offset // _SLOT for name, other in inode.names}
            yield inode.directory.content(numbers, start, length)
        elif inode.node.kind == tree.SYMLINK:
            yield inode.node.target[start : start + length]
        else:
            yield FileBytes(inode.node, start, length)


def plan(root: Node, uuid: bytes, *, compresses: bool = False) -> Image:
    """Decide where everything of the tree lies. `uuid` (16 bytes) goes into the superblock. Files may be packed if it
    `compresses`."""
    inodes = _numbered(root)
    for inode in inodes:
        _shape(inode)
    return _laid_out(inodes, uuid, compresses)


def _laid_out(inodes: Sequence[_Inode], uuid: bytes, compresses: bool) -> Image:
    position = block = 0
    for inode in inodes:
        block = _place_data(inode, block)
        position = _place_inode(inode, position)
    meta_blocks = -(-position // BLOCK)
    blocks = _META_BLOCK + meta_blocks + block
    if blocks > _MAX_BLOCKS:
        raise ImageError(f"the image would take {blocks * BLOCK} bytes; EROFS ends at {_MAX_BLOCKS * BLOCK}")
    return Image(tuple(inodes), meta_blocks, blocks, uuid, compresses)


def _numbered(root: Node) -> list[_Inode]:
    """Names sorted by their bytes, `.` and `..` among them, as look-ups need them."""
    inodes = numbered(root, lambda node, position, parent: _Inode(node, position, parent))
    for inode in inodes:
        if inode.node.is_directory:
            inode.names = sorted([*inode.names, (b".", inode), (b"..", inode.parent or inode)])
    return inodes


def _shape(inode: _Inode) -> None:
    node = inode.node
    inode.xattrs = xattr_body(node.xattrs)
    if node.is_directory:
        inode.directory = directory_blocks([(name, other.node.kind) for name, other in inode.names])
        inode.size = inode.directory.size
    elif node.kind == tree.SYMLINK:
        inode.size = len(node.target)
    elif node.kind == tree.REGULAR:
        inode.size = node.size
        if sum(extent.length for extent in node.extents) < node.size:
            inode.layout, inode.chunk_bits = _CHUNKED, _chunk_bits(node.size)
            return
    if 0 < inode.size % BLOCK <= _MAX_INLINE:
        inode.layout = _INLINE


def _may_be_packed(inode: _Inode) -> bool:
    """Not what lies beside its inode as a whole, and nothing with holes."""
    return inode.node.kind == tree.REGULAR and inode.layout != _CHUNKED and inode.size > _MAX_INLINE


def _packed_data(node: Node, packed: Packed) -> Iterator[Piece]:
    position = packed.start
    for (start, length), blocks in zip(compression.extents(node.size), packed.blocks, strict=True):
        if blocks < compression.blocks_of(length):
            yield PackedBytes(position, blocks * BLOCK)
            position += blocks * BLOCK
        else:
            yield FileBytes(node, start, length)
            yield bytes(-length % BLOCK)


def _chunk_bits(size: int) -> int:
    """Chunks of one block, or larger ones when the map would grow out of bounds."""
    bits = BLOCK_BITS
    while size > _MAX_CHUNKS << bits:
        bits += 1
    return bits


def _place_data(inode: _Inode, block: int) -> int:
    """Give blocks from `block` on; returns the next free one."""
    if inode.layout == _CHUNKED:
        chunks: list[int] = []
        for index in _chunk_holds_data(inode):
            chunks.append(block if index >= 0 else _NO_BLOCK)
            if index >= 0:
                length = min(1 << inode.chunk_bits, inode.size - (index << inode.chunk_bits))
                block += -(-length // BLOCK)
        inode.chunks = tuple(chunks)
        return block
    inode.block = block
    inode.blocks = sum(inode.packed.blocks) if inode.packed is not None else -(-(inode.size - inode.tail) // BLOCK)
    return block + inode.blocks


def _chunk_holds_data(inode: _Inode) -> Iterator[int]:
    """For each chunk its index, or -1 when it is a hole. Extents are in order."""
    extents = iter(inode.node.extents)
    extent = next(extents, None)
    for index in range(-(-inode.size // (1 << inode.chunk_bits))):
        start, end = index << inode.chunk_bits, (index + 1) << inode.chunk_bits
        while extent is not None and extent.start + extent.length <= start:
            extent = next(extents, None)
        yield index if extent is not None and extent.start < end else -1


def _place_inode(inode: _Inode, position: int) -> int:
    """At the next slot from which on the tail does not cross a block; returns the end of what lies there."""
    offset = -(-position // _SLOT) * _SLOT
    if inode.layout == _INLINE:
        within = (offset + inode.head) % BLOCK
        if within + inode.tail > BLOCK:
            offset += -(-(BLOCK - within) // _SLOT) * _SLOT
    inode.offset = offset
    return offset + inode.head + inode.tail
