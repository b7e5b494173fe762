"""A folder with a volume for each layer of the converted images, for containerd's own EROFS snapshotter (2.4 on).

    FOLDER/sha256/AB/ABCD....erofs    by diff ID, which is how that snapshotter looks a layer up
    FOLDER/work/                      what is being fetched and written, or on its way out

A layer is here what that snapshotter takes one for: it lies by itself, whiteouts included, whatever is below it. So
layers are read once more from where the image came, not taken from its volume, where they have been put together. Where
a layer alone gives the same bytes as a volume of the store, as most images of one layer do, the entry is that volume.

Which entries containerd still has is containerd's to know: they stay, unless it can be asked. Called by `turnout agent
storage`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Final

from agents.storage.conversion import open_source
from agents.storage.io.chains import converted_names, image_of, layer_ids
from agents.storage.io.containerdsnapshots import labelled
from agents.storage.io.events import Events, Kind
from agents.storage.io.files import fsync_directory, only_one
from agents.storage.io.ingest import ingest_layers, layer_path
from agents.storage.io.leavingentries import LeavingEntries
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.trees import LayerFiles
from agents.storage.io.volumefiles import SUFFIX, volume_path, write_volume
from agents.storage.translate.erofs import plan
from agents.storage.translate.modes import EROFS
from agents.storage.translate.overlaying import mark_opaque
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Image, Layer
from compiler.policy.imagenames import parse_image_name

_LOOK_S: Final = 1.0
_ASK_S: Final = 5.0
"""Between two looks at what may go, of which each asks containerd if there is anything."""
_SNAPSHOTTER, _LABEL = "erofs", "io.containerd.erofs.v1/blob.ref"
"""containerd's, and where a snapshot of it says which entry it is."""
_LOG: Final = logging.getLogger(__name__)


class LayerCache:
    def __init__(
        self,
        folder: Path,
        store: Path,
        registries: RegistryOptions | None = None,
        containerd: Path | None = None,
        events: Events | None = None,
    ) -> None:
        """`containerd` is its socket; without, entries stay."""
        self._folder, self._work, self._store = folder, folder / "work", store
        self._registries, self._events = registries or RegistryOptions(), events or Events()
        for name in ("layers", "volumes"):
            (self._work / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._alone = only_one(self._work / "lock", "another agent fills this layer cache")
        self._leaving = None if containerd is None else LeavingEntries(folder, lambda: _names(containerd))
        self._asked_at = 0.0
        self._said: str = ""

    def close(self) -> None:
        self._alone.close()

    def watch(self, stop: Event) -> None:
        """Until `stop`, publish what is converted. What could not be had is tried again once something has changed."""
        seen: frozenset[tuple[int, str]] | None = None
        while not stop.is_set():
            self._drop_unneeded()
            try:
                found = converted_names(self._store)
                if found != seen:
                    self.publish(frozenset(key for key, _ in found))
                seen = found
            except (ImageError, OSError) as error:
                _LOG.warning("layer cache %s: %s", self._folder, error)
            stop.wait(_LOOK_S)

    def _drop_unneeded(self) -> None:
        """What is the matter is said once."""
        if self._leaving is None or time.monotonic() - self._asked_at < _ASK_S:
            return
        said = ""
        try:
            self._leaving.look(layer_ids(self._store))
        except (ImageError, OSError) as error:
            said = f"layer cache {self._folder} keeps what nobody may need: {error}"
        if said and said != self._said:
            _LOG.warning("%s", said)
        self._said, self._asked_at = said, time.monotonic()

    def publish(self, images: frozenset[int]) -> None:
        """An entry for every layer of these images."""
        for key in sorted(images):
            try:
                self._publish(key)
            except ImageError as error:
                _LOG.warning("layer cache %s lacks layers: %s", self._folder, error)

    def entry(self, diff_id: str) -> Path:
        """Where containerd looks for a layer."""
        algorithm, _, digest = diff_id.partition(":")
        return self._folder / algorithm / digest[:2] / f"{digest}{SUFFIX}"

    def _publish(self, key: int) -> None:
        image, names = image_of(self._store, key)
        problems: list[str] = []
        for name in names:
            if missing := self._missing(image):
                problems += [f"{name}: {problem}" for problem in self._write_from(name, missing)]
        if self._missing(image):
            raise ImageError("; ".join(problems) or f"image {image.digest} has no name to fetch them by")

    def _missing(self, image: Image) -> list[Layer]:
        return [layer for layer in image.layers if not self.entry(layer.diff_id).exists()]

    def _write_from(self, name: str, layers: Sequence[Layer]) -> list[str]:
        """One after the other, so that no more than one lies there unpacked. Returns why some could not be had."""
        problems: list[str] = []
        try:
            source = open_source(parse_image_name(name), self._registries)
        except ImageError as error:
            return [str(error)]
        try:
            for layer in layers:
                try:
                    self._write(layer, *ingest_layers(source, [layer], self._work, _uncounted))
                except ImageError as error:
                    problems.append(str(error))
                finally:
                    layer_path(self._work, layer).unlink(missing_ok=True)
        finally:
            source.close()
        return problems

    def _write(self, layer: Layer, path: Path) -> None:
        recipe = EROFS.recipe([layer.diff_id])
        with LayerFiles([path]) as files:
            root = mark_opaque(files.tree_apart(layer.blob.digest))
            image = plan(root, bytes.fromhex(recipe)[:16])
            digest = write_volume(image, files, self._work, recipe, _uncounted).digest
        written, final = volume_path(self._work, digest), self.entry(layer.diff_id)
        final.parent.mkdir(parents=True, exist_ok=True)
        self._share(digest, written)
        written.rename(final)
        fsync_directory(final.parent)
        self._events.tell(Kind.LAYER_CACHED, layer=layer.diff_id)

    def _share(self, digest: str, written: Path) -> None:
        """The store's volume in place of the same bytes again, if it is there and on this file system."""
        shared = written.with_suffix(".shared")
        shared.unlink(missing_ok=True)
        try:
            os.link(volume_path(self._store, digest), shared)
        except OSError:
            return
        shared.rename(written)


def _names(containerd: Path) -> frozenset[str]:
    """File names of the entries that snapshots have."""
    return frozenset(Path(entry).name for entry in labelled(containerd, _SNAPSHOTTER, _LABEL))


def _uncounted(count: int) -> None:
    """Nobody waits for these bytes."""
