"""Images of another node: recorded in this node's store, their volumes left where they are.

`turnout image serve` on that node says what it has (its catalog) and lets others read it. Here each volume is a small
file that says where it is; the agent attaches it when a container needs it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Final

from agents.storage.io.nbdclient import NbdClient
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.store import Store, StoredImage, Volume
from agents.storage.io.volumefiles import write_remote, write_trace
from agents.storage.translate.modes import EROFS, OVERLAYFS
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import CATALOG, CatalogImage, CatalogVolume, RemoteVolume, Server, parse_catalog

_MOST_CATALOG_BYTES: Final = 256 << 20
_MODES: Final = (EROFS.name, OVERLAYFS.name)


def adopt(server: Server, wanted: Collection[str], store: Store, tls: NbdTls | None = None) -> tuple[StoredImage, ...]:
    """Record what the server has: all of it, or the images of these names. An image that is there already is left with
    the volumes that are there. Raises ImageError, with nothing recorded where a wanted image is missing."""
    images = served_images(server, tls)
    chosen = [one for one in images if not wanted or set(wanted) & set(one.names)]
    known = {name for one in chosen for name in one.names}
    if missing := sorted(set(wanted) - known):
        raise ImageError(f"{server} has no image '{missing[0]}'")
    with store.alone():
        return tuple(record_image(one, server, store) for one in chosen)


def served_images(server: Server, tls: NbdTls | None) -> tuple[CatalogImage, ...]:
    """What it says that it has, each manifest and config the one that its digest says."""
    with NbdClient(server, CATALOG, tls=tls) as client:
        if client.size > _MOST_CATALOG_BYTES:
            raise ImageError(f"{server}: the catalog has {client.size} bytes; {_MOST_CATALOG_BYTES} are taken")
        images = parse_catalog(client.read(), f"{server}: the catalog")
    for one in images:
        _check(one, server)
    return images


def _check(one: CatalogImage, server: Server) -> None:
    what = f"{server}: image {one.image.digest}"
    if one.mode not in _MODES:
        raise ImageError(f"{what} is in mode '{one.mode[:50]}'; from other nodes {' and '.join(_MODES)} are taken")
    if not one.names or not one.volumes:
        raise ImageError(f"{what} has no name or no volume")


def record_image(one: CatalogImage, server: Server, store: Store) -> StoredImage:
    """The caller has the store alone. An image that is there keeps its volumes."""
    there = store.same(one.image.digest, one.mode)
    for served in one.volumes:
        if there is None or served.digest in {volume.digest for volume in there.volumes}:
            write_remote(store.folder, served.digest, RemoteVolume(server=server, size_bytes=served.size_bytes))
    for served in one.volumes:
        if served.trace is not None:
            write_trace(store.folder, served.trace)
    volumes = tuple(map(_volume, one.volumes)) if there is None else there.volumes
    try:
        for name in one.names:
            store.add(one.image, one.mode, name, volumes)
    except sqlite3.IntegrityError as error:
        raise ImageError(f"{server}: image {one.image.digest} has volumes unlike those that are here") from error
    recorded = store.same(one.image.digest, one.mode)
    assert recorded is not None
    return recorded


def _volume(served: CatalogVolume) -> Volume:
    return Volume(
        digest=served.digest,
        recipe=served.recipe,
        size_bytes=served.size_bytes,
        role=served.role,
        layers=served.layers,
    )
