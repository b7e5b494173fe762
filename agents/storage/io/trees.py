"""Tars of layers to a tree, and the bytes of its files back out of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

from agents.storage.translate.applying import Budget, apply_layer
from agents.storage.translate.contents import FileBytes
from agents.storage.translate.tree import Node, new_directory
from agents.storage.wire.errors import ImageError, TarError
from agents.storage.wire.tar import entries

_PIECE: Final = 1 << 20


class LayerFiles:
    """Open tars of an image's layers, lowest first. A context manager."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._stack = ExitStack()
        self._fds = [self._open(path) for path in paths]

    def __enter__(self) -> LayerFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def trees(self, names: Sequence[str]) -> list[Node]:
        """One of each layer, lowest first. `names` are the layers' digests, for errors."""
        trees: list[Node] = []
        budget = Budget()
        for number, fd in enumerate(self._fds):
            try:
                found = entries(lambda offset, length, fd=fd: os.pread(fd, length, offset))
                trees.append(apply_layer(found, number, trees[::-1], budget))
            except TarError as error:
                raise ImageError(f"layer {number + 1} of {len(names)}, {names[number]}: {error}") from error
        return trees

    def tree_apart(self, name: str) -> Node:
        """Of the one layer there is, as if something were below it of which nothing is known: whiteouts stay."""
        try:
            (fd,) = self._fds
            found = entries(lambda offset, length: os.pread(fd, length, offset))
            return apply_layer(found, lower=[new_directory()])
        except TarError as error:
            raise ImageError(f"layer {name}: {error}") from error

    def read(self, wanted: FileBytes) -> Iterator[bytes]:
        """The bytes in pieces; zeros where no extent is."""
        position, end = wanted.start, wanted.start + wanted.length
        for extent in wanted.node.extents:
            start, stop = max(extent.start, position), min(extent.start + extent.length, end)
            if start >= stop:
                continue
            yield from _zeros(start - position)
            yield from self._stored(wanted.node.source, extent.offset + start - extent.start, stop - start)
            position = stop
        yield from _zeros(end - position)

    def _stored(self, source: int, offset: int, length: int) -> Iterator[bytes]:
        while length:
            data = os.pread(self._fds[source], min(length, _PIECE), offset)
            if not data:
                raise ImageError("a layer's file became shorter while it was read")
            yield data
            offset, length = offset + len(data), length - len(data)

    def _open(self, path: Path) -> int:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._stack.callback(os.close, fd)
        return fd


def _zeros(length: int) -> Iterator[bytes]:
    while length > 0:
        yield bytes(min(length, _PIECE))
        length -= _PIECE
