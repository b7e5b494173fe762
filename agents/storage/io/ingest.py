"""Layers from a source to the store's work folder: decompressed tars, by diff ID, that are there only when verified.

Size and digest of the compressed bytes and the digest of the others are compared before a layer gets its name. What is
there is not fetched again: that is how a conversion that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import BinaryIO, Final

from agents.storage.io.decompression import decompressed
from agents.storage.io.files import appearing, publish
from agents.storage.io.sources import Source
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Descriptor, Layer

PARALLEL: Final = 4
"""Layers at once. Hashing and decompressing let go of Python's lock."""

OnBytes = Callable[[int], None]
"""Called with how many more compressed bytes have been read; from several threads."""


class StoppedError(ImageError):
    """Another layer failed; this one was given up."""


def ingest_layers(source: Source, layers: Sequence[Layer], folder: Path, on_bytes: OnBytes) -> tuple[Path, ...]:
    """The tar of each layer, in order. The first error stops the others and is raised."""
    stop = Event()
    distinct = list({layer.diff_id: layer for layer in layers}.values())
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="layer") as pool:
        work = [pool.submit(_guarded, source, layer, folder, on_bytes, stop) for layer in distinct]
        errors = [error for future in work if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, StoppedError)):
        raise error
    return tuple(layer_path(folder, layer) for layer in layers)


def layer_path(folder: Path, layer: Layer) -> Path:
    return folder / "layers" / f"{layer.diff_id.removeprefix('sha256:')}.tar"


def _guarded(source: Source, layer: Layer, folder: Path, on_bytes: OnBytes, stop: Event) -> None:
    try:
        _ingest(source, layer, folder, on_bytes, stop)
    except BaseException:
        stop.set()
        raise


def _ingest(source: Source, layer: Layer, folder: Path, on_bytes: OnBytes, stop: Event) -> None:
    final = layer_path(folder, layer)
    partial = final.with_suffix(".part")
    if final.exists():
        on_bytes(layer.blob.size)
        return
    with source.open_blob(layer.blob) as blob, appearing(partial) as out:
        _unpack(blob, layer, out, on_bytes, stop)
        publish(out, partial, final)


def _unpack(blob: BinaryIO, layer: Layer, out: BinaryIO, on_bytes: OnBytes, stop: Event) -> None:
    what = f"layer {layer.blob.digest}"
    counted = _Counted(blob, layer.blob, on_bytes, stop)
    plain = hashlib.sha256()
    for piece in decompressed(io.BufferedReader(counted), layer.compression, what):
        plain.update(piece)
        out.write(piece)
    counted.finish()
    found = f"sha256:{plain.hexdigest()}"
    if found != layer.diff_id:
        raise ImageError(f"{what} unpacks to {found}; the image's config says {layer.diff_id}")


class _Counted(io.RawIOBase):
    """A blob that is hashed while it is read, and never longer than it should be."""

    def __init__(self, blob: BinaryIO, descriptor: Descriptor, on_bytes: OnBytes, stop: Event) -> None:
        self._blob, self._descriptor, self._on_bytes, self._stop = blob, descriptor, on_bytes, stop
        self._digest, self._taken = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self._stop.is_set():
            raise StoppedError(f"layer {self._descriptor.digest} was given up, since another failed")
        data = self._blob.read(len(buffer))
        buffer[: len(data)] = data
        self._digest.update(data)
        self._taken += len(data)
        if self._taken > self._descriptor.size:
            raise ImageError(f"layer {self._descriptor.digest} should have {self._descriptor.size} bytes and has more")
        self._on_bytes(len(data))
        return len(data)

    def finish(self) -> None:
        """Read what the decompressor left, then compare."""
        while self.read(1 << 20):
            pass
        descriptor = self._descriptor
        if self._taken != descriptor.size:
            raise ImageError(f"layer {descriptor.digest} should have {descriptor.size} bytes and has {self._taken}")
        found = f"sha256:{self._digest.hexdigest()}"
        if found != descriptor.digest:
            raise ImageError(f"layer {descriptor.digest}: what came has the digest {found}")
