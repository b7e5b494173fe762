"""A layer's bytes without its compression, in pieces of bounded size. All members of a gzip file, all frames of zstd.

A zstd file that ends early looks whole here: whoever reads compares digests of what went in and what came out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

import zstandard

from agents.storage.wire.errors import ImageError

PIECE: Final = 1 << 20
_ZSTD_WINDOW: Final = 1 << 27
"""128 MiB, the largest that `zstd` writes without --ultra --long."""


def decompressed(stream: BinaryIO, compression: str, what: str) -> Iterator[bytes]:
    """`compression` is gzip, zstd or empty. Raises ImageError for damaged data."""
    match compression:
        case "":
            yield from iter(lambda: stream.read(PIECE), b"")
        case "gzip":
            yield from _gunzipped(stream, what)
        case "zstd":
            yield from _unzstd(stream, what)
        case _:
            raise ImageError(f"{what} is compressed with {compression}, which is not known here")


def _gunzipped(stream: BinaryIO, what: str) -> Iterator[bytes]:
    inflater = None
    data = b""
    while data := data or stream.read(PIECE):
        if inflater is None:
            data = data.lstrip(b"\0")  # gzip files may be filled up with zeros
            if not data:
                continue
            inflater = zlib.decompressobj(wbits=31)
        try:
            yield inflater.decompress(data, PIECE)
        except zlib.error as error:
            raise ImageError(f"{what} is damaged: {error}") from error
        data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        inflater = None if inflater.eof else inflater
    if inflater is not None:
        yield from _rest(inflater, what)


def _rest(inflater: zlib._Decompress, what: str) -> Iterator[bytes]:  # pyright: ignore[reportPrivateUsage]
    """What is left in the inflater after the last byte came."""
    while piece := inflater.decompress(b"", PIECE):
        yield piece
    if not inflater.eof:
        raise ImageError(f"{what} ends before its compressed data does")


def _unzstd(stream: BinaryIO, what: str) -> Iterator[bytes]:
    machine = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    with machine.stream_reader(stream, read_across_frames=True, closefd=False) as reader:
        try:
            while piece := reader.read(PIECE):
                yield piece
        except zstandard.ZstdError as error:
            raise ImageError(f"{what} is damaged: {error}") from error
