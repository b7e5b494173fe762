"""An image to volumes: read it, fetch its layers, put them together, write the volume, record it.

Each step leaves only whole things behind and finds what an earlier run has left, so a conversion that was stopped goes
on where it was. Called by `turnout image convert`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.storage.io.ingest import ingest_layers, layer_path
from agents.storage.io.layouts import Layout
from agents.storage.io.registries import Registry, RegistryOptions
from agents.storage.io.sources import Source, read_image
from agents.storage.io.store import Store, StoredImage, Volume
from agents.storage.io.trees import LayerFiles
from agents.storage.io.volumefiles import find_volume, write_volume
from agents.storage.translate.modes import EROFS, Mode
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Image, Layer, Platform
from compiler.policy.imagenames import ImageName, LayoutImage

OnProgress = Callable[[str, int, int], None]
"""(phase, bytes done, bytes in all); phases are Pulling and Converting. From several threads."""


def no_progress(phase: str, done: int, total: int) -> None:
    """For who does not want to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    image: StoredImage
    was_there: bool
    """The volume was made by an earlier conversion, of this image or of one with the same layers."""


def open_source(name: ImageName, registries: RegistryOptions) -> Source:
    return Layout(name) if isinstance(name, LayoutImage) else Registry(name, registries)


def convert(
    name: ImageName,
    platform: Platform,
    store: Store,
    on_progress: OnProgress = no_progress,
    registries: RegistryOptions | None = None,
    mode: Mode = EROFS,
) -> Converted:
    """Convert one platform's image to one volume. Raises ImageError; what was there stays as it was."""
    source = open_source(name, registries or RegistryOptions())
    try:
        image = read_image(source, platform, str(name))
        _check_layers(image, mode)
        with store.alone():
            volume = _existing(store, image, mode)
            was_there = volume is not None
            if volume is None:
                volume = write_layers(source, image.layers, mode, store.folder, on_progress)
            store.add(image, mode.name, str(name), [volume])
            _remove_layers(store, image)
    finally:
        source.close()
    return Converted(image=store.find(image.digest, mode.name), was_there=was_there)


def _check_layers(image: Image, mode: Mode) -> None:
    count = len(image.layers)
    if count > mode.most_layers:
        raise ImageError(f"the image has {count} layers; in mode {mode.name} {mode.most_layers} can be put together")


def _existing(store: Store, image: Image, mode: Mode) -> Volume | None:
    volume = store.volume(_recipe(image.layers, mode), mode.role)
    if volume is None or not find_volume(store.folder, volume.digest).exists():
        return None
    return volume


def _recipe(layers: Sequence[Layer], mode: Mode) -> str:
    return mode.recipe([layer.diff_id for layer in layers])


def write_layers(
    source: Source, layers: Sequence[Layer], mode: Mode, folder: Path, on_progress: OnProgress = no_progress
) -> Volume:
    """Fetch the layers into `folder/layers`, and write one volume of them into `folder/volumes`."""
    pulled = _Counter("Pulling", sum(layer.blob.size for layer in layers), on_progress)
    paths = ingest_layers(source, layers, folder, pulled)
    recipe = _recipe(layers, mode)
    with LayerFiles(paths) as files:
        root = mode.tree(files.trees([layer.blob.digest for layer in layers]))
        planned = mode.plan(root, bytes.fromhex(recipe)[:16])
        written = _Counter("Converting", planned.size, on_progress)
        digest = write_volume(planned, files, folder, recipe, written)
    return Volume(digest=digest, recipe=recipe, size_bytes=planned.size, role=mode.role)


def _remove_layers(store: Store, image: Image) -> None:
    for layer in image.layers:
        layer_path(store.folder, layer).unlink(missing_ok=True)


class _Counter:
    """Adds up bytes and says how far a phase is."""

    def __init__(self, phase: str, total: int, on_progress: OnProgress) -> None:
        self._phase, self._total, self._on_progress, self._done = phase, total, on_progress, 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._on_progress(self._phase, self._done, self._total)
