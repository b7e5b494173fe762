"""A converted image into a registry, where any containerd pulls and runs it: what it was made of, byte for byte.

Layers, configs and manifests are those of the source, under an index that has hints about the volumes. Layers come
from the source: none is kept compressed. Called by `turnout image convert`.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from agents.storage.conversion import Converted, OnProgress, PhaseCounter, no_progress, open_source
from agents.storage.io.destinations import Destination, Way
from agents.storage.io.ingest import PARALLEL
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.sources import Source
from agents.storage.io.store import Store
from agents.storage.io.uploads import OnBytes
from agents.storage.wire.errors import ImageError
from agents.storage.wire.hints import INDEX_TYPE, Block, Hinted, print_index
from agents.storage.wire.oci import Descriptor, manifest_type, parse_manifest
from compiler.policy.imagenames import ImageName, RegistryImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """`digest` is the index's; the others count layers and configs by how they came into the repository."""

    name: str
    digest: str
    there: int
    mounted: int
    sent: int


def publish(
    name: ImageName,
    images: Sequence[Converted],
    destination: RegistryImage,
    store: Store,
    registries: RegistryOptions | None = None,
    on_progress: OnProgress = no_progress,
) -> Published:
    """Push an image's platforms; the tag means these from then on. What a push that was stopped has left in the
    repository is not sent again. Raises ImageError with what the registry said."""
    options = registries or RegistryOptions()
    for one in images:
        _check_layers(one)
    source = open_source(name, options)
    place = Destination(destination, name, options)
    try:
        ways = _bring_all(place, source, images, on_progress)
        index = print_index([_hinted(one) for one in images])
        for one in images:
            manifest, digest = one.original.manifest, one.original.digest
            place.put_manifest(digest, manifest_type(manifest), manifest, digest)
        digest = f"sha256:{hashlib.sha256(index).hexdigest()}"
        place.put_manifest(destination.tag, INDEX_TYPE, index, digest)
    finally:
        place.close()
        source.close()
    for one in images:
        store.add_name(one.image, str(destination))
    return Published(
        name=str(destination), digest=digest, there=ways[Way.THERE], mounted=ways[Way.MOUNTED], sent=ways[Way.SENT]
    )


def _check_layers(one: Converted) -> None:
    for layer in one.original.layers:
        if not layer.blob.may_be_pushed:
            raise ImageError(f"layer {layer.blob.digest} is of type '{layer.blob.media_type}': it may not be pushed")


def _bring_all(
    place: Destination, source: Source, images: Sequence[Converted], on_progress: OnProgress
) -> Counter[Way]:
    """Several at once; after the first error no other is begun."""
    layers = {layer.blob.digest: layer.blob for one in images for layer in one.original.layers}
    counted = PhaseCounter("Publishing", sum(blob.size for blob in layers.values()), on_progress)
    configs = [
        (parse_manifest(one.original.manifest, "manifest").config, partial(io.BytesIO, one.original.config))
        for one in images
    ]
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="push") as pool:
        work = [
            *(pool.submit(_bring, place, blob, partial(source.open_blob, blob), counted) for blob in layers.values()),
            *(pool.submit(place.bring, config, opened, _uncounted) for config, opened in configs),
        ]
        try:
            return Counter(future.result() for future in work)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _bring(place: Destination, blob: Descriptor, opened: partial[BinaryIO], counted: OnBytes) -> Way:
    way = place.bring(blob, opened, counted)
    if way is not Way.SENT:
        counted(blob.size)
    return way


def _hinted(one: Converted) -> Hinted:
    blocks = tuple(
        Block(
            name=volume.digest,
            role=volume.role,
            layers=volume.layers or len(one.original.layers),
            size_bytes=volume.size_bytes,
        )
        for volume in one.image.volumes
    )
    return Hinted(
        media_type=manifest_type(one.original.manifest),
        digest=one.original.digest,
        size=len(one.original.manifest),
        platform=one.original.platform,
        mode=one.image.mode,
        blocks=blocks,
    )


def _uncounted(count: int) -> None:
    """A config is small."""
