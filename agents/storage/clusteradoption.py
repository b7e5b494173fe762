"""Images of another node because a cluster says so: exactly what it says, known again, and taken away again.

What is adopted is named by digest, image and volumes: what a server has instead is refused. What was in the store
before, or is converted here later, is left alone. Called by agents.imageadopter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agents.storage.adoption import record_image, served_images
from agents.storage.io.adoptionrecords import (
    AdoptionRecord,
    ImageKey,
    find_adoption,
    forget_adoption,
    is_adopted,
    write_adoption,
)
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.store import Store, StoredImage
from agents.storage.io.volumefiles import trace_path, volume_paths
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import CatalogImage, Server

_WAIT_S: Final = 2.0
"""For the store: a conversion on this node has it for minutes, and others are to be told of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedImage:
    """`names` it is to have here, and its `volumes`, the lowest first."""

    digest: str
    mode: str
    names: tuple[str, ...]
    volumes: tuple[str, ...]

    @property
    def key(self) -> ImageKey:
        return self.digest, self.mode


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAdoption:
    """What an ImageConversion, NAMESPACE/NAME, has come to. `content` changes with images and volumes."""

    uid: str
    conversion: str
    content: str
    server: Server
    images: tuple[WantedImage, ...]


def catalog_of(server: Server, tls: NbdTls | None) -> Mapping[ImageKey, CatalogImage]:
    """Raises ImageError where it cannot be had."""
    return {(one.image.digest, one.mode): one for one in served_images(server, tls)}


def has_adopted(wanted: WantedAdoption, store: Store, there: Mapping[ImageKey, StoredImage]) -> bool:
    """All of it is here, from where it is to be had; `there` is what the store has."""
    record = find_adoption(store.folder, wanted.uid)
    is_done = record is not None and (record.content, record.server) == (wanted.content, str(wanted.server))
    return is_done and all(_has(one, there.get(one.key), store) for one in wanted.images)


def _has(image: WantedImage, there: StoredImage | None, store: Store) -> bool:
    if there is None or not set(image.names) <= set(there.names):
        return False
    return _volumes(there) == image.volumes or not is_adopted(store.folder, image.key)


def adopt_exactly(wanted: WantedAdoption, catalog: Mapping[ImageKey, CatalogImage], store: Store) -> None:
    """Record it, and let go of what the same ImageConversion was before. Raises ImageError with nothing changed where
    the server has not exactly that, or another process has the store."""
    found = [_served(one, catalog, wanted.server) for one in wanted.images]
    with store.alone(_WAIT_S):
        before = find_adoption(store.folder, wanted.uid)
        record = _begun(wanted, before, store)
        write_adoption(store.folder, record)
        for image, served in zip(wanted.images, found, strict=True):
            _record(image, served, wanted.server, store)
        keys = {image.key for image in wanted.images}
        _remove((one for one in record.images if one not in keys), wanted.uid, store)
        volumes = {volume for image in wanted.images for volume in image.volumes}
        _unlink((one for one in record.volumes if one not in volumes), store)
        kept = tuple(one for one in record.images if one in keys)
        write_adoption(
            store.folder, replace(record, content=wanted.content, images=kept, volumes=tuple(sorted(volumes)))
        )


def _served(image: WantedImage, catalog: Mapping[ImageKey, CatalogImage], server: Server) -> CatalogImage:
    served = catalog.get(image.key)
    if served is None:
        raise ImageError(f"{server} has no image {image.digest} in mode {image.mode}")
    digests = tuple(volume.digest for volume in served.volumes)
    if digests != image.volumes:
        raise ImageError(
            f"{server}: image {image.digest} has the volumes {', '.join(digests)}, "
            f"and the ImageConversion says {', '.join(image.volumes)}"
        )
    return replace(served, names=image.names)


def _begun(wanted: WantedAdoption, before: AdoptionRecord | None, store: Store) -> AdoptionRecord:
    """What may be in the store from now on, and was not there before any adoption."""
    own = () if before is None else before.images
    ours = [
        image.key
        for image in wanted.images
        if store.same(*image.key) is None or is_adopted(store.folder, image.key, without=wanted.uid)
    ]
    volumes = {volume for image in wanted.images for volume in image.volumes}
    return AdoptionRecord(
        uid=wanted.uid,
        conversion=wanted.conversion,
        server=str(wanted.server),
        images=tuple(dict.fromkeys((*own, *ours))),
        volumes=tuple(sorted(volumes.union(() if before is None else before.volumes))),
    )


def _record(image: WantedImage, served: CatalogImage, server: Server, store: Store) -> None:
    """An image with other volumes, if it was adopted itself, gets these instead."""
    there = store.same(*image.key)
    if there is not None and _volumes(there) != image.volumes and is_adopted(store.folder, image.key):
        store.remove(there)
        store.drop_unused()
    record_image(served, server, store)


def _volumes(image: StoredImage) -> tuple[str, ...]:
    return tuple(volume.digest for volume in image.volumes)


def let_go(uid: str, store: Store) -> None:
    """Take away what was adopted for this ImageConversion, and for no other one. Containers keep what they have.
    Raises ImageError where another process has the store."""
    with store.alone(_WAIT_S):
        record = find_adoption(store.folder, uid)
        if record is None:
            return
        _remove(record.images, uid, store)
        _unlink(record.volumes, store)
        forget_adoption(store.folder, uid)


def _remove(images: Iterable[ImageKey], uid: str, store: Store) -> None:
    for key in images:
        there = store.same(*key)
        if there is not None and not is_adopted(store.folder, key, without=uid):
            store.remove(there)


def _unlink(volumes: Iterable[str], store: Store) -> None:
    """Files of those that no image has any more. Nothing else is looked at: a conversion that was stopped goes on."""
    left = set(volumes)
    for digest in left - set(store.drop_unused()) if left else ():
        for path in (*volume_paths(store.folder, digest), trace_path(store.folder, digest)):
            path.unlink(missing_ok=True)
            path.with_suffix(f"{path.suffix}.part").unlink(missing_ok=True)


def adopted_conversions(records: Sequence[AdoptionRecord], image: ImageKey) -> tuple[str, ...]:
    """NAMESPACE/NAME of those that an image is here for."""
    return tuple(sorted(record.conversion for record in records if image in record.images))
