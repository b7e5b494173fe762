"""Compresses files of layers before the volume that gets them is written, since only then it is known where all lies.

The compressed bytes lie in a file without a name, which is gone with the process.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, cast

import lz4.block  # pyright: ignore[reportMissingTypeStubs]

from agents.storage.io.ingest import OnBytes
from agents.storage.io.trees import LayerFiles
from agents.storage.translate.contents import FileBytes, Packed, PackedBytes
from agents.storage.translate.erofs_compression import BLOCK, blocks_of, extents, is_worth_it
from agents.storage.translate.tree import Node
from agents.storage.wire.errors import ImageError

_compress = cast(Callable[..., bytes], lz4.block.compress)  # pyright: ignore[reportUnknownMemberType]
_BATCH_BYTES: Final = 1 << 20
_MOST_THREADS: Final = 4
_WAITING: Final = 8
"""Batches that are compressed or wait for being written, at most."""


class Packing:
    """Packed bytes. Called by whoever writes a volume, from one thread."""

    def __init__(self, fd: int) -> None:
        self._fd, self._end = fd, 0

    def pack(self, nodes: Sequence[Node], files: LayerFiles, on_bytes: OnBytes) -> dict[Node, Packed]:
        """Those of the files that shrink enough. `on_bytes` is told what has been read of all."""
        found: dict[Node, Packed] = {}
        shrunk = _shrunk(nodes, files)
        for node in nodes:
            start, blocks = self._end, list[int]()
            for _, length in extents(node.size):
                data = next(shrunk)
                self._add(data)
                blocks.append(len(data) // BLOCK or blocks_of(length))
                on_bytes(length)
            if is_worth_it(node.size, sum(blocks)):
                found[node] = Packed(start, tuple(blocks))
            else:
                self._end = start
        return found

    def read(self, wanted: PackedBytes) -> bytes:
        data = os.pread(self._fd, wanted.length, wanted.start)
        if len(data) < wanted.length:
            raise ImageError("what was compressed became shorter while it was read")
        return data

    def _add(self, data: bytes) -> None:
        while data:
            written = os.pwrite(self._fd, data, self._end)
            self._end, data = self._end + written, data[written:]


@contextmanager
def packing(folder: Path) -> Generator[Packing]:
    """With its bytes in the file system of a folder."""
    with TemporaryFile(dir=folder) as stream:
        yield Packing(stream.fileno())


def _shrunk(nodes: Iterable[Node], files: LayerFiles) -> Iterator[bytes]:
    """Of each extent of each file, in this order, its blocks, or nothing where it does not shrink. On as many CPUs as
    there are: compression holds up no other thread of Python."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque[Future[list[bytes]]]()
        for batch in _batches(nodes):
            if len(waiting) == _WAITING:
                yield from waiting.popleft().result()
            waiting.append(pool.submit(_compressed, files, batch))
        while waiting:
            yield from waiting.popleft().result()


def _batches(nodes: Iterable[Node]) -> Iterator[list[FileBytes]]:
    """Many small files are one turn of a thread, and a large one is many."""
    batch, size = list[FileBytes](), 0
    for node in nodes:
        for start, length in extents(node.size):
            batch.append(FileBytes(node, start, length))
            size += length
            if size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
    yield batch


def _compressed(files: LayerFiles, batch: Iterable[FileBytes]) -> list[bytes]:
    return [_blocks(b"".join(files.read(wanted))) for wanted in batch]


def _blocks(data: bytes) -> bytes:
    """Compressed, with zeros before it up to whole blocks, if these are fewer."""
    shrunk = _compress(data, store_size=False)
    count = blocks_of(len(shrunk))
    return shrunk.rjust(count * BLOCK, b"\0") if count < blocks_of(len(data)) else b""
