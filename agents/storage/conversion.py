"""An image to volumes: read it, fetch its layers, put them together, write the volume, record it.

Each step leaves only whole things behind and finds what an earlier run has left, so a conversion that was stopped goes
on where it was. Called by `turnout image convert`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from agents.storage.io.adoptionrecords import disown
from agents.storage.io.ingest import ingest_layers, layer_path
from agents.storage.io.layouts import Layout
from agents.storage.io.registries import Registry
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.signatures import require_signature
from agents.storage.io.sources import Source, read_image
from agents.storage.io.store import Store, StoredImage, Volume
from agents.storage.io.trees import LayerFiles
from agents.storage.io.volumefiles import find_volume, remote_path, remote_volume, work_bytes, write_volume
from agents.storage.translate.division import common, divide, history_breaks
from agents.storage.translate.modes import EROFS, Mode
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Image, Layer, Platform
from compiler.policy.imagenames import ImageName, LayoutImage
from compiler.policy.signingkeys import SigningKey

OnProgress = Callable[[str, int, int], None]
"""(phase, bytes done, bytes in all); phases are Pulling, Converting and Publishing. From several threads."""


def no_progress(phase: str, done: int, total: int) -> None:
    """For who does not want to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    image: StoredImage
    original: Image
    was_there: bool
    """The volume was made by an earlier conversion, of this image or of one with the same layers."""
    signed_by: SigningKey | None = None
    """The key that the image is signed by, where that was asked for."""


def open_source(name: ImageName, registries: RegistryOptions) -> Source:
    return Layout(name) if isinstance(name, LayoutImage) else Registry(name, registries)


def convert(
    name: ImageName,
    platform: Platform,
    store: Store,
    on_progress: OnProgress = no_progress,
    registries: RegistryOptions | None = None,
    mode: Mode = EROFS,
    signed_by: Sequence[SigningKey] = (),
) -> Converted:
    """Convert one platform's image to volumes. Where keys are given, one of them must have signed it, also when the
    volumes are there. Raises ImageError; what was there stays as it was."""
    source = open_source(name, registries or RegistryOptions())
    try:
        image = read_image(source, platform, str(name))
        _check_layers(image, mode)
        key = require_signature(source, image, signed_by, str(name)) if signed_by else None
        with store.alone():
            parts = _parts(store, image, mode)
            volumes = {part.recipe: found for part in parts if (found := _existing(store, part)) is not None}
            missing = [part for part in parts if part.recipe not in volumes]
            written = write_parts(source, image.layers, missing, store.folder, on_progress) if missing else []
            volumes |= {volume.recipe: volume for volume in written}
            store.add(image, mode.name, str(name), [volumes[part.recipe] for part in parts])
            disown(store.folder, (image.digest, mode.name))
            for volume in written:
                remote_path(store.folder, volume.digest).unlink(missing_ok=True)
            _remove_layers(store, image)
    finally:
        source.close()
    stored = store.find(image.digest, mode.name)
    return Converted(image=stored, original=image, was_there=not missing, signed_by=key)


def _check_layers(image: Image, mode: Mode) -> None:
    count = len(image.layers)
    if count > mode.most_layers:
        raise ImageError(f"the image has {count} layers; in mode {mode.name} {mode.most_layers} can be put together")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Layers of an image, numbers `start` up to `end`, that become one volume."""

    start: int
    end: int
    mode: Mode
    recipe: str
    """Of the layers below as well: what these change depends on them."""


def _parts(store: Store, image: Image, mode: Mode) -> list[Part]:
    """An image that is there stays divided as it is."""
    there = store.same(image.digest, mode.name)
    if there is not None:
        parts = _divided(image, mode, tuple(volume.layers for volume in there.volumes[:-1]))
        if [part.recipe for part in parts] == [volume.recipe for volume in there.volumes]:
            return parts
    return _divided(image, mode, _division(store, image) if mode.is_divided else ())


def _divided(image: Image, mode: Mode, places: Sequence[int]) -> list[Part]:
    diff_ids = [layer.diff_id for layer in image.layers]
    spans = pairwise((0, *places, len(diff_ids)))
    return [
        Part(start=start, end=end, mode=part, recipe=part.recipe(diff_ids[:end]))
        for start, end in spans
        for part in (mode.part(start),)
    ]


def _division(store: Store, image: Image) -> tuple[int, ...]:
    """Where the image parts from images of the store, those that end there first, then where most is shared."""
    diff_ids = [layer.diff_id for layer in image.layers]
    others = [other for other in store.images() if other.mode == EROFS.name]
    ends = {other: [volume.layers or len(other.layers) for volume in other.volumes] for other in others}
    same = {other: common(diff_ids, [diff_id for _, diff_id in other.layers]) for other in others}
    whole = sorted({end for other in others for end in ends[other] if end <= same[other]}, reverse=True)
    parting = sorted(set(same.values()), reverse=True)
    return divide(len(diff_ids), (*whole[:1], *parting[:1], *whole[1:]), history_breaks(image.config))


def _existing(store: Store, part: Part) -> Volume | None:
    """On this node: one that is read from another goes with that."""
    volume = store.volume(part.recipe, part.mode.role, part.end)
    if volume is None:
        return None
    path = find_volume(store.folder, volume.digest)
    return volume if path.exists() and remote_volume(path) is None else None


def write_layers(source: Source, layers: Sequence[Layer], mode: Mode, folder: Path) -> Volume:
    """Fetch the layers into `folder/layers`, and write one volume of them all into `folder/volumes`."""
    recipe = mode.recipe([layer.diff_id for layer in layers])
    (volume,) = write_parts(source, layers, [Part(start=0, end=len(layers), mode=mode, recipe=recipe)], folder)
    return volume


def write_parts(
    source: Source, layers: Sequence[Layer], parts: Sequence[Part], folder: Path, on_progress: OnProgress = no_progress
) -> list[Volume]:
    """Fetch the layers, those below a part included, and write a volume of each part."""
    end = max(part.end for part in parts)
    pulled = PhaseCounter("Pulling", sum(layer.blob.size for layer in layers[:end]), on_progress)
    paths = ingest_layers(source, layers[:end], folder, pulled)
    volumes: list[Volume] = []
    with LayerFiles(paths) as files:
        trees = files.trees([layer.blob.digest for layer in layers[:end]])
        plans = [
            part.mode.plan(part.mode.tree(trees[part.start : part.end]), bytes.fromhex(part.recipe)[:16])
            for part in parts
        ]
        written = PhaseCounter("Converting", sum(map(work_bytes, plans)), on_progress)
        for part, planned in zip(parts, plans, strict=True):
            made = write_volume(planned, files, folder, part.recipe, written)
            volumes.append(
                Volume(
                    digest=made.digest,
                    recipe=part.recipe,
                    size_bytes=made.size_bytes,
                    role=part.mode.role,
                    layers=part.end,
                )
            )
    return volumes


def _remove_layers(store: Store, image: Image) -> None:
    for layer in image.layers:
        layer_path(store.folder, layer).unlink(missing_ok=True)


class PhaseCounter:
    """Adds up bytes and says how far a phase is."""

    def __init__(self, phase: str, total: int, on_progress: OnProgress) -> None:
        self._phase, self._total, self._on_progress, self._done = phase, total, on_progress, 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._on_progress(self._phase, self._done, self._total)
